"""What the log said at the cutoff about the people in the items, brought to the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from ledger.application import ConsentLedger
from ledger.domain.entry import decode_entry
from ledger.domain.names import TERMS_STREAM
from ledger.domain.terms import Catalogue
from ledger.gate.engine import Engine
from ledger.gate.micros import micros_of

#: People asked for at once: a page of the log for each few, and a list that PostgreSQL still plans well.
PEOPLE = 5_000


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


def catalogue_at(ledger: ConsentLedger, cutoff: int) -> Catalogue:
    """The terms published by the cutoff: what comes later changes no answer of the run."""
    rows = ledger.recorder.streams([TERMS_STREAM], cutoff)
    return Catalogue(decode_entry(bytes(stored)).data for *_, stored in rows)


def load_people(engine: Engine, ledger: ConsentLedger, cutoff: int, advance: Callable[[int], None]) -> None:
    """The subjects that the items name, and their entries up to the cutoff; one batch in memory."""
    engine.insert("subject", _subjects(engine, ledger, advance))
    streams = _texts(engine, "SELECT DISTINCT stream FROM subject WHERE stream IS NOT NULL ORDER BY stream")
    entries = engine.folder / "entries.csv"
    with entries.open("wb") as file:
        for batch in batches(streams, PEOPLE):
            for chunk in ledger.recorder.copy_streams(batch, cutoff):
                file.write(chunk)
    engine.copy_in("entry", entries)
    entries.unlink()


def _subjects(engine: Engine, ledger: ConsentLedger, advance: Callable[[int], None]) -> Iterator[list[object]]:
    names = _texts(engine, "SELECT subject FROM identity WHERE is_readable ORDER BY subject")
    for batch in batches(names, PEOPLE):
        for subject in ledger.identities.find(batch).values():
            yield [subject.named, subject.stream, micros_of(subject.erased) if subject.erased else None]
        advance(len(batch))


def _texts(engine: Engine, query: str) -> Iterator[str]:
    return (str(text) for (text,) in engine.stream(query))


def batches(names: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(names)
    while batch := list(islice(remaining, size)):
        yield batch


def _months_and_days(duration: str) -> tuple[int, int]:
    count, unit = int(duration[1:-1]), duration[-1]
    return (count * {"Y": 12, "M": 1}.get(unit, 0), count * {"W": 7, "D": 1}.get(unit, 0))
