"""The subject map, from stream key to (length, head): a binary prefix tree on the key's bits (FORMATS.md section 5).

Its tags and zeros are those of draft-ietf-keytrans-protocol, "Prefix Tree". The key's bits fix the path, so under one
root every key has one end: its own leaf, or what shows that it has none.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ledger.errors import NotVerified
from ledger.proof.chain import stream_value
from ledger.proof.merkle import HASH_SIZE

#: A key has so many bits, and so no path is longer.
KEY_BITS = 256
#: Lengths are written in eight bytes.
LONGEST_STREAM = 2**64 - 1
EMPTY = bytes(HASH_SIZE)
EMPTY_NODE, LEAF, INNER = 0, 1, 2

#: A stream key and its value.
Pair = tuple[bytes, bytes]


class Node(NamedTuple):
    """A subtree's hash, and what it is: a single leaf travels up unhashed, so parents must know."""

    kind: int
    hash: bytes


NOTHING = Node(EMPTY_NODE, EMPTY)


@dataclass(frozen=True, slots=True)
class MapProof:
    """The siblings from the root down, and the end: the key's own (length, head), another's (key, value) or nothing."""

    siblings: tuple[bytes, ...]
    own: tuple[int, bytes] | None = None
    other: Pair | None = None


def map_leaf(key: bytes, value: bytes) -> bytes:
    return hashlib.sha256(b"\x02" + key + value).digest()


def map_node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x03" + left + right).digest()


def join(left: Node, right: Node) -> Node:
    """The subtree of two halves."""
    if left.kind + right.kind <= LEAF:
        return left if left.kind else right
    return Node(INNER, map_node(left.hash, right.hash))


def subtree(pairs: Sequence[Pair], depth: int) -> Node:
    """The subtree of pairs, sorted by key, each key once, whose keys have the first `depth` bits in common."""
    if len(pairs) < 2:
        return Node(LEAF, map_leaf(*pairs[0])) if pairs else NOTHING
    return Node(INNER, _hashed(pairs, 0, len(pairs), depth))


def verify_map(key: bytes, proof: MapProof, root: bytes) -> tuple[int, bytes] | None:
    """The (length, head) of `key` in the map with this root, None where it has none; `NotVerified` without proof."""
    siblings = proof.siblings
    if len(siblings) > KEY_BITS:
        raise NotVerified(f"expected at most {KEY_BITS} siblings in a map proof, found {len(siblings)}; make it anew")
    _demand_hashes(key, root, *siblings)
    node = _end_of(key, proof)
    for depth in range(len(siblings) - 1, -1, -1):
        sibling = siblings[depth]
        node = map_node(sibling, node) if bit(key, depth) else map_node(node, sibling)
    if node != root:
        raise NotVerified(
            "expected a map proof under the root of the map's entry, found another root; "
            "the proof, the length, the head or the root was changed"
        )
    return proof.own


def _hashed(pairs: Sequence[Pair], start: int, end: int, depth: int) -> bytes:
    """The hash of some of the pairs, at least one. It goes to the bit where they part at once, and up from there."""
    first = pairs[start][0]
    if end - start == 1:
        return map_leaf(*pairs[start])
    number = int.from_bytes(first, "big")
    # So many bits are left of the keys where they part.
    left = (number ^ int.from_bytes(pairs[end - 1][0], "big")).bit_length()
    above = (number >> left - 1 | 1) << left - 1
    middle = bisect_left(pairs, (above.to_bytes(HASH_SIZE, "big"),), start, end) if end - start > 2 else start + 1
    parted = KEY_BITS - left
    node = map_node(_hashed(pairs, start, middle, parted + 1), _hashed(pairs, middle, end, parted + 1))
    for at in range(parted - 1, depth - 1, -1):
        node = map_node(EMPTY, node) if bit(first, at) else map_node(node, EMPTY)
    return node


def _end_of(key: bytes, proof: MapProof) -> bytes:
    """The hash at the proof's end, which may stand there."""
    if proof.own is not None and proof.other is not None:
        raise NotVerified("expected one end of a map proof, found the key's own and another's; make the proof anew")
    if proof.own is not None:
        length, head = proof.own
        if not 1 <= length <= LONGEST_STREAM:
            raise NotVerified(f"expected a stream of at least one entry in the map, found length {length}")
        _demand_hashes(head)
        return map_leaf(key, stream_value(length, head))
    if proof.other is not None:
        other, value = proof.other
        _demand_hashes(other, value)
        if other == key:
            raise NotVerified("expected another's key at the end of a proof of absence, found the key itself")
        if any(bit(other, depth) != bit(key, depth) for depth in range(len(proof.siblings))):
            raise NotVerified("expected another's key on the path of the one asked for, found one that lies off it")
        return map_leaf(other, value)
    if proof.siblings and proof.siblings[-1] == EMPTY:
        raise NotVerified("expected an empty end beside something, found an empty last sibling; make the proof anew")
    return EMPTY


def bit(key: bytes, depth: int) -> int:
    """Bit 0 is the most significant of byte 0."""
    return key[depth // 8] >> (7 - depth % 8) & 1


def halves(pairs: Sequence[Pair], depth: int) -> tuple[Sequence[Pair], Sequence[Pair]]:
    split = bisect_left(pairs, 1, key=lambda pair: bit(pair[0], depth))
    return pairs[:split], pairs[split:]


def _demand_hashes(*hashes: bytes) -> None:
    for found in hashes:
        if len(found) != HASH_SIZE:
            raise NotVerified(f"expected {HASH_SIZE} bytes in each hash of a map proof, found {len(found)}")
