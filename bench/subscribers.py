"""From an append's answer until a subscriber has the row, over HTTP: at 20 and at 200 subscribers.

Usage: python -m bench.subscribers [--seconds N]

100 events a second of 100 people, by one caller; `consent serve` with everything beside it, on an embedded server. The
subscribers, who keep every event, and the caller are one Python process on the same machine: at 200 that is 20,000
rows a second to take in, and the processor time for it is told too, for the service cannot have it.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bench import machine, place
from bench.crowd import Appender, Crowd, delays
from bench.running_service import LEDGER, RunningService, started
from ledger.application import ConsentLedger, open_ledger
from ledger.domain.events import Accepted, TermsShown, ToggleChanged
from ledger.domain.recording import Request
from ledger.domain.terms import Toggle
from ledger.service.tokens import digest_of, new_token
from ledger.settings import Place
from ledger.store.database import connect
from ledger.store.tokens import add_token

SUBSCRIBERS = (20, 200)
A_SECOND = 100.0
PEOPLE = 100
#: Until it is given up that everybody has everything.
PATIENCE_SECONDS = 60.0


def new_reader(at: Place) -> str:
    token = new_token()
    with connect(at.url or "", at.name, "consent_tokens") as connection:
        expires = datetime.now(UTC) + timedelta(hours=1)
        add_token(connection, digest_of(token), f"reader-{time.monotonic_ns()}", ["read"], expires)
    return token


def accept(ledger: ConsentLedger) -> None:
    """Everybody is shown the terms, and accepts them."""
    terms = ledger.terms(None)
    on: dict[str, Toggle] = dict.fromkeys(terms.purpose_ids, "on")
    shown = TermsShown(
        terms=terms.version, notice=terms.notice_hash(), toggles=on, plan="pro", surface="bench", locale="en"
    )
    accepted = Accepted(terms=terms.version, toggles=on, touched=[], plan="pro", surface="bench")
    for person in range(PEOPLE):
        for event in (shown, accepted):
            ledger.record(f"person-{person}", Request(event))


def measure(at: Place, service: RunningService, numbers: Iterator[int], many: int, seconds: float) -> str:
    with open_ledger(at) as ledger:
        purpose = ledger.terms(None).purpose_ids[0]

        def toggle(_: int) -> int:
            number = next(numbers)
            to: Toggle = "off" if number // PEOPLE % 2 == 0 else "on"
            event = ToggleChanged(purpose=purpose, to=to, surface="bench", cause="person")
            return ledger.record(f"person-{number % PEOPLE}", Request(event)).position

        crowd = Crowd(service.host, service.port, new_reader(at), "current-consent", many)
        before, own = service.processor_seconds(), time.process_time()
        begun = time.monotonic()
        with Appender(toggle, A_SECOND, seconds) as appender:
            crowd.listen(appender.until, seconds + PATIENCE_SECONDS)
        took = time.monotonic() - begun
    found = delays(crowd, appender)
    return (
        f"{many} subscribers: {len(found):,} deliveries; median {1_000 * found[len(found) // 2]:.0f} ms, "
        f"99th percentile {1_000 * found[int(0.99 * len(found))]:.0f} ms, longest {1_000 * found[-1]:.0f} ms; "
        f"{sum(heard.connections for heard in crowd.heard) - many} connected again, "
        f"{sum(heard.disorder for heard in crowd.heard)} out of order; "
        f"the service took {(service.processor_seconds() - before) / took:.2f} of a core and has "
        f"{service.resident():.0f} MB, the subscribers and the caller took "
        f"{(time.process_time() - own) / took:.2f} of a core"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of appending, for each number of subscribers")
    asked = parser.parse_args()
    print(*machine.describe(), sep="\n")
    with place.server() as server:
        at = server.new_ledger("subscribers")
        with open_ledger(at) as ledger:
            accept(ledger)
        numbers = itertools.count()
        with started(LEDGER, at) as service:
            for many in SUBSCRIBERS:
                print(measure(at, service, numbers, many, asked.seconds), flush=True)
    print(f"load of the machine: {machine.load()}")


if __name__ == "__main__":
    main()
