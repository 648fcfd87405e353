"""One of several processes that race: its threads decide again on every conflict, and say what they were told.

Arguments: URL, state folder, its number, threads, requests a thread. Its standard output is one line of JSON an
answer, written once the answer is there and before the next request: `told`, `position`, `mark`, and with `told`
"stored" or "repeated" the stream.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from pathlib import Path

from ledger.application import ConsentLedger, open_ledger
from ledger.domain.events import ToggleChanged
from ledger.domain.recording import Request
from ledger.errors import KeyReused, Refused
from ledger.settings import Place
from ledger.store.writer import Append
from tests import builders as b
from tests.domain import given

SUBJECTS = 20


def person(number: int) -> str:
    return f"person-{number}"


def toggle(mark: str) -> Request:
    """A toggle change that can be told from all others; `cause` lets it stand before an Accept as well."""
    return Request(ToggleChanged(purpose=given.TRAINING, to="off", surface=mark, cause="person"))


def say(told: str, mark: str, position: int | None = None, stream: str | None = None) -> None:
    line = {"told": told, "mark": mark, "position": position, "stream": stream}
    os.write(1, json.dumps(line).encode() + b"\n")


def record(ledger: ConsentLedger, name: str, mark: str, request: Request, key: str | None) -> None:
    try:
        recorded = ledger.record(name, request, key)
        say("repeated" if recorded.repeated else "stored", mark, recorded.position, recorded.stream)
    except KeyReused:
        say("key-reused", mark)
    except Refused:
        say("refused", mark)


def append_two(ledger: ConsentLedger, stream: str, mark: str) -> None:
    """Two entries at once on the version that was read, without deciding again: stored whole, or a conflict."""
    known = ledger.entries_of(stream)[-1][1]
    now = max(ledger.clock.now(), known.recorded)
    entries = [
        b.entry_bytes(stream, known.version + 1 + n, now, toggle(f"{mark}-{n}").event, nonce=n) for n in range(2)
    ]
    outcome = ledger.writer.append(Append(stream, known.version + 1, entries))
    if outcome.clock is not None:
        ledger.clock.read(outcome.clock)
    if outcome.name == "stored":
        say("stored", f"{mark}-0", outcome.position, stream)
        say("stored", f"{mark}-1", (outcome.position or 0) + 1, stream)
    else:
        say(outcome.name, f"{mark}-0")


def race(ledger: ConsentLedger, process: int, thread: int, requests: int) -> None:
    dice = random.Random(1_000 * process + thread)
    for turn in range(requests):
        name = person(dice.randrange(SUBJECTS))
        mark = f"{process}-{thread}-{turn}"
        kind = (thread + turn) % 5
        if kind == 0:
            # The same request of this thread's namesake in every process: one event, whoever comes first.
            mark = f"shared-{thread}-{turn}"
            record(ledger, person(thread % SUBJECTS), mark, toggle(mark), mark)
        elif kind == 1:
            # One key, and each process means another person and event by it: one event, and the others hear so.
            record(ledger, person((thread + process) % SUBJECTS), mark, toggle(mark), f"contested-{thread}-{turn}")
        elif kind == 2:
            append_two(ledger, ledger.subject(name).stream or "", mark)
        elif kind == 3 and turn % 3 == 0:
            # Nobody was shown these: there is nothing to accept.
            record(ledger, f"stranger-{mark}", mark, b.accepted(), None)
        else:
            record(ledger, name, mark, toggle(mark), None)


def main() -> None:
    url, state, process, threads, requests = sys.argv[1:]
    with open_ledger(Place(url, None, Path(state))) as ledger:
        racing = [
            threading.Thread(target=race, args=(ledger, int(process), number, int(requests)))
            for number in range(int(threads))
        ]
        for thread in racing:
            thread.start()
        for thread in racing:
            thread.join()


if __name__ == "__main__":
    main()
