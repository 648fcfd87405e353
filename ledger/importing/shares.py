"""What a batch of import lines brings to one stream: its lines in their order, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import UNSET

from ledger.domain.consent import Record, fold, record_of
from ledger.domain.entry import Entry, encode_entry
from ledger.domain.runs import RunRecord, fold_run
from ledger.domain.terms import Catalogue
from ledger.domain.times import format_time
from ledger.importing.event_line import EventLine
from ledger.importing.lines import RawLine
from ledger.store.identities import Subject
from ledger.store.keys import Key
from ledger.store.writer import Append

Placed = tuple[int, Entry]
#: The position of what this batch adds.
_NOT_YET = 0


@dataclass(slots=True, eq=False)
class Turn:
    """One line's turn; `place` is where it was recorded before."""

    line: EventLine
    #: Nobody, on the line of a run.
    subject: Subject | None
    keys: list[Key] = field(default_factory=list)
    place: int | None = None


@dataclass(slots=True, eq=False)
class Share:
    """The lines of one stream, and what was decided on them so far."""

    stream: str
    record: Record | RunRecord
    #: The id of somebody new, who is linked once there is something to store; nothing can be in their stream.
    new_id: bytes | None = None
    turns: list[Turn] = field(default_factory=list)
    #: The first line of which there is something to store.
    first: EventLine | None = None
    first_version: int = 1
    entries: list[bytes] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    repeated: int = 0
    rejected: list[tuple[RawLine, str]] = field(default_factory=list)
    #: Whether somebody new turned out to be linked, or erased, by another caller: to be decided again.
    is_lost: bool = False
    #: The whole stream, where an earlier run may have stored what comes after one of the lines.
    _whole: list[Placed] | None = None

    @property
    def lines(self) -> Sequence[EventLine]:
        return [turn.line for turn in self.turns]

    @property
    def named(self) -> str:
        """The name that what there is to store came under first."""
        return "" if self.first is None else self.first.named or ""

    @property
    def first_recorded(self) -> datetime | None:
        """When the first of what there is to store was recorded."""
        return None if self.first is None else self.first.recorded

    @property
    def append(self) -> Append | None:
        """What there is to store."""
        if self.is_lost or not self.entries:
            return None
        return Append(self.stream, self.first_version, self.entries, self.keys)

    def needs_entries(self, is_known: bool) -> bool:
        """Whether there is anything to decide on a stream that must be read; `is_known`: the last batch had it."""
        was_begun = any(turn.place is not None for turn in self.turns)
        is_done = all(turn.place is not None for turn in self.turns)
        return self.new_id is None and not is_done and (was_begun or not is_known)

    def begin(self, placed: Sequence[Placed], source: str) -> None:
        """Takes in the stream as it is; then lines are decided, in order."""
        _fold(self.record, [entry for _, entry in placed])
        self.first_version = self.record.version + 1
        first = format_time(self.turns[0].line.recorded)
        if any(turn.place is not None for turn in self.turns) or any(_is_later(e, first, source) for _, e in placed):
            self._whole = list(placed)

    def go_on(self, last: Share) -> None:
        """Takes over what the last batch knew of the stream."""
        self.record, self._whole = last.record, last._whole
        self.first_version = self.record.version + 1

    def before(self, turn: Turn, source: str, catalogue: Catalogue) -> Record | None:
        """The record without what the same source brings after this line; None where nothing of it is stored."""
        if self._whole is None:
            return None
        after = {other.place for other in self.turns[self.turns.index(turn) + 1 :]}
        moment = format_time(turn.line.recorded)
        kept = [entry for place, entry in self._whole if place not in after and not _is_later(entry, moment, source)]
        return None if len(kept) == len(self._whole) else record_of(self.stream, kept, catalogue)

    def add(self, line: EventLine, entries: Sequence[Entry], keys: Iterable[Key]) -> None:
        """What was decided on `line`; nothing of it where an entry cannot be stored."""
        stored = [encode_entry(entry) for entry in entries]
        self.keys += [Key(key.key, key.request, key.fence, len(self.entries)) for key in keys]
        self.entries += stored
        self.first = self.first or line
        _fold(self.record, entries)
        if self._whole is not None:
            self._whole += [(_NOT_YET, entry) for entry in entries]


def _is_later(entry: Entry, moment: str, source: str) -> bool:
    """Whether that source recorded it after `moment`, a time as entries write it."""
    if entry.imported is UNSET or entry.imported.source != source:
        return False
    own = entry.recorded_at if entry.imported.recorded_at is UNSET else entry.imported.recorded_at
    return own > moment


def _fold(record: Record | RunRecord, entries: Iterable[Entry]) -> None:
    if isinstance(record, Record):
        fold(entries, record)
    else:
        fold_run(entries, record)
