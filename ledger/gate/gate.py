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
from types import TracebackType
from typing import Any, Protocol, Self

from msgspec import UNSET

from ledger.application import ConsentLedger
from ledger.domain.events import InputFile, RunFinished, RunStarted
from ledger.domain.names import run_stream
from ledger.domain.times import format_time, parse_time
from ledger.domain.uses import is_backdated
from ledger.errors import InvalidInput, Unavailable
from ledger.gate import output
from ledger.gate.cutoff import load_people, load_rules, micros_of
from ledger.gate.duckdb_engine import Engine
from ledger.gate.inputs import Items, load
from ledger.gate.manifest import run_root
from ledger.gate.record_uses import RunOf, record_uses

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

    def __init__(self, ledger: ConsentLedger, asked: Asked, work: Path, watch: Watch) -> None:
        self._ledger = ledger
        self._asked = asked
        self._work = work
        self._watch = watch
        self._engine = Engine(work)
        self._start: RunStarted | None = None
        # A rerun is judged when the run was recorded: today's clock would make it another answer.
        self._judged: datetime = ledger.clock.now()
        self._started_position = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()

    def start(self, *, dry: bool = False) -> RunStarted:
        """Step 1: the cutoff, and `run-started`; a run that exists keeps its cutoff, and must be the same."""
        self._watch.now("reading the files", self._asked.items.bytes)
        files = self._asked.items.fingerprints(self._watch.advance)
        existing = self._ledger.run_of(self._asked.run).started
        start = self._new_start(files, existing.data if existing else None)
        if not dry:
            entry = self._ledger.start_run(self._asked.run, start)
            start, self._judged = entry.data, entry.recorded
            self._started_position = self._ledger.entries_of(run_stream(self._asked.run))[0][0]
        elif parse_time(start.started_at) > self._judged:
            raise InvalidInput(
                f"expected a run started by now, found {start.started_at}; a run never starts in the future"
            )
        self._start = start
        return start

    def _new_start(self, files: list[InputFile], existing: RunStarted | None) -> RunStarted:
        purpose = self._asked.purpose or (existing.purpose if existing else self._only_purpose())
        kind = self._asked.kind or (existing.kind if existing else self._first_kind(purpose))
        started = self._asked.started
        if self._asked.parent is not None and self._ledger.run_of(self._asked.parent).started is None:
            raise InvalidInput(
                f"expected --parent to name a run in the log, found {self._asked.parent}; check its name"
            )
        return RunStarted(
            purpose=purpose,
            kind=kind,
            started_at=(
                format_time(started)
                if started
                else (existing.started_at if existing else format_time(self._ledger.clock.now()))
            ),
            cutoff=self._ledger.recorder.head(),
            input=files,
            parent=self._asked.parent or UNSET,
        )

    def _only_purpose(self) -> str:
        purposes = {purpose for terms in self._ledger.catalogue().all() for purpose in terms.purpose_ids}
        if len(purposes) != 1:
            raise InvalidInput(
                f"expected one purpose in the published terms, found {', '.join(sorted(purposes)) or 'none'}; "
                "publish terms, or name one with --purpose"
            )
        return purposes.pop()

    def _first_kind(self, purpose_id: str) -> str:
        for terms in reversed(self._ledger.catalogue().all()):
            if (purpose := terms.purpose(purpose_id)) is not None:
                return purpose.data[0]
        raise InvalidInput(f"expected a purpose of published terms, found {purpose_id!r}; see `consent terms list`")

    def decide(self) -> None:
        """Step 2: every item's verdict as of the cutoff, in bulk."""
        run, start = self._run_of_uses(), self._begun()
        self._watch.now("loading the items")
        load(self._engine.connection, self._asked.items)
        self._engine.insert("run", [[run.purpose, start.kind, micros_of(run.started), micros_of(run.judged)]])
        load_rules(self._engine, self._ledger.catalogue(), run.purpose)
        (people,) = self._engine.one("SELECT count(DISTINCT subject) FROM given")
        self._watch.now("reading the people's entries", people)
        load_people(self._engine, self._ledger, start.cutoff, self._work, self._watch.advance)
        for step in self._engine.decide():
            self._watch.now(f"deciding: {step}")

    def verdicts(self) -> output.Counts:
        """How the items come out at the cutoff."""
        return output.count(self._engine, "verdict")

    def record(self) -> None:
        """Step 3: the uses, each subject's on its own stream."""
        done = output.load_uses(self._engine, self._ledger, self._asked.run, self._started_position)
        (people,) = self._engine.one("SELECT count(DISTINCT stream) FROM verdict WHERE reason = 'granted'")
        self._watch.now("recording the uses", people)
        if self._ledger.run_of(self._asked.run).finished is None:
            record_uses(self._ledger, self._engine, self._run_of_uses(), done, self._watch.advance)

    def finish(self) -> None:
        """Step 4: `run-finished`, once all uses are in the log."""
        self._watch.now("finishing the run")
        output.load_uses(self._engine, self._ledger, self._asked.run, self._started_position)
        uses, items = self._engine.one("SELECT count(*), CAST(coalesce(sum(items), 0) AS BIGINT) FROM use")
        # Bytewise order of the canonical leaves: a version is decimal there, so 10 comes before 9.
        query = "SELECT stream, version FROM use ORDER BY stream, CAST(version AS VARCHAR) || ']'"
        root = run_root((str(stream), int(version)) for stream, version in self._engine.stream(query))
        self._ledger.finish_run(self._asked.run, RunFinished(uses=uses, items=items, root=root))

    def write(self, folder: Path) -> Outcome:
        """Step 5: the files, from the log."""
        self._watch.now("writing the files")
        counts = output.answer(self._engine, self._ledger, self._run_of_uses())
        summary = self._summary(counts)
        output.write(self._engine, folder, self._work, summary)
        return Outcome(summary, counts)

    def _summary(self, counts: output.Counts) -> dict[str, Any]:
        start = self._begun()
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

    def _begun(self) -> RunStarted:
        assert self._start is not None  # noqa: S101 - the steps come in their order
        return self._start

    def _run_of_uses(self) -> RunOf:
        start = self._begun()
        return RunOf(self._asked.run, start.purpose, parse_time(start.started_at), self._judged)


def dry_run(ledger: ConsentLedger, asked: Asked, watch: Watch) -> tuple[RunStarted, output.Counts]:
    """What the verdicts would be now; nothing is recorded or written."""
    with tempfile.TemporaryDirectory(prefix="consent-") as work, Gate(ledger, asked, Path(work), watch) as gate:
        start = gate.start(dry=True)
        gate.decide()
        return start, gate.verdicts()


def filter_items(ledger: ConsentLedger, asked: Asked, folder: Path, watch: Watch) -> Outcome:
    """All five steps."""
    with working_folder(folder, asked.run) as work, Gate(ledger, asked, work, watch) as gate:
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
