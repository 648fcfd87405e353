"""Training runs: their record, how they start and how they finish (design, sections 4 and 8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ledger.domain.entry import Entry
from ledger.domain.events import InputFile, RunFinished, RunStarted
from ledger.domain.times import format_time, parse_time
from ledger.errors import InvalidInput, RunDiffers

#: An input may be thousands of files; a sentence about it names the first.
MOST_FILES_SHOWN = 3


@dataclass(slots=True)
class RunRecord:
    """What one run's stream says: how it started, and, once it did, how it finished."""

    stream: str
    version: int = 0
    recorded: datetime | None = None
    started: Entry | None = None
    finished: Entry | None = None


def fold_run(entries: Iterable[Entry], record: RunRecord) -> RunRecord:
    for entry in entries:
        match entry.data:
            case RunStarted():
                record.started = entry
            case RunFinished():
                record.finished = entry
        record.version = entry.version
        record.recorded = entry.recorded
    return record


def decide_start(record: RunRecord, start: RunStarted, now: datetime) -> list[RunStarted]:
    """The start to record: none where the run was started just so; its cutoff and parent are information."""
    if record.started is None:
        if parse_time(start.started_at) > now:
            raise InvalidInput(
                f"expected a run started by now, {format_time(now)}, found {start.started_at}; a run never "
                "starts in the future"
            )
        return [start]
    before: RunStarted = record.started.data
    for what in ("purpose", "started_at", "kind", "input"):
        if getattr(before, what) != getattr(start, what):
            raise RunDiffers(
                f"expected run {record.stream.removeprefix('run/')} with the {what} it was started with, "
                f"{_shown(getattr(before, what))}, found {_shown(getattr(start, what))}; give this run another name"
            )
    return []


def decide_finish(record: RunRecord, finish: RunFinished) -> list[RunFinished]:
    """The end to record: none where the run has it already."""
    return [] if record.finished is not None else [finish]


def _shown(value: str | Sequence[InputFile]) -> str:
    if isinstance(value, str):
        return value
    named = [f"{file.sha256[:12]}… of {file.bytes} bytes" for file in value[:MOST_FILES_SHOWN]]
    left_out = len(value) - len(named)
    return ", ".join(named) + (f" and {left_out} more files" if left_out else "")
