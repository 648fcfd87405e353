"""Step 3 of the gate: each subject's uses, appended on their own stream, expecting the version at the cutoff.

Where the stream moved on meanwhile: if all that is new are uses, the same uses are appended after them; else the
subject is decided again on the fresh stream by the domain's own code, and an item is used only if both permit it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby, islice

from ledger.application import MOST_ATTEMPTS, ConsentLedger
from ledger.domain.eligibility import Verdict
from ledger.domain.entry import Entry, encode_entry
from ledger.domain.events import DataUsedForTraining
from ledger.domain.recording import happening_now
from ledger.errors import Unavailable
from ledger.gate.again import Candidate, RunOf, entries_of, judge_again, only_uses
from ledger.gate.engine import Engine
from ledger.gate.manifest import Use, counted_uses, leaf_of, uses_of
from ledger.gate.micros import micros_of, moment_of
from ledger.store.statements import statement
from ledger.store.writer import Append

#: Subjects in one transaction: enough to spread a commit, few enough that other writers do not wait long.
SUBJECTS = 500


@dataclass(frozen=True, slots=True)
class Waiting:
    """One subject's uses, waiting to be appended after `version`, the last one, recorded at `last`."""

    stream: str
    version: int
    last: datetime
    uses: Sequence[Use]


def record_uses(ledger: ConsentLedger, engine: Engine, run: RunOf, advance: Callable[[int], None]) -> None:
    """Appends the uses of all subjects that have none of this run in the engine's `use`."""
    engine.script("leaf")
    subjects = _subjects(engine)
    while batch := list(islice(subjects, SUBJECTS)):
        _record(ledger, engine, run, batch)
        advance(len(batch))


def _subjects(engine: Engine) -> Iterator[Waiting]:
    counted, hashes = (engine.stream(statement(name, "ledger.gate.sql")) for name in ("pending", "leaves"))
    made = counted_uses(counted, hashes)
    for (stream, version, recorded), group in groupby(made, key=lambda one: (one[0].stream, *one[1:])):
        yield Waiting(stream, version, moment_of(recorded), [use for use, *_ in group])


def _record(ledger: ConsentLedger, engine: Engine, run: RunOf, batch: Sequence[Waiting]) -> None:
    decided = {one.stream: one for one in batch}
    waiting = list(batch)
    for _ in range(MOST_ATTEMPTS):
        now = ledger.clock.now()
        outcomes = ledger.recorder.insert_many([_append(ledger, run, one, now) for one in waiting])
        lost = [one.stream for one, outcome in zip(waiting, outcomes, strict=True) if outcome.name != "stored"]
        waiting = _decide_again(ledger, engine, run, [decided[stream] for stream in lost]) if lost else []
        if not waiting:
            return
    raise Unavailable(f"expected to append within {MOST_ATTEMPTS} attempts, found a conflict each time; run it again")


def _append(ledger: ConsentLedger, run: RunOf, one: Waiting, now: datetime) -> Append:
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
        for use in one.uses
    ]
    new = [happening_now(event, one.last, now) for event in events]
    entries = ledger.to_entries(one.stream, one.version, new)
    return Append(one.stream, one.version + 1, [encode_entry(entry) for entry in entries])


def _decide_again(ledger: ConsentLedger, engine: Engine, run: RunOf, lost: Sequence[Waiting]) -> list[Waiting]:
    """Of the subjects whose streams were not where they were expected, those who still have something to append.

    `lost` says what was decided at the cutoff.
    """
    if ledger.run_of(run.run).finished is not None:
        return []  # by another process, with the uses that it found; none may be added to them
    entries = entries_of(ledger, [one.stream for one in lost])
    without = [one for one in lost if not any(is_use_of(entry, run.run) for entry in entries[one.stream])]
    moved = {
        one.stream: entries[one.stream] for one in without if not only_uses(entries[one.stream], after=one.version)
    }
    fresh = {one.stream: one.uses for one in without if one.stream not in moved}
    for stream, verdicts in judge_again(ledger, engine, run, moved) if moved else ():
        fresh[stream] = _uses_of(stream, verdicts)
    return [
        replace(one, version=entries[one.stream][-1].version, last=entries[one.stream][-1].recorded, uses=uses)
        for one in without
        if (uses := fresh[one.stream])
    ]


def _uses_of(stream: str, verdicts: Iterable[tuple[Candidate, Verdict]]) -> list[Use]:
    leaves = {
        (
            stream,
            verdict.basis,
            leaf_of(one.name, one.item.collected, one.item.kind).decode(),
            one.item.kind,
            micros_of(one.item.collected),
        )
        for one, verdict in verdicts
        if verdict.permitted and verdict.basis is not None
    }
    return list(uses_of(sorted(leaves, key=lambda leaf: (leaf[0], leaf[1], leaf[2].encode()))))


def is_use_of(entry: Entry, run: str) -> bool:
    """Whether an entry is a use that the gate recorded for a run."""
    return isinstance(entry.data, DataUsedForTraining) and entry.data.run == run and not entry.data.attested
