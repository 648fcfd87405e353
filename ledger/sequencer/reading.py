"""The log as the sequencer reads it: every position, and the bytes themselves; a row's columns could say otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain.entry import Entry, decode_entry
from ledger.domain.events import SubjectMapPublished
from ledger.errors import InvalidEntry, NotVerified
from ledger.store.recorder import LogRecorder

#: A position and the entry's stored bytes.
Stored = tuple[int, bytes]


def pages(recorder: LogRecorder, after: int, until: int) -> Iterator[list[Stored]]:
    """Every entry after one position and up to another; `NotVerified` where one is missing."""
    while after < until:
        page = [(position, bytes(stored)) for position, *_, stored in recorder.page(after, until)]
        if not page or [position for position, _ in page] != list(range(after + 1, after + 1 + len(page))):
            raise NotVerified(
                f"expected every position from {after + 1} to {until}, found that some are missing; "
                "run `consent doctor`, which names them"
            )
        yield page
        after = page[-1][0]


def decoded(position: int, stored: bytes) -> Entry:
    """The entry of these bytes; `NotVerified` where they are none."""
    try:
        return decode_entry(stored)
    except InvalidEntry as error:
        raise NotVerified(f"expected an entry at position {position}, found: {error}; run `consent doctor`") from None


def map_entry(recorder: LogRecorder, position: int) -> SubjectMapPublished | None:
    """The map that stands at this position; None where another event does, and at 0, before the first."""
    for page in pages(recorder, max(0, position - 1), position):
        event = decoded(*page[0]).data
        return event if isinstance(event, SubjectMapPublished) else None
    return None
