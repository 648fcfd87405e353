"""Subjects' entries in the auditor's state, by stream, so that whole streams can be judged, and judged again.

They lie in parts, of which one is in memory at once. Of an entry of a known kind only what differs is kept, in a fifth
of its bytes; with the first entry of the kind it is whole again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from ledger.audit.pages import Columns, Kind, entry_of, kind_of
from ledger.audit.reading import MOST_SEEN, Reader
from ledger.audit.state import State

#: Parts by the first twelve bits of a stream key.
_PART_BITS = 12
#: Batches of entries: more than any log has commits.
_BATCH_BITS = 40
_MOST_BATCHES = (1 << _BATCH_BITS) - 1
#: What is left of the first two bytes.
_REST = 16 - _PART_BITS
#: An entry of a known kind: position, the kind's number, nonce, occurred_at, recorded_at, stream key and version.
_END = Struct(">QQ32s27s27s32sQ")
#: Before an entry that is kept whole: position, stream key and length.
_WHOLE = Struct(">Q32sI")
#: Streams that are judged at once, so that their parts are read together; more where one part has more.
_SOME = 500


class Known(NamedTuple):
    """An entry of a known kind."""

    position: int
    kind: Kind
    nonce: bytes
    occurred: bytes
    recorded: bytes
    key: bytes
    version: int

    @property
    def stored(self) -> bytes:
        """Its bytes."""
        return entry_of(*self[1:])


class Whole(NamedTuple):
    """An entry that was kept as it is."""

    position: int
    stored: bytes


class History:
    """Takes entries in while the log is read."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._batch: int = state.get("batch", 0)
        self._ends: defaultdict[int, list[bytes]] = defaultdict(list)
        self._whole: defaultdict[int, list[bytes]] = defaultdict(list)

    def keep_known(self, positions: Sequence[int], columns: Columns) -> None:
        """Of a page, the entries of known kinds."""
        ends = self._ends
        for position, kind, nonce, occurred, recorded, key, version in zip(positions, *columns, strict=True):
            if kind is not None:
                end = _END.pack(position, kind.number, nonce, occurred, recorded, key, version)
                ends[part_of(key)].append(end)

    def keep_whole(self, position: int, key: bytes, stored: bytes) -> None:
        self._whole[part_of(key)] += (_WHOLE.pack(position, key, len(stored)), stored)

    def save(self) -> None:
        """Writes what was kept since the last commit."""
        self._batch += 1
        ends, whole = self._ends, self._whole
        self._state.write(
            "INSERT INTO history VALUES (?, ?, ?)",
            (
                (_place(part, self._batch), b"".join(ends.get(part, ())), b"".join(whole.get(part, ())))
                for part in sorted(ends.keys() | whole.keys())
            ),
        )
        ends.clear()
        whole.clear()
        self._state.put(batch=self._batch)


class Histories:
    """Gives them back."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._reader = Reader()
        self._kinds: dict[int, Kind] = {}

    def streams(self, keys: Collection[bytes]) -> dict[bytes, list[Known | Whole]]:
        """All entries of these streams, in the order of their positions; best of streams that share parts."""
        streams: dict[bytes, list[Known | Whole]] = {key: [] for key in keys}
        for ends, whole in self._rows({part_of(key) for key in keys}):
            for position, number, nonce, occurred, recorded, key, version in _END.iter_unpack(ends):
                if key in streams:
                    kind = self._kinds.get(number) or self._kind(number)
                    streams[key].append(Known(position, kind, nonce, occurred, recorded, key, version))
            for key, entry in _whole_in(whole):
                if key in streams:
                    streams[key].append(entry)
        for entries in streams.values():
            entries.sort(key=_position)
        return streams

    def _rows(self, parts: Collection[int]) -> Iterator[tuple[bytes, bytes]]:
        query = "SELECT ends, whole FROM history WHERE place BETWEEN ? AND ?"
        for part in sorted(parts):
            yield from self._state.rows(query, _place(part, 0), _place(part, _MOST_BATCHES))

    def _kind(self, number: int) -> Kind:
        if len(self._kinds) >= MOST_SEEN:
            self._kinds.clear()
        (first,) = next(self._state.rows("SELECT first FROM kind WHERE number = ?", number))
        self._kinds[number] = kind = kind_of(number, first, self._reader.read(first))
        return kind


def _whole_in(joined: bytes) -> Iterator[tuple[bytes, Whole]]:
    start = 0
    while start < len(joined):
        position, key, length = _WHOLE.unpack_from(joined, start)
        start += _WHOLE.size + length
        yield key, Whole(position, joined[start - length : start])


def _position(entry: Known | Whole) -> int:
    return entry.position


def _place(part: int, batch: int) -> int:
    return part << _BATCH_BITS | batch


def part_of(key: bytes) -> int:
    """Where the entries of a stream lie."""
    return int.from_bytes(key[:2], "big") >> _REST


def unjudged_streams(state: State) -> Iterator[list[bytes]]:
    """The streams to judge, some at a time, and all of a part together."""
    firsts = state.rows("SELECT substr(key, 1, 2), count(*) FROM unjudged_stream GROUP BY 1 ORDER BY 1")
    counts: Counter[int] = Counter()
    for first, count in firsts:
        counts[part_of(first)] += count
    lowest, some = 0, 0
    for part, count in counts.items():
        some += count
        if some >= _SOME:
            yield _unjudged(state, lowest, part)
            lowest, some = part + 1, 0
    if some:
        yield _unjudged(state, lowest, (1 << _PART_BITS) - 1)


def _unjudged(state: State, lowest: int, highest: int) -> list[bytes]:
    """Those of the parts from one to another."""
    first = (lowest << _REST).to_bytes(2, "big")
    last = ((highest + 1 << _REST) - 1).to_bytes(2, "big") + b"\xff" * 32
    return [key for (key,) in state.rows("SELECT key FROM unjudged_stream WHERE key BETWEEN ? AND ?", first, last)]
