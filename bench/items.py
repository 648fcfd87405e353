"""Synthetic items and the people behind them, for the gate: 100 M items are written in a few minutes.

Each person was shown the terms in autumn 2025; of a hundred, two are unknown, eight never decided, ten refused, and of
the others every third turned the toggle off later, and every ninth on again. Their items lie over the ten months from
August 2025, in files of `FILE` rows, a person's far apart.

Usage: python -m bench.items FOLDER [--items 10000000] [--subjects 100000]
       with CONSENT_LEDGER naming an empty ledger, which gets the people
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import duckdb

from ledger.application import ConsentLedger, open_ledger
from ledger.domain.entry import Imported, encode_entry, make_entry
from ledger.domain.events import Accepted, Event, TermsShown, ToggleChanged
from ledger.domain.names import subject_stream
from ledger.domain.terms import Terms, Toggle, parse_terms
from ledger.domain.times import format_time
from ledger.settings import place_of
from ledger.store.writer import Append

TERMS = Path("examples/terms/2025-09-28.toml")
FIRST = datetime(2025, 9, 1, tzinfo=UTC)
#: Rows in a file, and people in a transaction.
FILE, BATCH = 10_000_000, 2_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--items", type=int, default=10_000_000)
    arguments.add_argument("--subjects", type=int, default=100_000)
    asked = arguments.parse_args()
    write_items(asked.folder, asked.items, asked.subjects)
    with open_ledger(place_of(None)) as ledger:
        fill(ledger, asked.subjects)


def write_items(folder: Path, items: int, subjects: int) -> None:
    """Parquet as a data pipeline leaves it; the same arguments give the same rows."""
    folder.mkdir(parents=True)
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for number, first in enumerate(range(0, items, FILE)):
            query = (
                f"SELECT 'person-' || (hash(i) % {subjects}) AS subject, 'item-' || i AS item, "
                "TIMESTAMPTZ '2025-08-01 00:00:00Z' + to_microseconds((hash(i + 1) % 25920000000000)::BIGINT) "
                "AS collected_at, CASE WHEN i % 10 = 0 THEN 'coding-session' ELSE 'chat' END AS kind, "
                f"(hash(i + 2) % 5000)::INTEGER AS tokens FROM range({first}, {min(first + FILE, items)}) t(i)"
            )
            engine.execute(f"COPY ({query}) TO '{folder}/{number:05}.parquet' (FORMAT parquet, COMPRESSION zstd)")


def fill(ledger: ConsentLedger, subjects: int) -> None:
    """The people, into an empty ledger."""
    terms = parse_terms(TERMS.read_text(encoding="utf-8"))
    ledger.publish(terms)
    marked = Imported(at=format_time(ledger.clock.now()), source="bench")
    numbers = iter(range(subjects))
    while batch := list(islice(numbers, BATCH)):
        known = {f"person-{number}": number for number in batch if number % 100 >= 2}
        links = ledger.identities.link([(name, FIRST) for name in known])
        appends = [appended(subject_stream(links[name]), number, terms, marked) for name, number in known.items()]
        outcomes = {outcome.name for outcome in ledger.recorder.insert_many(appends)}
        if outcomes != {"stored"}:
            raise SystemExit(f"expected all to be stored, found {outcomes}")


def appended(stream: str, number: int, terms: Terms, marked: Imported) -> Append:
    entries = [
        encode_entry(
            make_entry(
                event,
                stream=stream,
                version=version,
                occurred_at=format_time(moment),
                recorded_at=format_time(moment),
                nonce=os.urandom(16).hex(),
                imported=marked,
            )
        )
        for version, (moment, event) in enumerate(past(number, terms), 1)
    ]
    return Append(stream, 1, entries)


def past(number: int, terms: Terms) -> Iterator[tuple[datetime, Event]]:
    """What happened to one person, and when."""
    moment = FIRST + timedelta(minutes=number % 40_000)
    kind = number % 100
    to: Toggle = "off" if kind < 20 else "on"
    toggles = {purpose.id: to for purpose in terms.purposes}
    yield (
        moment,
        TermsShown(
            terms=terms.version,
            notice=terms.notice_hash(),
            toggles={purpose.id: "on" for purpose in terms.purposes},
            plan="pro",
            surface="bench",
            locale="en",
        ),
    )
    if kind >= 10:
        yield (
            moment + timedelta(minutes=1),
            Accepted(
                terms=terms.version, toggles=toggles, touched=list(terms.purpose_ids), plan="pro", surface="bench"
            ),
        )
    if kind >= 20 and number % 3 == 0:
        yield moment + timedelta(days=60), toggled(terms, "off")
        if number % 9 == 0:
            yield moment + timedelta(days=120), toggled(terms, "on")


def toggled(terms: Terms, to: Toggle) -> Event:
    return ToggleChanged(purpose=terms.purpose_ids[0], to=to, surface="bench", cause="person")


if __name__ == "__main__":
    main()
