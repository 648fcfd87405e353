"""What a projection is: a table, and which rows a subject's record makes, each with the position that made it so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from msgspec import Struct

from ledger.domain.consent import Record
from ledger.domain.entry import topic_of
from ledger.domain.events import Accepted, SubjectErased, SubjectEvent, TermsShown, ToggleChanged

#: Where each version of a stream lies in the log.
Positions = Mapping[int, int]

#: The events that decide what is granted. Uses do not, and a person may have more of them than of all others.
CONSENT_EVENTS = (TermsShown, Accepted, ToggleChanged, SubjectErased)


class Row(Struct, frozen=True, kw_only=True):
    """One row; its fields are the table's columns. A row that ceases is kept, marked `gone`.

    `position` is that of the newest entry that the row rests on. So a row above a position is one that an entry
    above it made what it is, whatever the batches were; and a row never goes back, and never vanishes.
    """

    stream: str
    position: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Projection:
    """One projection: `rows` is a pure function of a subject's record, so replay and batches give the same."""

    name: str
    row: type[Row]
    #: The columns that name a row; `stream` is the first of them.
    key: tuple[str, ...]
    #: The events that rows are made of: the record holds no others.
    events: tuple[type[SubjectEvent], ...]
    rows: Callable[[Record, Positions], Iterable[Row]]
    #: Whether a row may rest on more than one entry; else the record holds the new ones only.
    remembers: bool = True

    @property
    def table(self) -> str:
        """The table, and the file in `sql/` that makes it."""
        return self.name.replace("-", "_")

    @property
    def tables(self) -> str:
        """The PostgreSQL schema that the table lies in; the table's SQL is the projection's own."""
        return f"projection_{self.table}"

    @property
    def columns(self) -> tuple[str, ...]:
        return self.row.__struct_fields__

    @property
    def topics(self) -> list[str]:
        return [topic_of(event) for event in self.events]
