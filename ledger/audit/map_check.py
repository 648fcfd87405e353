"""The map's tables of a ledger, held against the map that the auditor folded from the entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ledger.audit.findings import Finding
from ledger.audit.maps import Maps
from ledger.importing.watcher import Watcher
from ledger.proof.kept_map import DEPTH, SPLIT, Place, misfits, root_of
from ledger.proof.subject_map import NOTHING, Node, Pair
from ledger.store.proofs import ProofTables

#: Buckets that are compared at once.
_BUCKETS = 512
#: Keys that are named of one bucket, and places of all.
_MOST_NAMED = 10


def check_map(tables: ProofTables, maps: Maps, watch: Watcher) -> Iterator[Finding]:
    """What is wrong with tables that stand at the auditor's map: the root, streams, or nodes that a fold goes by."""
    store = tables.map_store()
    if root_of(store) != maps.root():
        yield Finding(
            "map-differs",
            f"expected the map's tables to have the root of the map over the entries 1 to {maps.covers}, "
            f"{maps.root().hex()}, found {root_of(store).hex()}",
        )
    watch.now("checking the map's tables", 1 << DEPTH)
    wrong = list(_wrong_above(tables, maps))
    for start in range(0, 1 << DEPTH, _BUCKETS):
        numbers = range(start, start + _BUCKETS)
        pairs, own = store.pairs([(DEPTH, number) for number in numbers]), maps.buckets(numbers)
        nodes = _nodes_from(tables, start)
        for number in numbers:
            kept, expected = pairs.get((DEPTH, number), ()), own.get(number, ())
            if tuple(kept) != tuple(expected):
                yield _other_bucket(dict(kept), dict(expected))
            wrong += _wrong_below(nodes, maps, number, expected)
        watch.advance(_BUCKETS)
    if wrong:
        yield _other_nodes(wrong)


def _wrong_above(tables: ProofTables, maps: Maps) -> Iterator[Place]:
    """The places above the buckets whose node is not as the entries give it; the root is looked at by itself."""
    for depth in range(1, DEPTH):
        nodes = tables.nodes_between(depth, 0, 1 << depth)
        for place in ((depth, index) for index in range(1 << depth)):
            if nodes.get(place, NOTHING) != maps.node(*place):
                yield place


def _wrong_below(nodes: Mapping[Place, Node], maps: Maps, bucket: int, pairs: Sequence[Pair]) -> Iterator[Place]:
    """The same from a bucket on down. Of one that nothing is kept below, the auditor has the hash already."""
    node = nodes.get((DEPTH, bucket), NOTHING)
    if node.kind == SPLIT:
        yield from misfits(pairs, nodes, DEPTH, bucket)
    elif node != maps.node(DEPTH, bucket):
        yield DEPTH, bucket


def _nodes_from(tables: ProofTables, start: int) -> dict[Place, Node]:
    """The nodes of some buckets, and those that are kept below them."""
    found: dict[Place, Node] = {}
    level = tables.nodes_between(DEPTH, start, start + _BUCKETS)
    below = 0
    while level:
        found |= level
        below += 1
        if not any(node.kind == SPLIT for node in level.values()):
            break
        level = tables.nodes_between(DEPTH + below, start << below, start + _BUCKETS << below)
    return found


def _other_nodes(places: Sequence[Place]) -> Finding:
    named = ", ".join(f"{index} at depth {depth}" for depth, index in sorted(places)[:_MOST_NAMED])
    return Finding(
        "map-differs",
        f"expected the map's tables to have the nodes as the entries give them, found other ones at {len(places)} "
        f"places, first {named}",
        details={"nodes": len(places)},
    )


def _other_bucket(kept: dict[bytes, bytes], own: dict[bytes, bytes]) -> Finding:
    keys = sorted(key for key in kept.keys() | own.keys() if kept.get(key) != own.get(key))
    return Finding(
        "map-differs",
        f"expected the map's tables to have the streams as the entries do, found other ones for the keys "
        f"{', '.join(key.hex() for key in keys[:_MOST_NAMED])}",
        details={"keys": [key.hex() for key in keys[:_MOST_NAMED]]},
    )
