"""Subjects decided once more, by the domain's own code: those whose streams moved on since the cutoff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from ledger.application import ConsentLedger
from ledger.domain.consent import consent_of, record_of
from ledger.domain.eligibility import Item, Verdict, judge_with
from ledger.domain.entry import Entry, decode_entry
from ledger.domain.events import DataUsedForTraining
from ledger.gate.engine import Engine
from ledger.gate.micros import moment_of
from ledger.store.statements import statement


@dataclass(frozen=True, slots=True)
class RunOf:
    """What a use, and a verdict on an item, need to know of the run; `judged` is when it was recorded."""

    run: str
    purpose: str
    started: datetime
    judged: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """One item of a subject that was permitted at the cutoff, by its row."""

    row: int
    name: str
    item: Item


def entries_of(ledger: ConsentLedger, streams: Sequence[str]) -> dict[str, list[Entry]]:
    """The entries of some streams as they are now."""
    entries: dict[str, list[Entry]] = {stream: [] for stream in streams}
    for _, stream, _, _, stored in ledger.recorder.streams(streams):
        entries[stream].append(decode_entry(bytes(stored)))
    return entries


def only_uses(entries: Iterable[Entry], after: int) -> bool:
    """Whether all that came after a version are uses: nothing that a verdict depends on."""
    return all(isinstance(entry.data, DataUsedForTraining) for entry in entries if entry.version > after)


def judge_again(
    ledger: ConsentLedger, engine: Engine, run: RunOf, moved: Mapping[str, Sequence[Entry]]
) -> Iterator[tuple[str, list[tuple[Candidate, Verdict]]]]:
    """For each of the streams, the verdicts on what was permitted at the cutoff, now on the entries given."""
    catalogue = ledger.catalogue()
    engine.insert("moved_on", [[stream] for stream in moved])
    rows = engine.stream(statement("candidates", "ledger.gate.sql"))
    for stream, group in groupby(rows, key=itemgetter(0)):
        consent = consent_of(record_of(stream, moved[stream], catalogue), run.purpose)
        candidates = [
            Candidate(row, name, Item(moment_of(collected), kind, plan))
            for _, row, name, collected, kind, plan in group
        ]
        yield stream, [(one, judge_with(consent, one.item, run.started, run.judged)) for one in candidates]
