"""What an export is of: entries of the log by subject, event, time and position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ledger.application import ConsentLedger


class Exported(NamedTuple):
    """One entry: its position, and the bytes that are stored and hashed."""

    position: int
    stored: bytes


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries; what is None selects nothing away. Every bound but `after` is part of the range."""

    streams: tuple[str, ...] | None = None
    events: tuple[str, ...] | None = None
    recorded_from: datetime | None = None
    recorded_until: datetime | None = None
    after: int = 0
    until: int | None = None


def select(ledger: ConsentLedger, selection: Selection) -> Iterator[Exported]:
    """The selected entries in the order of their positions, one page in memory; up to where the log ends now."""
    recorder = ledger.recorder
    head = recorder.head()
    until = head if selection.until is None else min(selection.until, head)
    after = selection.after
    while rows := recorder.selected(
        after=after,
        until=until,
        events=selection.events,
        streams=selection.streams,
        recorded_from=selection.recorded_from,
        recorded_until=selection.recorded_until,
    ):
        for position, stored in rows:
            yield Exported(position, bytes(stored))
        after = rows[-1][0]
