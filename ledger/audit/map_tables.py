"""The auditor's own subject map (FORMATS.md section 5): pairs in buckets, and the nodes above them in memory.

The root is that of `subject_map.refold`, which a property test holds; it comes in half of the time, for it is computed
for every map that a log ever published. Of the state only the buckets are kept: the nodes follow from them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain

from ledger.audit.state import State
from ledger.proof.chain import stream_value
from ledger.proof.subject_map import DEPTH, EMPTY, EMPTY_NODE, INNER, LEAF, Pair, bucket_of, map_leaf, subtree

_HASH, _PAIR = 32, 64
#: Pairs held in memory, at 300 bytes each; beyond it all are let go once they are written.
MOST_HELD = 100_000
#: Buckets lie at these places of a tree whose root is at 1 and whose node `n` has its halves at `2n` and `2n + 1`.
_FIRST = 1 << DEPTH


class MapTables:
    """The map up to some position. `write` takes streams in, `root` then folds what they touched."""

    def __init__(self, state: State) -> None:
        self._state = state
        #: Of buckets that were asked for lately.
        self._held: dict[int, list[Pair]] = {}
        self._count = 0
        self._unsaved: set[int] = set()
        self._unfolded: set[int] = set()
        self._kinds = bytearray(2 * _FIRST)
        self._hashes = [EMPTY] * (2 * _FIRST)
        self._folded = False

    def buckets(self, numbers: Collection[int]) -> Mapping[int, Sequence[Pair]]:
        """The pairs in these buckets, sorted by key; an empty one is left out."""
        missing = [number for number in numbers if number not in self._held]
        found = {number: self._held[number] for number in numbers if number in self._held}
        return found | self._read(missing)

    def write(self, heads: Mapping[bytes, tuple[int, bytes]]) -> int:
        """Takes in where streams stand; how many of them are new."""
        by_bucket: dict[int, list[bytes]] = {}
        for key in heads:
            by_bucket.setdefault(bucket_of(key), []).append(key)
        held = self._held
        held.update(self._read([number for number in by_bucket if number not in held]))
        new = 0
        for number, keys in by_bucket.items():
            values = dict(held.get(number, ()))
            before = len(values)
            for key in keys:
                values[key] = stream_value(*heads[key])
            new += len(values) - before
            held[number] = sorted(values.items()) if len(values) > 1 else list(values.items())
        self._count += len(heads)
        self._unsaved.update(by_bucket)
        self._unfolded.update(by_bucket)
        if self._count > MOST_HELD:
            self.save()
        return new

    def root(self) -> bytes:
        """The root of the map, 32 bytes; zeros while it is empty."""
        if not self._folded:
            # The state is opened again: what it has of the map is folded once.
            for number, pairs in self._all():
                self._set(number, pairs)
            self._up(range(2 * _FIRST - 1, _FIRST - 1, -1))
            self._folded = True
        if self._unfolded:
            for number, touched in self.buckets(self._unfolded).items():
                self._set(number, touched)
            self._up([_FIRST + number for number in self._unfolded])
            self._unfolded = set()
        return self._hashes[1]

    def save(self) -> None:
        """Writes the buckets that changed since the last commit."""
        held = self._held
        self._state.write(
            "INSERT OR REPLACE INTO bucket VALUES (?, ?)",
            ((number, b"".join(chain.from_iterable(held[number]))) for number in sorted(self._unsaved)),
        )
        self._unsaved.clear()
        if self._count > MOST_HELD:
            # What is not folded yet is read again for it.
            held.clear()
            self._count = 0

    def _set(self, number: int, pairs: Sequence[Pair]) -> None:
        place = _FIRST + number
        if len(pairs) == 1:
            self._kinds[place], self._hashes[place] = LEAF, map_leaf(*pairs[0])
        else:
            self._kinds[place], self._hashes[place] = subtree(pairs, DEPTH)

    def _up(self, places: Collection[int]) -> None:
        """Hashes all nodes above these places of one depth anew, depth by depth."""
        kinds, hashes = self._kinds, self._hashes
        level = {place >> 1 for place in places}
        while level != {0}:
            for place in level:
                left = place << 1
                kind = kinds[left] + kinds[left + 1]
                if kind > LEAF:
                    kinds[place] = INNER
                    hashes[place] = sha256(b"\x03" + hashes[left] + hashes[left + 1]).digest()
                elif kind == LEAF:
                    # A single leaf travels up unhashed.
                    kinds[place] = LEAF
                    hashes[place] = hashes[left] if kinds[left] else hashes[left + 1]
                else:
                    kinds[place], hashes[place] = EMPTY_NODE, EMPTY
            level = {place >> 1 for place in level}

    def _all(self) -> Iterator[tuple[int, list[Pair]]]:
        for number, joined in self._state.rows("SELECT number, pairs FROM bucket"):
            yield number, _pairs(joined)

    def _read(self, numbers: Collection[int]) -> dict[int, list[Pair]]:
        query = "SELECT number, pairs FROM bucket WHERE number IN"
        return {number: _pairs(joined) for number, joined in self._state.rows_of(query, numbers)}


def _pairs(joined: bytes) -> list[Pair]:
    return [(joined[at : at + _HASH], joined[at + _HASH : at + _PAIR]) for at in range(0, len(joined), _PAIR)]
