"""People in a real ledger, filled in bulk with a past of their own, and item files about them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import duckdb
from msgspec import structs

from ledger.application import ConsentLedger
from ledger.domain.entry import Imported, encode_entry
from ledger.domain.events import Event, SubjectEvent
from ledger.domain.names import subject_stream
from ledger.domain.recording import Request
from ledger.domain.terms import Terms
from ledger.domain.times import format_time
from ledger.store.writer import Append
from tests.domain import given

#: A person's past: what happened, and when it was recorded and, unless a second time says so, occurred.
Past = Sequence[tuple[Event, datetime] | tuple[Event, datetime, datetime]]
GRANTED = given.at("10")
COLLECTED = given.at("20")
#: Who was shown the terms and accepted them, touching nothing.
PAST: Past = [(given.shown(), GRANTED), (given.accepted(), GRANTED)]
NAMES = ("ann", "bob", "cem")
#: Appends in one transaction.
BATCH = 1_000


def late(event: SubjectEvent, recorded: datetime, occurred: datetime | None = None) -> Request:
    """An event as an import brings it, with times of its own."""
    return Request(event, occurred or recorded, recorded, source="late")


def fill(ledger: ConsentLedger, pasts: Mapping[str, Past]) -> None:
    """Links each identity to a subject and imports its past, in the order of the identities."""
    marked = Imported(at=format_time(ledger.clock.now()), source="test")
    names = iter(sorted(pasts))
    while batch := list(islice(names, BATCH)):
        links = ledger.identities.link([(name, ledger.clock.now()) for name in batch])
        appends = [_append(subject_stream(links[name]), pasts[name], marked) for name in batch if pasts[name]]
        assert all(outcome.name == "stored" for outcome in ledger.recorder.insert_many(appends))


def _append(stream: str, past: Past, marked: Imported) -> Append:
    entries = []
    for version, (event, *times) in enumerate(past, start=1):
        entry = given.entry(event, version, times[-1], times[0])
        own = structs.replace(entry, stream=stream, imported=marked, nonce=f"{version:032x}")
        entries.append(encode_entry(own))
    return Append(stream, 1, entries)


def decided_at_random(
    names: Iterable[str], first: datetime, span: timedelta, seed: int, terms: Sequence[Terms] = (given.SHIPPED,)
) -> dict[str, Past]:
    """Each is shown the terms some time in `span`; most accept, some change their mind, some never decide."""
    random_of = random.Random(seed)
    pasts: dict[str, Past] = {}
    for name in names:
        of = random_of.choice(terms)
        moments = sorted(first + random_of.random() * span for _ in range(6))
        chances = random_of.random()
        past: list[tuple[Event, datetime]] = [(given.shown(of), moments[0])]
        if chances < 0.02:
            past = []
        elif chances < 0.1:
            pass
        elif chances < 0.2:
            past.append((given.accepted(of, toggles=dict.fromkeys(of.purpose_ids, "off")), moments[1]))
        else:
            touched = tuple(of.purpose_ids) if chances > 0.7 else ()
            past.append(
                (given.accepted(of, touched=touched, plan=random_of.choice(["pro", "max", "team"])), moments[1])
            )
            for moment in moments[2 : 2 + random_of.choice((0, 0, 0, 1, 1, 2, 3, 4))]:
                past.append((given.toggled(random_of.choice(("off", "on"))), moment))
        pasts[name] = past
    return pasts


def write_parquet(path: Path, query: str) -> Path:
    """An item file, made by a query."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path
