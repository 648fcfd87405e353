"""The gate, in its five steps (design, section 8). Killed at any point and run again, it ends in the same state."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from msgspec import UNSET, structs

from ledger.application import ConsentLedger
from ledger.domain.defaults import kind_meant, purpose_meant
from ledger.domain.entry import Entry
from ledger.domain.events import InputFile, RunFinished, RunStarted
from ledger.domain.names import run_stream
from ledger.domain.runs import RunRecord, decide_start
from ledger.domain.times import format_time, parse_time
from ledger.domain.uses import is_backdated
from ledger.errors import InvalidInput, Unavailable
from ledger.gate import output
from ledger.gate.again import RunOf
from ledger.gate.cutoff import catalogue_at, load_people, load_rules
from ledger.gate.engine import Engine
from ledger.gate.engines import DUCKDB, opening
from ledger.gate.inputs import Items
from ledger.gate.manifest import run_root
from ledger.gate.micros import micros_of
from ledger.gate.record_uses import record_uses
from ledger.store.statements import statement

WORK = ".consent-work"


class Watch(Protocol):
    """Who wants to see how far it is."""

    def advance(self, by: int = 1) -> None: ...

    def now(self, what: str, total: int | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What to filter, for which run; what is left out is taken from the run, where it exists, or from the terms."""

    items: Items
    run: str
    started: datetime | None = None
    purpose: str | None = None
    kind: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended; the fields of `run.json`."""

    summary: dict[str, Any]
    counts: output.Counts


class Gate:
    """One run's way through the gate: `start`, `decide`, `record`, `finish`, `write`, in this order."""

    def __init__(self, ledger: ConsentLedger, asked: Asked, engine: Engine, watch: Watch) -> None:
        self._ledger = ledger
        self._asked = asked
        self._engine = engine
        self._watch = watch
        self._start: RunStarted | None = None
        # A rerun is judged when the run was recorded: today's clock would make it another answer.
        self._judged: datetime = ledger.clock.now()
        self._started_position = 0

    def start(self, *, dry: bool = False) -> None:
        """Step 1: the cutoff, and `run-started`, once the items are read; a run that exists must be the same."""
        items = self._asked.items
        before = items.state()
        self._watch.now("reading the files", sum(size for size, _ in before))
        files = items.fingerprints(self._watch.advance)
        record = self._ledger.run_of(self._asked.run)
        start = self._wanted(files, record)
        decide_start(record, start, self._ledger.clock.now())
        self._watch.now("loading the items")
        self._engine.load(items)
        items.demand_state(before)
        self._begin(record.started, structs.replace(start, cutoff=self._ledger.recorder.head()), dry)

    def _begin(self, existing: Entry | None, start: RunStarted, dry: bool) -> None:
        if not dry:
            existing = self._ledger.start_run(self._asked.run, start)
            self._started_position = self._ledger.entries_of(run_stream(self._asked.run))[0][0]
        if existing is not None:
            start, self._judged = existing.data, existing.recorded
        self._start = start

    def _wanted(self, files: list[InputFile], record: RunRecord) -> RunStarted:
        """The start that is asked for; what was left out is as it was, or else as the terms say."""
        asked, catalogue = self._asked, self._ledger.catalogue()
        existing: RunStarted | None = record.started.data if record.started else None
        if asked.parent is not None and self._ledger.run_of(asked.parent).started is None:
            raise InvalidInput(f"expected --parent to name a run in the log, found {asked.parent}; check its name")
        purpose = purpose_meant(catalogue, asked.purpose or (existing.purpose if existing else None))
        return RunStarted(
            purpose=purpose,
            kind=kind_meant(catalogue, purpose, asked.kind or (existing.kind if existing else None)),
            started_at=(
                format_time(asked.started)
                if asked.started
                else (existing.started_at if existing else format_time(self._ledger.clock.now()))
            ),
            cutoff=0,
            input=files,
            parent=asked.parent or UNSET,
        )

    def decide(self) -> None:
        """Step 2: every item's verdict as of the cutoff, in bulk."""
        run, start = self._run_of_uses(), self.begun()
        self._engine.insert("run", [[run.purpose, start.kind, micros_of(run.started), micros_of(run.judged)]])
        load_rules(self._engine, catalogue_at(self._ledger, start.cutoff), run.purpose)
        self._engine.script("items")
        (people,) = self._engine.one("SELECT count(*) FROM identity WHERE is_readable")
        self._watch.now("reading the people's entries", people)
        load_people(self._engine, self._ledger, start.cutoff, self._watch.advance)
        for step in self._engine.decide():
            self._watch.now(f"deciding: {step}")

    def verdicts(self) -> output.Counts:
        """How the items come out at the cutoff."""
        return output.count(self._engine, "verdict")

    def record(self) -> None:
        """Step 3: the uses, each subject's on its own stream; those that are there already are not repeated.

        In the end the engine has all of them.
        """
        self._load_uses()
        (people,) = self._engine.one("SELECT count(DISTINCT number) FROM verdict WHERE reason = 'granted'")
        self._watch.now("recording the uses", people)
        if self._ledger.run_of(self._asked.run).finished is None:
            record_uses(self._ledger, self._engine, self._run_of_uses(), self._watch.advance)
            self._load_uses()

    def finish(self) -> None:
        """Step 4: `run-finished`, once all uses are in the log."""
        self._watch.now("finishing the run")
        uses, items = self._engine.one("SELECT count(*), CAST(coalesce(sum(items), 0) AS BIGINT) FROM use")
        rows = self._engine.stream(statement("uses", "ledger.gate.sql"))
        root = run_root((str(stream), int(version)) for stream, version in rows)
        self._ledger.finish_run(self._asked.run, RunFinished(uses=uses, items=items, root=root))

    def _load_uses(self) -> None:
        output.load_uses(self._engine, self._ledger, self._asked.run, self._started_position)

    def write(self, folder: Path) -> Outcome:
        """Step 5: the files, from the log."""
        self._watch.now("writing the files")
        counts = output.answer(self._engine, self._ledger, self._run_of_uses())
        summary = self._summary(counts)
        output.write(self._engine, folder, summary)
        return Outcome(summary, counts)

    def _summary(self, counts: output.Counts) -> dict[str, Any]:
        start = self.begun()
        entries = self._ledger.entries_of(run_stream(self._asked.run))
        finish: RunFinished = entries[1][1].data
        return {
            "run": self._asked.run,
            "purpose": start.purpose,
            "kind": start.kind,
            "started_at": start.started_at,
            "cutoff": start.cutoff,
            **({} if start.parent is UNSET else {"parent": start.parent}),
            "items": counts.items,
            "permitted": counts.permitted,
            "refused": counts.refused,
            "by_reason": counts.by_reason,
            "uses": finish.uses,
            "finished_position": entries[1][0],
            "backdated": is_backdated(entries[0][1]),
        }

    def begun(self) -> RunStarted:
        assert self._start is not None  # noqa: S101 - the steps come in their order
        return self._start

    def _run_of_uses(self) -> RunOf:
        start = self.begun()
        return RunOf(self._asked.run, start.purpose, parse_time(start.started_at), self._judged)


def dry_run(
    ledger: ConsentLedger, asked: Asked, watch: Watch, engine: str = DUCKDB
) -> tuple[RunStarted, output.Counts]:
    """What the verdicts would be now, or are at the cutoff of a run that exists; nothing is recorded or written."""
    opened = opening(engine)
    with tempfile.TemporaryDirectory(prefix="consent-") as work, opened(Path(work)) as at_work:
        gate = Gate(ledger, asked, at_work, watch)
        gate.start(dry=True)
        gate.decide()
        return gate.begun(), gate.verdicts()


def filter_items(ledger: ConsentLedger, asked: Asked, folder: Path, watch: Watch, engine: str = DUCKDB) -> Outcome:
    """All five steps, by the engine of this name."""
    opened = opening(engine)
    with working_folder(folder, asked.run) as work, opened(work) as at_work:
        gate = Gate(ledger, asked, at_work, watch)
        gate.start()
        gate.decide()
        gate.record()
        gate.finish()
        return gate.write(folder)


@contextmanager
def working_folder(folder: Path, run: str) -> Iterator[Path]:
    """A folder inside `folder` to work in, for one process at a time; what a killed one left is thrown away."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise Unavailable(f"expected to write into {folder}, found: {error.strerror}") from None
    try:
        _claim(descriptor, folder, run)
        work = folder / WORK
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(descriptor)


def _claim(descriptor: int, folder: Path, run: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Unavailable(
            f"expected {folder} for this filter alone, found another one at work there; wait for it"
        ) from None
    there = output.run_in(folder)
    if there is not None and there != run:
        raise InvalidInput(
            f"expected a folder without another run's files, found those of {there}; choose another --out"
        )
