"""Bundles of 10, 100 and 1,000 entries out of one log: their bytes, and the time to make and to verify them.

Nine entries in ten are uses, by fifty runs, and are judged by the verifier; one in ten turns the toggle. Verifying is
pure, so its processor time is told; making waits for the database.

Usage: python -m bench.bundles [--others 100000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger.application import ConsentLedger, open_ledger
from ledger.domain.entry import Imported, encode_entry, make_entry
from ledger.domain.events import Accepted, DataUsedForTraining, Event, RunStarted, TermsShown, ToggleChanged
from ledger.domain.names import run_stream, subject_stream
from ledger.domain.terms import Terms, Toggle, parse_terms
from ledger.domain.times import format_time
from ledger.keyring import read_keyring
from ledger.proof.asked import Asked
from ledger.proof.policy import trust_of_keys
from ledger.proof.verifying import verify_file
from ledger.proving.history import prove_history
from ledger.sequencer import sequence
from ledger.settings import place_of
from ledger.store.location import create_ledger
from ledger.store.writer import Append

LENGTHS = (10, 100, 1_000)
RUNS = 50
#: Transactions that the log is filled in; the entries of the longest history are spread over them.
BATCHES = 200
TIMES = 5
FIRST = datetime(2025, 9, 1, tzinfo=UTC)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--others", type=int, default=100_000, help="entries about others")
    others: int = arguments.parse_args().others
    terms = parse_terms(Path("examples/terms/2025-09-28.toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="consent-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the embedded server's own user must get through
        place = place_of(f"{folder}/ledger", {})
        create_ledger(place, None)
        with open_ledger(place) as ledger:
            ledger.publish(terms)
            fill(ledger, terms, others)
            checkpoint = sequence(ledger)
            print(f"a log of {checkpoint.size} entries, {TIMES} times each, medians")
            for number, length in enumerate(LENGTHS):
                measure(ledger, stream_of(number), length)


def measure(ledger: ConsentLedger, stream: str, length: int) -> None:
    """One line of the report."""
    ring = read_keyring(ledger.place.state, ledger.identity.id, ledger.identity.origin)
    trust = trust_of_keys([ring.log[0].verifier])
    making, verifying = [], []
    for _ in range(TIMES):
        start = time.perf_counter()
        history = prove_history(ledger, stream)
        making.append(time.perf_counter() - start)
        start = time.process_time()
        said = verify_file(history.data, trust, Asked(subject=f"key:{stream}"))
        verifying.append(time.process_time() - start)
        if said.violations or history.entries != length:
            raise SystemExit(f"expected {length} entries and no violation, found {history.entries}: {said.violations}")
    made, verified = (statistics.median(times) * 1_000 for times in (making, verifying))
    print(
        f"{length:5} entries: {len(history.data):9,} bytes ({len(history.data) / length:,.0f} each), made in "
        f"{made:,.0f} ms, verified in {verified:,.1f} ms ({verified / length:.2f} each)"
    )


def fill(ledger: ConsentLedger, terms: Terms, others: int) -> None:
    """The runs; the histories, spread; and between them people who were shown the terms."""
    marked = Imported(at=format_time(ledger.clock.now()), source="bench")
    starts = [appended(run_stream(f"r{n}"), 1, [(FIRST, run_started(terms))], marked) for n in range(RUNS)]
    stored(ledger, starts)
    histories = [list(history(terms, length)) for length in LENGTHS]
    for batch in range(BATCHES):
        appends = [
            appended(subject_stream(b"other" + n.to_bytes(11, "big")), 1, [(FIRST, shown(terms))], marked)
            for n in range(batch * others // BATCHES, (batch + 1) * others // BATCHES)
        ]
        for number, events in enumerate(histories):
            done, until = (at * len(events) // BATCHES for at in (batch, batch + 1))
            if until > done:
                appends.append(appended(stream_of(number), done + 1, events[done:until], marked))
        stored(ledger, appends)


def stored(ledger: ConsentLedger, appends: list[Append]) -> None:
    outcomes = {outcome.name for outcome in ledger.recorder.insert_many(appends)}
    if outcomes != {"stored"}:
        raise SystemExit(f"expected all to be stored, found {outcomes}")


def stream_of(number: int) -> str:
    return subject_stream(number.to_bytes(16, "big"))


def history(terms: Terms, length: int) -> Iterator[tuple[datetime, Event]]:
    """Shown, accepted, and then uses of what was collected while it was on, and each tenth entry off or on again."""
    on, basis = FIRST, 2
    for version in range(1, length + 1):
        moment = FIRST + timedelta(minutes=10 * version)
        if version == 1:
            yield moment, shown(terms)
        elif version == 2:
            on = moment
            yield moment, Accepted(terms=terms.version, toggles=toggles(terms), touched=[], plan="pro", surface="bench")
        elif version % 10 == 0:
            to: Toggle = "off" if version % 20 else "on"
            if to == "on":
                on, basis = moment, version
            yield moment, ToggleChanged(purpose=terms.purpose_ids[0], to=to, surface="bench", cause="person")
        else:
            collected = format_time(on + timedelta(minutes=1))
            yield (
                moment,
                DataUsedForTraining(
                    run=f"r{version % RUNS}",
                    purpose=terms.purpose_ids[0],
                    basis=basis,
                    items={"chat": 1},
                    collected_from=collected,
                    collected_until=collected,
                    manifest="00" * 32,
                    attested=True,
                ),
            )


def toggles(terms: Terms) -> dict[str, Toggle]:
    return {purpose.id: "on" for purpose in terms.purposes}


def shown(terms: Terms) -> TermsShown:
    return TermsShown(
        terms=terms.version,
        notice=terms.notice_hash(),
        toggles=toggles(terms),
        plan="pro",
        surface="bench",
        locale="en",
    )


def run_started(terms: Terms) -> RunStarted:
    started = format_time(FIRST)
    return RunStarted(purpose=terms.purpose_ids[0], kind="chat", started_at=started, cutoff=1, input=[])


def appended(stream: str, version: int, events: list[tuple[datetime, Event]], marked: Imported) -> Append:
    entries = [
        encode_entry(
            make_entry(
                event,
                stream=stream,
                version=version + number,
                occurred_at=format_time(moment),
                recorded_at=format_time(moment),
                nonce=os.urandom(16).hex(),
                imported=marked,
            )
        )
        for number, (moment, event) in enumerate(events)
    ]
    return Append(stream, version, entries)


if __name__ == "__main__":
    main()
