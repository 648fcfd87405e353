"""A process of callers of the ledger: each appends the first event of a new subject, and waits for its answer.

Usage: python -m bench.append_callers URL STATE threads|tasks CALLERS SECONDS given|made

`given` are entries that were encoded before the clock starts, as pgbench's row is: what is measured is the append.
`made` is what a service does for each, within the clock: the event is put together, made an entry, encoded, checked.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from bench import calling, place
from ledger.application import NONCE_BYTES, ConsentLedger, open_ledger
from ledger.domain.entry import decode_entry, encode_entry, make_entry
from ledger.domain.events import TermsShown
from ledger.domain.recording import happening_now
from ledger.domain.terms import Terms
from ledger.settings import Place
from ledger.store.writer import Append, Outcome

#: Entries that are made beforehand for each second. Were they ever too few, the rest are put together the same way
#: within the clock, for a tenth of what an append takes.
READY_A_SECOND = 30_000


def main() -> None:
    url, state, kind, callers, seconds, entries = sys.argv[1:]
    with open_ledger(Place(url, None, Path(state))) as ledger:
        showing = Showing(ledger, place.terms())
        next_one: Callable[[], Append] = Given(showing, float(seconds)) if entries == "given" else showing

        def call() -> None:
            _check(ledger.writer.append(next_one()))

        async def call_async() -> None:
            _check(await ledger.writer.append_async(next_one()))

        if kind == "threads":
            calling.when_told(lambda some: calling.by_threads(call, int(callers), some), float(seconds))
        else:
            calling.when_told(lambda some: calling.by_tasks(call_async, int(callers), some), float(seconds))


def _check(outcome: Outcome) -> None:
    if outcome.name != "stored":
        raise SystemExit(f"expected an append to be stored, found {outcome}")


class Showing:
    """Makes the first event of new subjects: these terms shown to them."""

    def __init__(self, ledger: ConsentLedger, terms: Terms) -> None:
        self._clock = ledger.clock
        self._terms = terms
        self._notice = terms.notice_hash()

    def __call__(self) -> Append:
        event = TermsShown(
            terms=self._terms.version,
            notice=self._notice,
            toggles={purpose.id: purpose.default for purpose in self._terms.purposes},
            plan="pro",
            surface="pop-up",
            locale="en",
        )
        new = happening_now(event, None, self._clock.now() - timedelta(milliseconds=1))
        stream = os.urandom(32).hex()
        entry = make_entry(
            event,
            stream=stream,
            version=1,
            occurred_at=new.occurred_at,
            recorded_at=new.recorded_at,
            nonce=os.urandom(NONCE_BYTES).hex(),
        )
        return Append(stream, 1, [encode_entry(entry)])


class Given:
    """The same, encoded beforehand: one entry as the ledger makes it, with the nonce and the stream of each put in."""

    def __init__(self, showing: Showing, seconds: float) -> None:
        (entry,) = showing().entries
        decoded = decode_entry(entry)
        self._before, rest = entry.split(decoded.nonce.encode())
        self._between, self._after = rest.split(decoded.stream.encode())
        decode_entry(self._made().entries[0])
        self._ready = deque(self._made() for _ in range(int(READY_A_SECOND * (seconds + calling.WARM_SECONDS))))
        gc.freeze()  # what is ready is not looked through again and again for garbage

    def __call__(self) -> Append:
        return self._ready.popleft() if self._ready else self._made()

    def _made(self) -> Append:
        nonce, stream = os.urandom(NONCE_BYTES).hex(), os.urandom(32).hex()
        parts = (self._before, nonce.encode(), self._between, stream.encode(), self._after)
        return Append(stream, 1, [b"".join(parts)])


if __name__ == "__main__":
    main()
