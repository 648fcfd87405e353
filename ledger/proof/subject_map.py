"""The subject map, from stream key to (length, head): a binary prefix tree on the key's bits (FORMATS.md section 5).

Its tags and zeros are those of draft-ietf-keytrans-protocol, "Prefix Tree". The key's bits fix the path, so under one
root every key has one end: its own leaf, or what shows that it has none.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ledger.errors import NotVerified
from ledger.proof.chain import stream_value
from ledger.proof.merkle import HASH_SIZE

#: A key has so many bits, and so no path is longer.
KEY_BITS = 256
#: Lengths are written in eight bytes.
LONGEST_STREAM = 2**64 - 1
EMPTY = bytes(HASH_SIZE)
EMPTY_NODE, LEAF, INNER = 0, 1, 2

#: How many levels of nodes a store keeps; the subtrees below, one a bucket, are hashed anew from their pairs. Sixteen
#: keys a bucket at a million streams. It is no part of the format: the root does not depend on it.
DEPTH = 16
#: Buckets read at once, so that memory stays bounded when a whole map is folded.
BUCKETS_AT_ONCE = 1_024

#: A stream key and its value.
Pair = tuple[bytes, bytes]
#: (depth, index): the index-th of the 2**depth subtrees at that depth.
Place = tuple[int, int]


class Node(NamedTuple):
    """A subtree's hash, and what it is: a single leaf travels up unhashed, so parents must know."""

    kind: int
    hash: bytes


_NOTHING = Node(EMPTY_NODE, EMPTY)


class MapStore(Protocol):
    """Where the pairs lie, in buckets by the first DEPTH bits of their key, and the nodes above them."""

    def buckets(self, numbers: Collection[int]) -> Mapping[int, Sequence[Pair]]:
        """All pairs of these buckets, sorted by key; an empty bucket may be left out."""
        ...

    def nodes(self, places: Collection[Place]) -> Mapping[Place, Node]:
        """The nodes kept at these places; an empty one may be left out."""
        ...

    def write_nodes(self, nodes: Mapping[Place, Node]) -> None: ...


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
        return Node(LEAF, map_leaf(*pairs[0])) if pairs else _NOTHING
    left, right = _halves(pairs, depth)
    return join(subtree(left, depth + 1), subtree(right, depth + 1))


def bucket_of(key: bytes) -> int:
    """The number that the first DEPTH bits of the key make."""
    return int.from_bytes(key, "big") >> (KEY_BITS - DEPTH)


def refold(store: MapStore, touched: Collection[int]) -> bytes:
    """Hashes the touched buckets and all nodes above them anew and writes them; the root."""
    if not touched:
        return root_of(store)
    changed = _fold_buckets(store, touched)
    beside = store.nodes(_siblings_of(touched))

    def node_at(depth: int, index: int) -> Node:
        return changed.get((depth, index)) or beside.get((depth, index), _NOTHING)

    level = set(touched)
    for depth in range(DEPTH - 1, -1, -1):
        level = {index // 2 for index in level}
        for index in level:
            changed[depth, index] = join(node_at(depth + 1, 2 * index), node_at(depth + 1, 2 * index + 1))
    store.write_nodes(changed)
    return changed[0, 0].hash


def root_of(store: MapStore) -> bytes:
    """The root of the whole map, 32 bytes; zeros while it is empty."""
    return store.nodes([(0, 0)]).get((0, 0), _NOTHING).hash


def prove(store: MapStore, key: bytes, own: tuple[int, bytes] | None) -> MapProof:
    """The proof for a key; `own` is its (length, head) where it is in the map, and None where it is not."""
    bucket = bucket_of(key)
    path = [(depth, bucket >> (DEPTH - depth)) for depth in range(DEPTH + 1)]
    nodes = store.nodes([*path, *((depth, index ^ 1) for depth, index in path[1:])])
    siblings: list[bytes] = []
    for depth, index in path:
        if depth:
            siblings.append(nodes.get((depth, index ^ 1), _NOTHING).hash)
        end = nodes.get((depth, index), _NOTHING)
        if end.kind != INNER:
            found = _leaf_below(store, depth, index) if end.kind == LEAF else None
            return _ended(siblings, key, own, found)
    pairs = store.buckets([bucket]).get(bucket, ())
    for depth in range(DEPTH, KEY_BITS):
        if len(pairs) < 2:
            break
        halves = _halves(pairs, depth)
        siblings.append(subtree(halves[1 - _bit(key, depth)], depth + 1).hash)
        pairs = halves[_bit(key, depth)]
    return _ended(siblings, key, own, pairs[0] if pairs else None)


def verify_map(key: bytes, proof: MapProof, root: bytes) -> tuple[int, bytes] | None:
    """The (length, head) of `key` in the map with this root, None where it has none; `NotVerified` without proof."""
    siblings = proof.siblings
    if len(siblings) > KEY_BITS:
        raise NotVerified(f"expected at most {KEY_BITS} siblings in a map proof, found {len(siblings)}; make it anew")
    _demand_hashes(key, root, *siblings)
    node = _end_of(key, proof)
    for depth in range(len(siblings) - 1, -1, -1):
        sibling = siblings[depth]
        node = map_node(sibling, node) if _bit(key, depth) else map_node(node, sibling)
    if node != root:
        raise NotVerified(
            "expected a map proof under the root of the map's entry, found another root; "
            "the proof, the length, the head or the root was changed"
        )
    return proof.own


class MemoryMap:
    """A map in memory. `set` touches a bucket, `refold` makes the root right again."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[bytes, bytes]] = {}
        self._nodes: dict[Place, Node] = {}

    def set(self, key: bytes, value: bytes) -> None:
        self._buckets.setdefault(bucket_of(key), {})[key] = value

    def buckets(self, numbers: Collection[int]) -> Mapping[int, Sequence[Pair]]:
        return {number: sorted(self._buckets.get(number, {}).items()) for number in numbers}

    def nodes(self, places: Collection[Place]) -> Mapping[Place, Node]:
        return {place: self._nodes[place] for place in places if place in self._nodes}

    def write_nodes(self, nodes: Mapping[Place, Node]) -> None:
        self._nodes.update(nodes)


def _fold_buckets(store: MapStore, touched: Collection[int]) -> dict[Place, Node]:
    numbers = sorted(touched)
    folded: dict[Place, Node] = {}
    for start in range(0, len(numbers), BUCKETS_AT_ONCE):
        some = numbers[start : start + BUCKETS_AT_ONCE]
        pairs = store.buckets(some)
        for number in some:
            folded[DEPTH, number] = subtree(pairs.get(number, ()), DEPTH)
    return folded


def _siblings_of(touched: Collection[int]) -> list[Place]:
    """The places beside the paths from the touched buckets to the root."""
    places = []
    level = set(touched)
    for depth in range(DEPTH, 0, -1):
        places += [(depth, index ^ 1) for index in level if index ^ 1 not in level]
        level = {index // 2 for index in level}
    return places


def _leaf_below(store: MapStore, depth: int, index: int) -> Pair:
    """The one pair below a place: its leaf travelled up from some bucket."""
    while depth < DEPTH:
        depth += 1
        below = store.nodes([(depth, 2 * index), (depth, 2 * index + 1)])
        index = 2 * index + (below.get((depth, 2 * index), _NOTHING).kind == EMPTY_NODE)
    pairs = store.buckets([index]).get(index, ())
    if len(pairs) != 1:
        raise NotVerified(f"expected one stream in bucket {index} of the map, found {len(pairs)}; run `consent audit`")
    return pairs[0]


def _ended(siblings: list[bytes], key: bytes, own: tuple[int, bytes] | None, found: Pair | None) -> MapProof:
    present = found is not None and found[0] == key
    if present != (own is not None) or (own is not None and found != (key, stream_value(*own))):
        raise NotVerified(
            f"expected the map and the stream's own length and head to agree on {key.hex()}, found that they differ; "
            "run `consent audit`"
        )
    return MapProof(tuple(siblings), own=own, other=None if present else found)


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
        if any(_bit(other, depth) != _bit(key, depth) for depth in range(len(proof.siblings))):
            raise NotVerified("expected another's key on the path of the one asked for, found one that lies off it")
        return map_leaf(other, value)
    if proof.siblings and proof.siblings[-1] == EMPTY:
        raise NotVerified("expected an empty end beside something, found an empty last sibling; make the proof anew")
    return EMPTY


def _bit(key: bytes, depth: int) -> int:
    """Bit 0 is the most significant of byte 0."""
    return key[depth // 8] >> (7 - depth % 8) & 1


def _halves(pairs: Sequence[Pair], depth: int) -> tuple[Sequence[Pair], Sequence[Pair]]:
    split = bisect_left(pairs, 1, key=lambda pair: _bit(pair[0], depth))
    return pairs[:split], pairs[split:]


def _demand_hashes(*hashes: bytes) -> None:
    for found in hashes:
        if len(found) != HASH_SIZE:
            raise NotVerified(f"expected {HASH_SIZE} bytes in each hash of a map proof, found {len(found)}")
