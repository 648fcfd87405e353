"""What a store keeps of the subject map: whatever that is, the root is that of the definition, and little is hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.proof import kept_map
from ledger.proof.chain import stream_value
from ledger.proof.kept_map import (
    AREA_BITS,
    DEEPEST,
    DEPTH,
    MOST_STREAMS,
    SPLIT,
    MemoryMap,
    Place,
    Touched,
    area_of,
    bucket_of,
    misfits,
    prove,
    refold,
    root_of,
)
from ledger.proof.subject_map import INNER, NOTHING, Node, Pair, join, subtree, verify_map

#: Key to (length, head).
Heads = dict[bytes, tuple[int, bytes]]


def _bits(*runs: tuple[int, int]) -> bytes:
    """The key of these bits: each a number, in so many bits; zeros follow."""
    number, length = 0, 0
    for value, bits in runs:
        number, length = number << bits | value % (1 << bits), length + bits
    return (number << 256 - length).to_bytes(32, "big")


def _head(number: int) -> tuple[int, bytes]:
    return 1 + number % 5, hashlib.sha256(b"head %d" % number).digest()


#: Keys of few buckets, most of which part soon below them, some beyond AREA_BITS or DEEPEST, and some at the last bit.
KEYS = st.builds(
    lambda bucket, near, far, last: _bits((bucket, DEPTH), (near, 6), (far, 10), (0, 223), (last, 1)),
    st.sampled_from([0, 1, 2, 40_000, 65_535]),
    st.integers(0, 63),
    st.sampled_from([0, 0, 1, 2, 3, 512, 1023]),
    st.integers(0, 1),
)
#: Streams that changed between two checkpoints.
CHANGES = st.dictionaries(KEYS, st.integers(0, 1_000).map(_head), max_size=25)


class OneMap(MemoryMap):
    """A map and what should be in it. It counts what a fold reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: Heads = {}
        self.reads = self.written = 0

    def go_on(self, changes: Heads) -> bytes:
        self.heads |= changes
        for key, head in changes.items():
            self.set(key, stream_value(*head))
        self.reads = self.written = 0
        return refold(self, sorted({area_of(key) for key in changes}))

    def fold(self) -> bytes:
        """The root by the pure fold of all pairs."""
        return subtree(sorted((key, stream_value(*head)) for key, head in self.heads.items()), 0).hash

    def pairs(self, places: Collection[Place]) -> Mapping[Place, list[Pair]]:
        found = {place: list(pairs) for place, pairs in super().pairs(places).items()}
        self.reads += sum(map(len, found.values()))
        return found

    def write_nodes(self, nodes: Mapping[Place, Node]) -> None:
        self.written += len(nodes)
        super().write_nodes(nodes)

    def bucket(self, number: int) -> tuple[list[Pair], dict[Place, Node]]:
        """A bucket's pairs, and the nodes from it on down."""
        below = {place: node for place, node in self._nodes.items() if place[0] >= DEPTH}
        kept = {(depth, index): node for (depth, index), node in below.items() if index >> depth - DEPTH == number}
        return list(super().pairs([(DEPTH, number)])[DEPTH, number]), kept


def reached(kept: Mapping[Place, Node], depth: int, index: int) -> Iterator[Place]:
    """The places that a fold comes to, from this one on down."""
    yield depth, index
    if kept.get((depth, index), NOTHING).kind == SPLIT:
        for side in (0, 1):
            yield from reached(kept, depth + 1, 2 * index + side)


@contextmanager
def most(streams: int) -> Iterator[None]:
    """As if a place with more streams than that were split."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_map, "MOST_STREAMS", streams)
        yield


@settings(deadline=None)
@given(steps=st.lists(CHANGES, min_size=1, max_size=8), streams=st.integers(1, 5))
def test_whatever_grows_has_the_root_of_the_pure_fold_at_every_step(steps: list[Heads], streams: int) -> None:
    one = OneMap()
    with most(streams):
        for changes in steps:
            assert one.go_on(changes) == root_of(one) == one.fold()
            _assert_kept_as_it_should_be(one, streams)
        _assert_proven(one)


@settings(deadline=None, max_examples=40)
@given(steps=st.lists(st.tuples(CHANGES, st.booleans()), min_size=2, max_size=8))
def test_tables_of_older_programs_go_on_and_mixed_turns_do_no_harm(steps: list[tuple[Heads, bool]]) -> None:
    """An older program keeps nothing below a bucket, and does not see what is kept there."""
    one = OneMap()
    for changes, is_older in steps:
        with most(1_000_000 if is_older else 2):
            if is_older:
                unsee(one, changes)
            assert one.go_on(changes) == one.fold()
        for number in {bucket_of(key) for key in one.heads}:
            pairs, kept = one.bucket(number)
            assert list(misfits(pairs, kept, DEPTH, number)) == []
        _assert_proven(one)


def unsee(one: OneMap, changes: Heads) -> None:
    """To an older program every bucket that it folds is whole."""
    places = [(DEPTH, bucket_of(key)) for key in changes]
    one.write_nodes({place: Node(INNER, node.hash) for place, node in one.nodes(places).items() if node.kind == SPLIT})


def _assert_kept_as_it_should_be(one: OneMap, streams: int) -> None:
    for number in {bucket_of(key) for key in one.heads}:
        pairs, kept = one.bucket(number)
        assert list(misfits(pairs, kept, DEPTH, number)) == []
        for depth, index in reached(kept, DEPTH, number):
            inside = [pair for pair in pairs if int.from_bytes(pair[0], "big") >> 256 - depth == index]
            node = kept[depth, index]
            assert node.hash == subtree(inside, depth).hash
            assert (node.kind == SPLIT) == (len(inside) > streams and depth < DEEPEST)


def _assert_proven(one: OneMap) -> None:
    root = root_of(one)
    for key, head in one.heads.items():
        assert verify_map(key, prove(one, key, head), root) == head
        for depth in (3, 15, 16, 18, 22, 29, 31, 254):
            other = (int.from_bytes(key, "big") ^ 1 << 255 - depth).to_bytes(32, "big")
            if other not in one.heads:
                assert verify_map(other, prove(one, other, None), root) is None


@settings(deadline=None)
@given(changes=CHANGES, more=CHANGES, data=st.data())
def test_a_node_that_was_changed_is_found(changes: Heads, more: Heads, data: st.DataObject) -> None:
    one = OneMap()
    with most(2):
        one.go_on({**changes, _bits((7, DEPTH)): _head(1)})
        one.go_on(more)
    number = data.draw(st.sampled_from(sorted({bucket_of(key) for key in one.heads})))
    pairs, kept = one.bucket(number)
    place = data.draw(st.sampled_from(sorted(reached(kept, DEPTH, number))))
    node = kept[place]
    other = data.draw(
        st.sampled_from(
            [Node(node.kind, hashlib.sha256(node.hash).digest()), Node((node.kind + 1) % 4, node.hash), None]
        )
    )
    if other is None:
        # One that is missing is empty.
        other = NOTHING if node != NOTHING else Node(INNER, bytes(32))
    assert list(misfits(pairs, {**kept, place: other}, DEPTH, number)) != []


def _crowd(number: int) -> Heads:
    return {_bits((5, DEPTH))[:2] + hashlib.sha256(b"%d" % one).digest()[2:]: _head(one) for one in range(number)}


@pytest.mark.parametrize(("streams", "most_read"), [(100, MOST_STREAMS), (1_000, MOST_STREAMS), (10_000, 80)])
def test_what_a_change_costs_hardly_depends_on_how_many_there_are(streams: int, most_read: int) -> None:
    """All in one bucket, as at 6, 65 and 650 million people. Of so many, 39 lie in one area."""
    one = OneMap()
    crowd = _crowd(streams)
    one.go_on(crowd)
    for key in list(crowd)[:: streams // 20]:
        one.go_on({key: _head(streams)})
        assert one.reads <= most_read
        assert one.written <= 2 * DEEPEST
    assert root_of(one) == one.fold()


def test_a_bucket_of_an_older_program_is_split_once() -> None:
    one = OneMap()
    with most(1_000_000):
        one.go_on(_crowd(1_000))
    assert one.written == DEPTH + 1
    (key, *_) = _crowd(1)
    one.go_on({key: _head(2)})
    assert one.reads == 1_000
    one.go_on({key: _head(3)})
    assert one.reads <= MOST_STREAMS
    assert root_of(one) == one.fold()


def test_areas_that_changed_come_in_their_order() -> None:
    keys = [hashlib.sha256(b"%d" % number).digest() for number in range(1_000)]
    ends = [bytes(32), bytes([255] * 32)]
    touched = Touched()
    assert list(touched) == []
    touched.add(keys)
    touched.add(ends)
    touched.add(keys[:10])
    assert list(touched) == sorted({area_of(key) for key in [*keys, *ends]})
    assert area_of(ends[1]) == 2**AREA_BITS - 1


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_it_does_not_matter_how_much_is_folded_together(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_map, "AREAS_AT_ONCE", at_once)
    monkeypatch.setattr(kept_map, "ENDS_AT_ONCE", at_once)
    one = OneMap()
    with most(3):
        for changes in (
            _crowd(50),
            {**_crowd(80), **{hashlib.sha256(b"%d" % n).digest(): _head(n) for n in range(40)}},
        ):
            assert one.go_on(changes) == one.fold()
            _assert_kept_as_it_should_be(one, 3)


def test_a_subtree_is_what_its_halves_make() -> None:
    """Hashing goes to where keys part at once; the definition goes there bit by bit."""
    keys = [_bits((0, 255), (1, 1)), _bits((0, 256)), _bits((1, 200)), _bits((3, 2)), _bits((1, 1))]
    for count in range(6):
        pairs = sorted((key, hashlib.sha256(key).digest()) for key in keys[:count])
        for depth in range(1 if count > 3 else 190):
            sides = [[p for p in pairs if p[0][depth // 8] >> 7 - depth % 8 & 1 == side] for side in (0, 1)]
            assert subtree(pairs, depth) == join(subtree(sides[0], depth + 1), subtree(sides[1], depth + 1))
