"""Step 3 of the gate: each subject's uses, appended on their own stream, expecting the version at the cutoff.

Where the stream moved on meanwhile: if all that is new are uses, the same uses are appended after them; else the
subject is decided again on the fresh stream by the domain's own code, and an item is used only if both permit it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice

from ledger.application import ConsentLedger
from ledger.domain.consent import consent_of, record_of
from ledger.domain.eligibility import Item, Verdict, judge_with
from ledger.domain.entry import Entry, encode_entry
from ledger.domain.events import DataUsedForTraining
from ledger.domain.recording import happening_now
from ledger.domain.terms import Catalogue
from ledger.gate.cutoff import micros_of
from ledger.gate.duckdb_engine import Engine
from ledger.gate.manifest import LeafRow, Use, leaf_of, moment_of, uses_of
from ledger.store.statements import statement
from ledger.store.writer import Append

#: Subjects in one transaction: enough to spread a commit, few enough that other writers do not wait long.
SUBJECTS = 500


@dataclass(frozen=True, slots=True)
class RunOf:
    """What a use needs to know of its run."""

    run: str
    purpose: str
    started: datetime
    judged: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """One permitted item of a subject, by its row."""

    row: int
    name: str
    item: Item


def record_uses(
    ledger: ConsentLedger, engine: Engine, run: RunOf, done: set[str], advance: Callable[[int], None]
) -> None:
    """Appends the uses of all subjects but those in `done`, which have theirs."""
    ends = {
        stream: (version, moment_of(recorded))
        for stream, version, recorded in engine.stream("SELECT stream, version, recorded FROM record")
    }
    leaves: Iterator[LeafRow] = engine.stream(statement("leaves", "ledger.gate.sql"))
    by_subject = ((stream, list(uses)) for stream, uses in groupby(uses_of(leaves), key=lambda use: use.stream))
    while batch := list(islice(by_subject, SUBJECTS)):
        waiting = [(stream, uses) for stream, uses in batch if stream not in done]
        now = ledger.clock.now()
        appends = [_append(ledger, run, uses, *ends[stream], now) for stream, uses in waiting]
        for (stream, uses), outcome in zip(waiting, ledger.recorder.insert_many(appends), strict=True):
            if outcome.name != "stored":
                _again(ledger, engine, run, stream, ends[stream][0], uses)
        advance(len(batch))


def _append(
    ledger: ConsentLedger, run: RunOf, uses: Sequence[Use], version: int, last: datetime, now: datetime
) -> Append:
    entries = _entries(ledger, run, uses, version, last, now)
    return Append(uses[0].stream, version + 1, [encode_entry(entry) for entry in entries])


def _entries(
    ledger: ConsentLedger, run: RunOf, uses: Sequence[Use], version: int, last: datetime | None, now: datetime
) -> list[Entry]:
    events = [
        DataUsedForTraining(
            run=run.run,
            purpose=run.purpose,
            basis=use.basis,
            items=use.items,
            collected_from=use.collected_from,
            collected_until=use.collected_until,
            manifest=use.manifest,
            attested=False,
        )
        for use in uses
    ]
    return ledger.to_entries(uses[0].stream, version, [happening_now(event, last, now) for event in events])


def _again(
    ledger: ConsentLedger, engine: Engine, run: RunOf, stream: str, cutoff_version: int, uses: Sequence[Use]
) -> None:
    """One subject whose stream was not where it was expected."""

    def decide_again(now: datetime) -> list[Entry]:
        entries = [entry for _, entry in ledger.entries_of(stream)]
        since = [entry for entry in entries if entry.version > cutoff_version]
        if any(is_use_of(entry, run.run) for entry in since):
            return []
        fresh: Sequence[Use] = uses
        if not all(isinstance(entry.data, DataUsedForTraining) for entry in since):
            fresh = _decide_again(ledger.catalogue(), engine, run, stream, entries)
        if not fresh:
            return []
        return _entries(ledger, run, fresh, entries[-1].version, entries[-1].recorded, now)

    ledger.append(decide_again)


def _decide_again(catalogue: Catalogue, engine: Engine, run: RunOf, stream: str, entries: Sequence[Entry]) -> list[Use]:
    verdicts = judge_again(catalogue, engine, run, stream, entries)
    leaves = sorted(
        {
            (
                stream,
                verdict.basis,
                leaf_of(one.name, one.item.collected, one.item.kind).decode(),
                one.item.kind,
                micros_of(one.item.collected),
            )
            for one, verdict in verdicts
            if verdict.permitted and verdict.basis is not None
        },
        key=lambda leaf: (leaf[0], leaf[1], leaf[2].encode()),
    )
    return list(uses_of(leaves))


def judge_again(
    catalogue: Catalogue, engine: Engine, run: RunOf, stream: str, entries: Sequence[Entry]
) -> list[tuple[Candidate, Verdict]]:
    """The verdicts, on `entries`, of the items of one subject that were permitted at the cutoff."""
    consent = consent_of(record_of(stream, entries, catalogue), run.purpose)
    rows = engine.stream(statement("candidates", "ledger.gate.sql"), [stream])
    candidates = [
        Candidate(row, name, Item(moment_of(collected), kind, plan, exclude))
        for row, name, collected, kind, plan, exclude in rows
    ]
    return [(one, judge_with(consent, one.item, run.started, run.judged)) for one in candidates]


def is_use_of(entry: Entry, run: str) -> bool:
    return isinstance(entry.data, DataUsedForTraining) and entry.data.run == run and not entry.data.attested
