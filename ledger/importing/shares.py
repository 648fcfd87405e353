"""What a batch of import lines brings to one stream: its lines in their order, and what becomes of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ledger.domain.consent import Record, fold
from ledger.domain.entry import Entry, encode_entry
from ledger.domain.runs import RunRecord, fold_run
from ledger.domain.terms import Catalogue
from ledger.importing.event_line import EventLine
from ledger.importing.lines import RawLine
from ledger.store.identities import Subject
from ledger.store.keys import Key
from ledger.store.writer import Append

Placed = tuple[int, Entry]


@dataclass(slots=True)
class Turn:
    """One line's turn; `place` is where it was recorded before."""

    line: EventLine
    #: Nobody, on the line of a run.
    subject: Subject | None
    keys: list[Key] = field(default_factory=list)
    place: int | None = None
    #: The first place of what comes after it in the file, if an earlier run stored some of that.
    before: int | None = None


@dataclass(slots=True)
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
    #: What an earlier run saw at the turn of a line that it did not store, and what it stored after that.
    _earlier: Record | None = None
    _later: deque[Placed] = field(default_factory=deque)

    @property
    def append(self) -> Append | None:
        """What there is to store."""
        if self.is_lost or not self.entries:
            return None
        return Append(self.stream, self.first_version, self.entries, self.keys)

    def needs_entries(self) -> bool:
        """Whether anything is to be decided, on a stream that may hold something."""
        return self.new_id is None and any(turn.place is None for turn in self.turns)

    def was_begun(self) -> bool:
        """Whether an earlier run stored some of these lines, so that the places of its entries matter."""
        return any(turn.place is not None for turn in self.turns)

    def begin(self, placed: Sequence[Placed], catalogue: Catalogue) -> None:
        """Takes in the stream as it is; then lines are decided, in order."""
        _fold(self.record, [entry for _, entry in placed])
        self.first_version = self.record.version + 1
        if not placed or not self.was_begun():
            return
        self._earlier, self._later = Record(self.stream, catalogue), deque(placed)
        before: int | None = None
        for turn in reversed(self.turns):
            turn.before = before
            if turn.place is not None:
                before = turn.place if before is None else min(before, turn.place)

    def earlier(self, before: int) -> Record:
        """The record as it was before that position, with what was added to it since."""
        assert self._earlier is not None  # noqa: S101 - of a share that was begun
        while self._later and self._later[0][0] < before:
            _fold(self._earlier, [self._later.popleft()[1]])
        return self._earlier

    def add(self, line: EventLine, entries: Sequence[Entry], keys: Iterable[Key]) -> None:
        """What was decided on `line`; nothing of it where an entry cannot be stored."""
        stored = [encode_entry(entry) for entry in entries]
        self.keys += [Key(key.key, key.request, key.fence, len(self.entries)) for key in keys]
        self.entries += stored
        self.first = self.first or line
        _fold(self.record, entries)
        if self._earlier is not None:
            _fold(self._earlier, entries)


def _fold(record: Record | RunRecord, entries: Iterable[Entry]) -> None:
    if isinstance(record, Record):
        fold(entries, record)
    else:
        fold_run(entries, record)
