"""The subject map: its root by the definition, however it is kept, and a proof for every key, present or absent."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.names import stream_key
from ledger.errors import NotVerified
from ledger.proof import kept_map
from ledger.proof.chain import stream_value
from ledger.proof.kept_map import MemoryMap, Place, area_of, bucket_of, prove, refold, root_of
from ledger.proof.subject_map import (
    EMPTY,
    EMPTY_NODE,
    INNER,
    LEAF,
    MapProof,
    Node,
    Pair,
    map_leaf,
    map_node,
    subtree,
    verify_map,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "formats.json").read_text())

#: Key to (length, head).
Heads = dict[bytes, tuple[int, bytes]]


def _defined(pairs: list[tuple[str, bytes, bytes]], depth: int = 0) -> bytes:
    """FORMATS.md, section 5, as it stands there: (the key's bits, key, value) to the root."""
    if not pairs:
        return bytes(32)
    if len(pairs) == 1:
        _, key, value = pairs[0]
        return hashlib.sha256(b"\x02" + key + value).digest()
    zeros = [pair for pair in pairs if pair[0][depth] == "0"]
    ones = [pair for pair in pairs if pair[0][depth] == "1"]
    return hashlib.sha256(b"\x03" + _defined(zeros, depth + 1) + _defined(ones, depth + 1)).digest()


def _root_by_definition(heads: Heads) -> bytes:
    return _defined([(f"{int.from_bytes(key, 'big'):0256b}", key, stream_value(*head)) for key, head in heads.items()])


def _key(number: int) -> bytes:
    return hashlib.sha256(b"key %d" % number).digest()


def _head(number: int) -> tuple[int, bytes]:
    return 1 + number % 5, hashlib.sha256(b"head %d" % number).digest()


def _heads(count: int) -> Heads:
    return {_key(number): _head(number) for number in range(count)}


def _flipped(key: bytes, bit: int) -> bytes:
    """The key that leaves the path of `key` at that bit."""
    return (int.from_bytes(key, "big") ^ 1 << 255 - bit).to_bytes(32, "big")


def _filled(heads: Heads) -> MemoryMap:
    store = MemoryMap()
    for key, head in heads.items():
        store.set(key, stream_value(*head))
    refold(store, {area_of(key) for key in heads})
    return store


def _shared_prefixes() -> Heads:
    """Keys that an adversary would choose: each leaves the path of one key at another bit, down to the last."""
    key = _key(0)
    bits = (0, 1, 7, 8, 14, 15, 16, 17, 31, 63, 128, 254, 255)
    keys = [key, *(_flipped(key, bit) for bit in bits), bytes(32), bytes([255] * 32), bytes(31) + b"\x01"]
    return {key: _head(number) for number, key in enumerate(keys)}


def _check_every_key(store: MemoryMap, heads: Heads) -> None:
    root = root_of(store)
    for key, head in heads.items():
        assert verify_map(key, prove(store, key, head), root) == head
        for bit in (0, 3, 15, 16, 200, 255):
            other = _flipped(key, bit)
            if other not in heads:
                assert verify_map(other, prove(store, other, None), root) is None


def test_the_known_map_has_its_root() -> None:
    heads = {
        stream_key(stream): (known["n"], bytes.fromhex(known["head"])) for stream, known in VECTORS["heads"].items()
    }
    store = _filled(heads)
    assert root_of(store).hex() == VECTORS["map_root"]
    _check_every_key(store, heads)
    # The map entry itself is the first of `log`, so `log` is not in the map that it publishes.
    log = stream_key("log")
    assert verify_map(log, prove(store, log, None), root_of(store)) is None


@pytest.mark.parametrize("count", [*range(40), 100, 255, 256, 1_000])
def test_a_map_has_the_root_of_the_definition(count: int) -> None:
    heads = _heads(count)
    pairs = sorted((key, stream_value(*head)) for key, head in heads.items())
    assert root_of(_filled(heads)) == subtree(pairs, 0).hash == _root_by_definition(heads)


def test_keys_that_share_prefixes_have_the_root_of_the_definition() -> None:
    heads = _shared_prefixes()
    store = _filled(heads)
    assert root_of(store) == _root_by_definition(heads)
    _check_every_key(store, heads)


@pytest.mark.parametrize("depth", [0, 1, 2, 7, 8, 15, 17, 24])
def test_the_root_and_the_proofs_do_not_depend_on_the_depth_that_a_store_keeps(
    depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for heads in (_heads(3), _heads(300), _shared_prefixes()):
        usual = _filled(heads)
        proofs = {key: prove(usual, key, head) for key, head in heads.items()}
        absent = prove(usual, _key(-1), None)
        with monkeypatch.context() as patch:
            patch.setattr(kept_map, "DEPTH", depth)
            store = _filled(heads)
            assert root_of(store) == root_of(usual)
            assert {key: prove(store, key, head) for key, head in heads.items()} == proofs
            assert prove(store, _key(-1), None) == absent


@pytest.mark.parametrize("count", [1, 2, 3, 17, 500])
def test_every_key_is_proven_present_or_absent(count: int) -> None:
    heads = _heads(count)
    _check_every_key(_filled(heads), heads)


def test_in_the_empty_map_every_key_is_absent() -> None:
    store = MemoryMap()
    assert refold(store, []) == root_of(store) == EMPTY == bytes(32)
    assert prove(store, _key(1), None) == MapProof(())
    assert verify_map(_key(1), MapProof(()), EMPTY) is None


@pytest.mark.parametrize("seed", range(5))
def test_folding_in_random_steps_is_folding_at_once(seed: int) -> None:
    choice = random.Random(seed)
    # Few buckets, so that steps meet in them.
    pool = [bytes([0, choice.randrange(4), *key[2:]]) for key in map(_key, range(200))] + list(_shared_prefixes())
    store, heads = MemoryMap(), Heads()
    for _ in range(30):
        changed = {choice.choice(pool): _head(choice.randrange(10_000)) for _ in range(choice.randrange(12))}
        heads |= changed
        for key, head in changed.items():
            store.set(key, stream_value(*head))
        root = refold(store, [area_of(key) for key in changed])
        assert root == root_of(store) == root_of(_filled(heads)) == _root_by_definition(heads)
    _check_every_key(store, heads)


class _Counting(MemoryMap):
    """Counts what is asked for, as a database would feel it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []
        self.largest = 0

    def pairs(self, places: Collection[Place]) -> Mapping[Place, list[Pair]]:
        self.largest = max(self.largest, len(places))
        return {place: list(pairs) for place, pairs in super().pairs(places).items()}

    def nodes(self, places: Collection[Place]) -> Mapping[Place, Node]:
        self.reads.append(len(places))
        return super().nodes(places)


def test_a_fold_reads_the_nodes_once_and_a_bounded_number_of_places() -> None:
    store = _Counting()
    for key, head in _heads(3_000).items():
        store.set(key, stream_value(*head))
    refold(store, {area_of(key) for key in _heads(3_000)})
    assert len(store.reads) == 1
    assert store.largest == kept_map.ENDS_AT_ONCE
    store.reads.clear()
    refold(store, {area_of(_key(0))})
    assert store.reads == [17]


def test_a_leaf_stands_at_the_shallowest_place() -> None:
    key, head = _key(1), _head(1)
    leaf = map_leaf(key, stream_value(*head))
    store = _filled({key: head})
    assert root_of(store) == leaf
    assert prove(store, key, head) == MapProof((), own=head)
    # With a second key that leaves the path at bit 3, both end there, three empty siblings above.
    other = _flipped(key, 3)
    pair = other, stream_value(*_head(2))
    two = _filled({key: head, other: _head(2)})
    assert prove(two, key, head) == MapProof((EMPTY, EMPTY, EMPTY, map_leaf(*pair)), own=head)
    # Whoever shares the first four bits with a key that is there meets its leaf, which travelled up out of its bucket.
    absent = _flipped(other, 20)
    assert prove(two, absent, None) == MapProof((EMPTY, EMPTY, EMPTY, leaf), other=pair)
    beside = _flipped(other, 1)
    inner = prove(two, beside, None)
    assert (len(inner.siblings), inner.own, inner.other) == (2, None, None)


def test_nodes_say_what_they_are() -> None:
    first, second = (_key(1), EMPTY), (_flipped(_key(1), 0), EMPTY)
    assert subtree([], 0) == Node(EMPTY_NODE, EMPTY)
    assert subtree([first], 0) == Node(LEAF, map_leaf(*first))
    pair = sorted([first, second])
    assert subtree(pair, 0) == Node(INNER, map_node(map_leaf(*pair[0]), map_leaf(*pair[1])))


# --- a store that is not right: its tables are a cache, and may have been changed


def test_a_map_that_differs_from_the_streams_is_not_proven() -> None:
    heads = _heads(300)
    store = _filled(heads)
    key = _key(0)
    for own in (None, (7, heads[key][1]), (heads[key][0], EMPTY)):
        with pytest.raises(NotVerified, match="run `consent audit`"):
            prove(store, key, own)
    with pytest.raises(NotVerified, match="run `consent audit`"):
        prove(store, _key(-1), _head(1))


@pytest.mark.parametrize("keys", [1, 3])
def test_a_leaf_that_no_bucket_holds_alone_is_not_proven(keys: int) -> None:
    # The tables say that one leaf travelled up, but its bucket lost it, or got two more.
    key = _key(1)
    store = _filled({key: _head(1)})
    broken = MemoryMap()
    broken.write_nodes(store.nodes([(depth, bucket_of(key) >> 16 - depth) for depth in range(17)]))
    if keys > 1:
        for bit in (255, 254, 253):
            broken.set(_flipped(key, bit), EMPTY)
    with pytest.raises(NotVerified, match=r"expected one stream below node \d+ at depth 16 of the map, found [03]"):
        prove(broken, key, _head(1))
