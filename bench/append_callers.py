"""A process of callers of the ledger: each appends the first event of a new subject, and waits for its answer.

Usage: python -m bench.append_callers URL STATE threads|tasks CALLERS SECONDS

An append is what a service would do for it: the event is put together, made an entry with its nonce, encoded, checked.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

from bench import calling, place
from ledger.application import ConsentLedger, open_ledger
from ledger.domain.entry import encode_entry, make_entry
from ledger.domain.events import TermsShown
from ledger.domain.recording import happening_now
from ledger.domain.terms import Terms
from ledger.settings import Place
from ledger.store.writer import Append, Outcome


def main() -> None:
    url, state, kind, callers, seconds = sys.argv[1:]
    with open_ledger(Place(url, None, Path(state))) as ledger:
        next_one = Showing(ledger, place.terms())

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
            nonce=os.urandom(16).hex(),
        )
        return Append(stream, 1, [encode_entry(entry)])


if __name__ == "__main__":
    main()
