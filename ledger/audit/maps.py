"""Every subject map of a log, folded anew from its entries and compared (FORMATS.md section 5)."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence

from ledger.audit.findings import Finding, Kind
from ledger.audit.map_tables import MapTables
from ledger.audit.state import State
from ledger.domain.events import SubjectMapPublished
from ledger.domain.names import LOG_STREAM
from ledger.proof.subject_map import Node, Pair

#: How streams moved on: at these positions, the streams with these keys came to these lengths and heads.
Changes = tuple[Sequence[int], Sequence[bytes], Sequence[int], Sequence[bytes]]

_CHANGE = struct.Struct(">Q32sQ32s")
#: Streams that are folded into the map at once, so that memory stays bounded where one map covers a whole log.
MOST_CHANGES = 100_000


class Maps:
    """The map as of what the last map entry covers, and how streams moved on since."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._tables = MapTables(state)
        self._covers: int = state.get("covers", 0)
        self._streams: int = state.get("map_streams", 0)
        #: Of the entries since the last commit, those that no map covered yet.
        self._pending: list[Changes] = []

    def moved(self, changes: Changes) -> None:
        """Streams that moved on, in the order of the positions."""
        if changes[0]:
            self._pending.append(changes)

    @property
    def covers(self) -> int:
        """Up to which position the map is folded."""
        return self._covers

    def root(self) -> bytes:
        return self._tables.root()

    def node(self, depth: int, index: int) -> Node:
        """The map's node at this place, no deeper than the buckets."""
        return self._tables.node(depth, index)

    def buckets(self, numbers: Collection[int]) -> Mapping[int, Sequence[Pair]]:
        """The streams' keys and values in these buckets of the map."""
        return self._tables.buckets(numbers)

    def check(self, position: int, version: int, data: SubjectMapPublished) -> Iterator[Finding]:
        """What is wrong with the map of the entry at `position`; the map is folded up to what it covers."""

        def finding(kind: Kind, sentence: str, **details: str | int) -> Finding:
            return Finding(kind, sentence, position, LOG_STREAM, version, details)

        if not self._covers <= data.covers < position:
            yield finding(
                "map-covers",
                f"expected the map at position {position} to cover {self._covers} to {position - 1} entries, "
                f"as maps never go back, found {data.covers}",
            )
            return
        root = self._fold(data.covers).hex()
        if root != data.root:
            yield finding(
                "map-root",
                f"expected the map over the entries 1 to {data.covers} at position {position} to have the root "
                f"{root}, found {data.root}: some stream was cut short, left out or changed in it",
                covers=data.covers,
                expected=root,
                found=data.root,
            )
        if self._streams != data.streams:
            yield finding(
                "map-streams",
                f"expected {self._streams} streams in the map at position {position}, found that it says "
                f"{data.streams}",
                expected=self._streams,
                found=data.streams,
            )

    def _fold(self, covers: int) -> bytes:
        for heads in self._until(covers):
            self._streams += self._tables.write(heads)
        self._covers = covers
        return self._tables.root()

    def _until(self, covers: int) -> Iterator[dict[bytes, tuple[int, bytes]]]:
        """Where streams stood at `covers`, some at a time; what is read is pending no more."""
        heads: dict[bytes, tuple[int, bytes]] = {}
        for _, keys, lengths, ends in self._changes(covers):
            heads.update(zip(keys, zip(lengths, ends, strict=True), strict=True))
            if len(heads) >= MOST_CHANGES:
                yield heads
                heads = {}
        if heads:
            yield heads
        self._state.connection.execute("DELETE FROM pending WHERE last <= ?", (covers,))
        self._pending = [after for changes in self._pending if (after := _cut(changes, covers, None))[0]]

    def _changes(self, covers: int) -> Iterator[Changes]:
        """Those that the map does not cover yet, up to `covers`."""
        query = "SELECT changes FROM pending WHERE last > ? ORDER BY last"
        for (joined,) in self._state.rows(query, self._covers):
            positions, keys, lengths, heads = zip(*_CHANGE.iter_unpack(joined), strict=True)
            yield _cut((positions, keys, lengths, heads), self._covers, covers)
        for changes in self._pending:
            yield _cut(changes, self._covers, covers)

    def save(self) -> None:
        """Writes what changed since the last commit."""
        if self._pending:
            rows = (row for changes in self._pending for row in zip(*changes, strict=True))
            joined = b"".join(_CHANGE.pack(*row) for row in rows)
            self._state.write("INSERT INTO pending VALUES (?, ?)", [(self._pending[-1][0][-1], joined)])
            self._pending = []
        self._tables.save()
        self._state.put(covers=self._covers, map_streams=self._streams)


def _cut(changes: Changes, after: int, until: int | None) -> Changes:
    """Of these, the ones after one position, and up to another."""
    positions = changes[0]
    first = bisect_right(positions, after)
    last = len(positions) if until is None else bisect_right(positions, until)
    return positions[first:last], changes[1][first:last], changes[2][first:last], changes[3][first:last]
