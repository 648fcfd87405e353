"""What the log said at the cutoff about the people in the items, brought to the engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ledger.application import ConsentLedger
from ledger.domain.terms import Catalogue
from ledger.domain.times import DURATION_PATTERN
from ledger.errors import InvalidInput
from ledger.gate.duckdb_engine import Engine
from ledger.store.identities import Subject, parse_subject

#: People asked for at once: a page of the log for each few, and a list that PostgreSQL still plans well.
PEOPLE = 5_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def load_rules(engine: Engine, catalogue: Catalogue, purpose: str) -> None:
    """The published terms, as far as they speak of one purpose."""
    terms = catalogue.all()
    engine.insert(
        "terms",
        [
            [
                t.version,
                t.withdrawal == "future-runs",
                t.untouched_default == "refused",
                *_months_and_days(t.retention.when_on),
                *_months_and_days(t.retention.when_off),
                micros_of(catalogue.deadline_of(t.version) or t.deadline),
            ]
            for t in terms
        ],
    )
    engine.insert("terms_plan", [[t.version, plan] for t in terms for plan in t.plans])
    engine.insert(
        "terms_kind", [[t.version, kind] for t in terms for p in t.purposes if p.id == purpose for kind in p.data]
    )


def load_people(
    engine: Engine, ledger: ConsentLedger, cutoff: int, folder: Path, advance: Callable[[int], None]
) -> None:
    """The subjects that the items name, and their entries up to the cutoff."""
    streams: set[str] = set()
    names = engine.stream("SELECT DISTINCT subject FROM given WHERE subject IS NOT NULL ORDER BY subject")
    entries = folder / "entries.csv"

    def subjects() -> Iterator[list[object]]:
        with entries.open("wb") as file:
            for batch in batches((str(name) for (name,) in names), PEOPLE):
                found = _find(ledger, batch)
                new = sorted({subject.stream for subject in found if subject.stream} - streams)
                streams.update(new)
                for chunk in ledger.recorder.copy_streams(new, cutoff):
                    file.write(chunk)
                for subject in found:
                    erased = micros_of(subject.erased) if subject.erased else None
                    yield [subject.named, subject.stream, erased]
                advance(len(batch))

    engine.insert("subject", subjects())
    if entries.stat().st_size:
        engine.copy_in("entry", entries)
    entries.unlink()


def _find(ledger: ConsentLedger, names: list[str]) -> list[Subject]:
    """The subjects of names; one that cannot be a name is nobody's."""
    readable, unreadable = [], []
    for name in names:
        try:
            readable.append(parse_subject(name).named)
        except InvalidInput:
            unreadable.append(Subject(name))
    return [*ledger.identities.find(readable).values(), *unreadable]


def batches(names: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(names)
    while batch := list(islice(remaining, size)):
        yield batch


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def _months_and_days(duration: str) -> tuple[int, int]:
    if not re.match(DURATION_PATTERN, duration):
        raise InvalidInput(f"expected a duration, found {duration!r}")
    count, unit = int(duration[1:-1]), duration[-1]
    return (count * {"Y": 12, "M": 1}.get(unit, 0), count * {"W": 7, "D": 1}.get(unit, 0))
