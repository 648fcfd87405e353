"""Which times an entry may have at its place in the log (FORMATS.md section 1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from msgspec import UNSET

from ledger.audit.findings import Kind
from ledger.audit.reading import Read
from ledger.domain.events import (
    DataUsedForTraining,
    RunFinished,
    RunStarted,
    SubjectErased,
    SubjectMapPublished,
    TermsPublished,
)
from ledger.domain.times import parse_time

#: LATENESS: an append that waited longer is decided again, so no honest ledger has an entry that is later.
LATENESS = timedelta(seconds=60)


def wrong_times(read: Read, last: str | None, highest: str) -> Iterator[tuple[Kind, str]]:
    """What is wrong with an entry's times, as the ends of sentences.

    `last` is when the entry before it in its stream was recorded, `highest` the highest time at which any entry at a
    lower position was, of those not imported; both as entries write times, which sort as they follow.
    """
    imported = read.imported
    if last is not None and read.recorded_at < last:
        yield "time-falls", f"recorded_at {read.recorded_at}, before {last} of the entry before it in its stream"
    if imported is UNSET:
        if is_late(read.recorded_at, highest):
            yield (
                "dated-back",
                f"recorded_at {read.recorded_at}, dated back by more than a minute: an entry before it was recorded "
                f"{highest}, and it has no mark of an import",
            )
    else:
        if is_late(imported.at, highest):
            yield (
                "dated-back",
                f"imported at {imported.at}, dated back by more than a minute: an entry before it was recorded "
                f"{highest}",
            )
        if read.recorded_at > imported.at:
            yield "import-time", f"recorded_at {read.recorded_at}, after its import at {imported.at}"
        own = imported.recorded_at
        if own is not UNSET and not (own < read.recorded_at and read.recorded_at == last):
            yield (
                "import-time",
                f"the source's own time {own} moved to {read.recorded_at}, which its stream did not ask",
            )
    if read.occurred_at != read.recorded_at:
        yield from _wrong_occurrence(read)


def is_late(moment: str, highest: str) -> bool:
    """Whether `moment` is more than LATENESS below `highest`."""
    return moment < highest and parse_time(highest) - parse_time(moment) > LATENESS


def _wrong_occurrence(read: Read) -> Iterator[tuple[Kind, str]]:
    """Of an entry that occurred at another time than it was recorded."""
    match read.data:
        case SubjectMapPublished():
            if read.occurred_at > read.recorded_at:
                yield (
                    "map-time",
                    f"occurred_at {read.occurred_at}, after it was recorded at {read.recorded_at}: a map is complete "
                    "as of a time before it",
                )
            return
        case RunStarted() | DataUsedForTraining() if read.imported is not UNSET:
            return
        case DataUsedForTraining(attested=True):
            return
        case RunStarted() | DataUsedForTraining() | TermsPublished() | SubjectErased() | RunFinished():
            yield (
                "occurred-differs",
                f"occurred_at {read.occurred_at} and recorded_at {read.recorded_at}, where no person acted",
            )
