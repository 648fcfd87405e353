"""The auditor's own subject map (FORMATS.md section 5): pairs in buckets, and the nodes above them in memory.

The root is that of `kept_map.refold`, which a property test holds; it comes in half of the time, for it is computed
for every map that a log ever published. Of the state only the buckets are kept: the nodes follow from them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from itertools import chain

from ledger.audit.state import State
from ledger.proof.chain import stream_value
from ledger.proof.kept_map import DEPTH, bucket_of
from ledger.proof.subject_map import EMPTY, EMPTY_NODE, INNER, LEAF, Node, Pair, map_leaf, subtree

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
        self._held: dict[int, dict[bytes, bytes]] = {}
        self._count = 0
        self._unsaved: set[int] = set()
        self._unfolded: set[int] = set()
        self._kinds = bytearray(2 * _FIRST)
        self._hashes = [EMPTY] * (2 * _FIRST)
        self._folded = False

    def buckets(self, numbers: Collection[int]) -> Mapping[int, Sequence[Pair]]:
        """The pairs in these buckets, sorted by key; an empty one is left out."""
        held = self._held
        found = self._read([number for number in numbers if number not in held])
        found |= {number: held[number] for number in numbers if number in held}
        return {number: sorted(pairs.items()) for number, pairs in found.items()}

    def write(self, heads: Mapping[bytes, tuple[int, bytes]]) -> int:
        """Takes in where streams stand; how many of them are new."""
        numbers = [bucket_of(key) for key in heads]
        touched = set(numbers)
        held = self._held
        held.update(self._read([number for number in touched if number not in held]))
        new = 0
        for number, (key, head) in zip(numbers, heads.items(), strict=True):
            pairs = held.get(number)
            if pairs is None:
                pairs = held[number] = {}
            new += key not in pairs
            pairs[key] = stream_value(*head)
        self._count += len(heads)
        self._unsaved |= touched
        self._unfolded |= touched
        if self._count > MOST_HELD:
            self.save()
        return new

    def root(self) -> bytes:
        """The root of the map, 32 bytes; zeros while it is empty."""
        if not self._folded:
            # The state is opened again: what it has of the map is folded once.
            places = []
            for number, joined in self._state.rows("SELECT number, pairs FROM bucket"):
                self._set(number, list(_pairs(joined).items()))
                places.append(_FIRST + number)
            self._up(places)
            self._folded = True
        if self._unfolded:
            for number, touched in self.buckets(self._unfolded).items():
                self._set(number, touched)
            self._up([_FIRST + number for number in self._unfolded])
            self._unfolded = set()
        return self._hashes[1]

    def node(self, depth: int, index: int) -> Node:
        """The node at this place, no deeper than the buckets, of the map whose `root` was asked for last."""
        place = (1 << depth) + index
        return Node(self._kinds[place], self._hashes[place])

    def save(self) -> None:
        """Writes the buckets that changed since the last commit."""
        held = self._held
        self._state.write(
            "INSERT OR REPLACE INTO bucket VALUES (?, ?)",
            ((number, _joined(held[number])) for number in sorted(self._unsaved)),
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
        while level and level != {0}:
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

    def _read(self, numbers: Collection[int]) -> dict[int, dict[bytes, bytes]]:
        query = "SELECT number, pairs FROM bucket WHERE number IN"
        return {number: _pairs(joined) for number, joined in self._state.rows_of(query, numbers)}


def _pairs(joined: bytes) -> dict[bytes, bytes]:
    return {joined[at : at + _HASH]: joined[at + _HASH : at + _PAIR] for at in range(0, len(joined), _PAIR)}


def _joined(pairs: Mapping[bytes, bytes]) -> bytes:
    return b"".join(chain.from_iterable(sorted(pairs.items()) if len(pairs) > 1 else pairs.items()))
