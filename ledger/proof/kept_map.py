"""The subject map as a store keeps it: its pairs, and the nodes above them, so that a change hashes little anew.

Down to depth DEPTH the nodes are kept everywhere; that makes a bucket of each first DEPTH bits of a key. Below it a
bucket is split, and its halves again, wherever more than MOST_STREAMS lie together. So what is hashed when a stream
changes is the few that it lies with, however many there are in all. None of it is part of the format: the root does not
depend on which nodes are kept (decision record 29).

Whoever changes a place writes its bucket's node too, and that node says whether anything is kept below it. So one who
keeps nothing below a bucket, as programs before schema 9 did, leaves nodes that nobody comes to any more, and not wrong
ones: the next fold splits the bucket again and writes them all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol, TypeVar

from ledger.errors import NotVerified
from ledger.proof.chain import stream_value
from ledger.proof.subject_map import (
    EMPTY_NODE,
    INNER,
    KEY_BITS,
    LEAF,
    NOTHING,
    MapProof,
    Node,
    Pair,
    bit,
    halves,
    join,
    subtree,
)

DEPTH = 16
#: Half a million people have eight streams a bucket, and so hardly a node below one.
MOST_STREAMS = 16
#: No place lies deeper, so that its index is a number of four bytes: enough for 17,000 million streams.
DEEPEST = 30
#: The kind of a node whose halves are kept too, at depth DEPTH or deeper.
SPLIT = 3

#: What changed is remembered by so many first bits of the keys: at a hundred million people six share an area.
AREA_BITS = 24
#: Areas of a bucket.
_AREAS = 1 << AREA_BITS - DEPTH
#: Areas folded together, and ends read at once, so that memory stays bounded when a whole map is folded.
AREAS_AT_ONCE = 4_096
ENDS_AT_ONCE = 256

#: (depth, index): the index-th of the 2**depth subtrees at that depth.
Place = tuple[int, int]

_Any = TypeVar("_Any")


class MapStore(Protocol):
    """Where the pairs lie, and the nodes above them."""

    def pairs(self, places: Collection[Place]) -> Mapping[Place, Sequence[Pair]]:
        """All pairs below these places, none above depth DEPTH, sorted by key; an empty place may be left out."""
        ...

    def nodes(self, places: Collection[Place]) -> Mapping[Place, Node]:
        """The nodes kept at these places; an empty one may be left out."""
        ...

    def write_nodes(self, nodes: Mapping[Place, Node]) -> None: ...


class Touched:
    """The areas of the map where streams changed, in their order: 12 MB at most, however many they are."""

    def __init__(self) -> None:
        #: By bucket: a bit for each of its areas.
        self._marks: dict[int, int] = {}

    def add(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            bucket, area = divmod(area_of(key), _AREAS)
            self._marks[bucket] = self._marks.get(bucket, 0) | 1 << area

    def __iter__(self) -> Iterator[int]:
        for bucket in sorted(self._marks):
            left = self._marks[bucket]
            while left:
                lowest = left & -left
                yield bucket * _AREAS + lowest.bit_length() - 1
                left ^= lowest


def bucket_of(key: bytes) -> int:
    """The number that the first DEPTH bits of the key make."""
    return _index_of(key, DEPTH)


def area_of(key: bytes) -> int:
    """The number that the first AREA_BITS bits of the key make."""
    return _index_of(key, AREA_BITS)


def refold(store: MapStore, touched: Iterable[int]) -> bytes:
    """Hashes what lies in the touched areas and all nodes above them anew and writes them; the root.

    Areas in their order are the least work: those that are folded together share the most nodes.
    """
    root: bytes | None = None
    for areas in _some(touched, AREAS_AT_ONCE):
        kept, ends = _ways(store, areas)
        changed: dict[Place, Node] = {}
        for places in _some(ends, ENDS_AT_ONCE):
            pairs = store.pairs(places)
            for depth, index in places:
                _fold(pairs.get((depth, index), ()), depth, index, changed)
        _fold_above(ends, kept | changed, changed)
        store.write_nodes(changed)
        root = changed[0, 0].hash
    return root_of(store) if root is None else root


def root_of(store: MapStore) -> bytes:
    """The root of the whole map, 32 bytes; zeros while it is empty."""
    return store.nodes([(0, 0)]).get((0, 0), NOTHING).hash


def prove(store: MapStore, key: bytes, own: tuple[int, bytes] | None) -> MapProof:
    """The proof for a key; `own` is its (length, head) where it is in the map, and None where it is not."""
    way = [(depth, _index_of(key, depth)) for depth in range(DEEPEST + 1)]
    nodes = store.nodes([*way, *((depth, index ^ 1) for depth, index in way[1:])])
    siblings: list[bytes] = []
    for depth, index in way:
        if depth:
            siblings.append(nodes.get((depth, index ^ 1), NOTHING).hash)
        node = nodes.get((depth, index), NOTHING)
        if node.kind < INNER:
            found = _leaf_below(store, depth, index) if node.kind == LEAF else None
            return _ended(siblings, key, own, found)
        if depth >= DEPTH and node.kind != SPLIT:
            break
    pairs = store.pairs([(depth, index)]).get((depth, index), ())
    while len(pairs) > 1:
        sides = halves(pairs, depth)
        depth += 1
        siblings.append(subtree(sides[1 - bit(key, depth - 1)], depth).hash)
        pairs = sides[bit(key, depth - 1)]
    return _ended(siblings, key, own, pairs[0] if pairs else None)


def misfits(pairs: Sequence[Pair], kept: Mapping[Place, Node], depth: int, index: int) -> Iterator[Place]:
    """The places, from this one at depth DEPTH or deeper on down, whose kept node is not what lies below it."""
    node = kept.get((depth, index), NOTHING)
    if node.kind == SPLIT and depth < DEEPEST:
        sides = halves(pairs, depth)
        for side in (0, 1):
            yield from misfits(sides[side], kept, depth + 1, 2 * index + side)
        expected = _split(*(kept.get(place, NOTHING) for place in _halves_of(depth, index)))
    else:
        expected = subtree(pairs, depth)
    if node != expected:
        yield depth, index


class MemoryMap:
    """A map in memory. `set` touches an area, `refold` makes the root right again."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[bytes, bytes]] = {}
        self._nodes: dict[Place, Node] = {}

    def set(self, key: bytes, value: bytes) -> None:
        self._buckets.setdefault(bucket_of(key), {})[key] = value

    def pairs(self, places: Collection[Place]) -> Mapping[Place, Sequence[Pair]]:
        return {(depth, index): self._below(depth, index) for depth, index in places}

    def _below(self, depth: int, index: int) -> list[Pair]:
        bucket = self._buckets.get(index >> depth - DEPTH, {})
        return sorted(pair for pair in bucket.items() if _index_of(pair[0], depth) == index)

    def nodes(self, places: Collection[Place]) -> Mapping[Place, Node]:
        return {place: self._nodes[place] for place in places if place in self._nodes}

    def write_nodes(self, nodes: Mapping[Place, Node]) -> None:
        self._nodes.update(nodes)


def _ways(store: MapStore, areas: Collection[int]) -> tuple[dict[Place, Node], list[Place]]:
    """The nodes beside the ways from the root to these areas, and where the ways end: the lowest places kept."""
    level = {area >> AREA_BITS - DEPTH for area in areas}
    kept = dict(store.nodes([*((DEPTH, index) for index in level), *_beside(level)]))
    ends: list[Place] = []
    for depth in range(DEPTH, DEEPEST):
        split = {index for index in level if kept.get((depth, index), NOTHING).kind == SPLIT}
        ends += [(depth, index) for index in sorted(level - split)]
        if not split:
            return kept, ends
        places = [place for index in split for place in _halves_of(depth, index)]
        kept |= store.nodes(places)
        level = {index for _, index in places}
        if depth < AREA_BITS:
            level &= {area >> AREA_BITS - depth - 1 for area in areas}
    return kept, ends + [(DEEPEST, index) for index in sorted(level)]


def _fold(pairs: Sequence[Pair], depth: int, index: int, changed: dict[Place, Node]) -> Node:
    """The subtree at a place, hashed anew; what is kept of it goes into `changed`."""
    if len(pairs) <= MOST_STREAMS or depth == DEEPEST:
        node = subtree(pairs, depth)
    else:
        left, right = halves(pairs, depth)
        node = _split(_fold(left, depth + 1, 2 * index, changed), _fold(right, depth + 1, 2 * index + 1, changed))
    changed[depth, index] = node
    return node


def _fold_above(ends: Collection[Place], known: dict[Place, Node], changed: dict[Place, Node]) -> None:
    """Hashes all nodes above these places anew, depth by depth."""
    ending: dict[int, set[int]] = {}
    for depth, index in ends:
        ending.setdefault(depth, set()).add(index)
    level: set[int] = set()
    for depth in range(max(ending) - 1, -1, -1):
        level = {index // 2 for index in level | ending.get(depth + 1, set())}
        for index in level:
            left, right = known.get((depth + 1, 2 * index), NOTHING), known.get((depth + 1, 2 * index + 1), NOTHING)
            node = join(left, right) if depth < DEPTH else _split(left, right)
            known[depth, index] = changed[depth, index] = node


def _split(left: Node, right: Node) -> Node:
    """The node, at depth DEPTH or deeper, of two halves that are kept."""
    node = join(left, right)
    return Node(SPLIT, node.hash) if node.kind >= INNER else node


def _halves_of(depth: int, index: int) -> tuple[Place, Place]:
    return (depth + 1, 2 * index), (depth + 1, 2 * index + 1)


def _beside(buckets: Collection[int]) -> list[Place]:
    """The places beside the ways from these buckets to the root."""
    places = []
    level = set(buckets)
    for depth in range(DEPTH, 0, -1):
        places += [(depth, index ^ 1) for index in level if index ^ 1 not in level]
        level = {index // 2 for index in level}
    return places


def _leaf_below(store: MapStore, depth: int, index: int) -> Pair:
    """The one pair below a place: its leaf travelled up from some bucket."""
    while depth < DEPTH:
        left, right = _halves_of(depth, index)
        below = store.nodes([left, right])
        depth, index = right if below.get(left, NOTHING).kind == EMPTY_NODE else left
    pairs = store.pairs([(depth, index)]).get((depth, index), ())
    if len(pairs) != 1:
        raise NotVerified(
            f"expected one stream below node {index} at depth {depth} of the map, found {len(pairs)}; "
            "run `consent audit`"
        )
    return pairs[0]


def _ended(siblings: list[bytes], key: bytes, own: tuple[int, bytes] | None, found: Pair | None) -> MapProof:
    present = found is not None and found[0] == key
    if present != (own is not None) or (own is not None and found != (key, stream_value(*own))):
        raise NotVerified(
            f"expected the map and the stream's own length and head to agree on {key.hex()}, found that they differ; "
            "run `consent audit`"
        )
    return MapProof(tuple(siblings), own=own, other=None if present else found)


def _index_of(key: bytes, depth: int) -> int:
    """Which of the places at this depth lies on the way to the key."""
    return int.from_bytes(key, "big") >> (KEY_BITS - depth)


def _some(many: Iterable[_Any], at_once: int) -> Iterator[list[_Any]]:
    left = iter(many)
    while some := list(islice(left, at_once)):
        yield some
