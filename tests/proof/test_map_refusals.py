"""What a verifier of map proofs refuses (FORMATS.md section 5): proofs made by hand, each wrong in one way.

The root of most of them is made to fit, as an operator who holds the key could publish it, so that nothing but the
rule that the test names stands in the way.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import pytest

from ledger.errors import NotVerified
from ledger.proof.chain import stream_value
from ledger.proof.kept_map import MemoryMap, area_of, prove, refold
from ledger.proof.subject_map import EMPTY, MapProof, map_leaf, map_node, verify_map

KEY = hashlib.sha256(b"a key").digest()
HEAD = hashlib.sha256(b"a head").digest()
VALUE = hashlib.sha256(b"a value").digest()
SIBLING = hashlib.sha256(b"a sibling").digest()


def _bit(key: bytes, depth: int) -> int:
    return int.from_bytes(key, "big") >> 255 - depth & 1


def _flipped(key: bytes, bit: int) -> bytes:
    return (int.from_bytes(key, "big") ^ 1 << 255 - bit).to_bytes(32, "big")


def _root_above(key: bytes, end: bytes, siblings: tuple[bytes, ...]) -> bytes:
    """The root that the siblings give above an end on the path of `key`, whatever they are."""
    node = end
    for depth in reversed(range(len(siblings))):
        # Beyond the last bit there is no side; zeros go on as well as anything.
        left = depth > 255 or _bit(key, depth) == 0
        node = map_node(node, siblings[depth]) if left else map_node(siblings[depth], node)
    return node


def _refused(proof: MapProof, root: bytes, because: str, key: bytes = KEY) -> None:
    with pytest.raises(NotVerified, match=because):
        verify_map(key, proof, root)


def test_the_proofs_by_hand_hold_where_nothing_is_wrong() -> None:
    siblings = (SIBLING, EMPTY, SIBLING)
    own = map_leaf(KEY, stream_value(3, HEAD))
    assert verify_map(KEY, MapProof(siblings, own=(3, HEAD)), _root_above(KEY, own, siblings)) == (3, HEAD)
    other = _flipped(KEY, 3)
    root = _root_above(KEY, map_leaf(other, VALUE), siblings)
    assert verify_map(KEY, MapProof(siblings, other=(other, VALUE)), root) is None
    assert verify_map(KEY, MapProof(siblings), _root_above(KEY, EMPTY, siblings)) is None
    deepest = (EMPTY,) * 255 + (SIBLING,)
    assert verify_map(KEY, MapProof(deepest, own=(3, HEAD)), _root_above(KEY, own, deepest)) == (3, HEAD)


def test_more_siblings_than_a_key_has_bits() -> None:
    siblings = (EMPTY,) * 256 + (SIBLING,)
    own = map_leaf(KEY, stream_value(3, HEAD))
    _refused(MapProof(siblings, own=(3, HEAD)), _root_above(KEY, own, siblings), "at most 256 siblings")


@pytest.mark.parametrize("sibling", [b"", SIBLING[:31], SIBLING + b"\0"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_sibling_that_is_not_32_bytes(sibling: bytes, place: int) -> None:
    siblings = tuple(sibling if number == place else SIBLING for number in range(3))
    own = map_leaf(KEY, stream_value(3, HEAD))
    _refused(MapProof(siblings, own=(3, HEAD)), _root_above(KEY, own, siblings), "32 bytes in each hash")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_head_a_key_a_value_or_a_root_that_is_not_32_bytes(size: int) -> None:
    wrong = bytes([7] * size)
    own = map_leaf(KEY, stream_value(3, wrong))
    _refused(MapProof((SIBLING,), own=(3, wrong)), _root_above(KEY, own, (SIBLING,)), "32 bytes in each hash")
    for other in ((wrong, VALUE), (_flipped(KEY, 9), wrong)):
        root = _root_above(KEY, map_leaf(*other), (SIBLING,))
        _refused(MapProof((SIBLING,), other=other), root, "32 bytes in each hash")
    _refused(MapProof(()), wrong, "32 bytes in each hash")
    _refused(MapProof(()), EMPTY, "32 bytes in each hash", key=wrong)


def test_bytes_moved_between_a_key_and_its_value() -> None:
    # The hash is the same, the fields are not: 31 + 33 bytes.
    other = _flipped(KEY, 9)
    root = _root_above(KEY, map_leaf(other, VALUE), (SIBLING,))
    assert verify_map(KEY, MapProof((SIBLING,), other=(other, VALUE)), root) is None
    moved = other + VALUE[:1], VALUE[1:]
    _refused(MapProof((SIBLING,), other=moved), root, "32 bytes in each hash")


def test_an_empty_end_beside_an_empty_sibling() -> None:
    siblings = (SIBLING, EMPTY)
    _refused(MapProof(siblings), _root_above(KEY, EMPTY, siblings), "empty last sibling")
    _refused(MapProof((EMPTY,)), _root_above(KEY, EMPTY, (EMPTY,)), "empty last sibling")


def test_a_leaf_below_its_place_is_still_the_one_end_of_its_path() -> None:
    # Such a root is no fold of anything, which the audit says; but nothing else can be proven of the key under it.
    siblings = (SIBLING, EMPTY)
    own = map_leaf(KEY, stream_value(3, HEAD))
    root = _root_above(KEY, own, siblings)
    assert verify_map(KEY, MapProof(siblings, own=(3, HEAD)), root) == (3, HEAD)
    for other in (MapProof(siblings), MapProof((SIBLING,)), MapProof((SIBLING,), own=(3, HEAD))):
        _refused(other, root, "expected")


@pytest.mark.parametrize("length", [0, -1, -(2**63), 2**64])
def test_a_length_that_no_stream_has(length: int) -> None:
    written = (length % 2**64).to_bytes(8, "big")
    value = hashlib.sha256(b"consent-ledger/v1/stream\n" + written + HEAD).digest()
    root = _root_above(KEY, map_leaf(KEY, value), (SIBLING,))
    _refused(MapProof((SIBLING,), own=(length, HEAD)), root, "at least one entry")


def test_the_own_leaf_shown_as_anothers() -> None:
    # False absence: the stream is there, its leaf is said to be somebody else's.
    value = stream_value(3, HEAD)
    root = _root_above(KEY, map_leaf(KEY, value), (SIBLING,))
    _refused(MapProof((SIBLING,), other=(KEY, value)), root, "found the key itself")


@pytest.mark.parametrize("bit", [0, 1, 2])
def test_anothers_leaf_that_lies_off_the_path(bit: int) -> None:
    siblings = (SIBLING,) * 3
    other = _flipped(KEY, bit)
    root = _root_above(KEY, map_leaf(other, VALUE), siblings)
    _refused(MapProof(siblings, other=(other, VALUE)), root, "found one that lies off it")


def test_an_honest_proof_of_somebody_else_as_a_false_absence() -> None:
    # With the siblings of that other key's own path: the root is the honest one.
    other = _flipped(KEY, 0)
    pair = other, stream_value(1, HEAD)
    store = MemoryMap()
    store.set(KEY, stream_value(3, HEAD))
    store.set(*pair)
    root = refold(store, {area_of(KEY), area_of(other)})
    theirs = prove(store, other, (1, HEAD))
    assert verify_map(other, theirs, root) == (1, HEAD)
    _refused(replace(theirs, own=None, other=pair), root, "found one that lies off it")


def test_two_ends() -> None:
    own = map_leaf(KEY, stream_value(3, HEAD))
    both = MapProof((SIBLING,), own=(3, HEAD), other=(_flipped(KEY, 9), VALUE))
    _refused(both, _root_above(KEY, own, (SIBLING,)), "expected one end")


def test_a_proof_of_an_honest_map_changed_in_any_place() -> None:
    store, heads = MemoryMap(), {}
    for number in range(200):
        key = hashlib.sha256(b"%d" % number).digest()
        heads[key] = 1 + number % 7, hashlib.sha256(b"head %d" % number).digest()
        store.set(key, stream_value(*heads[key]))
    root = refold(store, {area_of(key) for key in heads})
    choice = random.Random(4)
    for key, (length, head) in heads.items():
        own = length, head
        proof = prove(store, key, own)
        assert verify_map(key, proof, root) == own
        siblings = proof.siblings
        place = choice.randrange(len(siblings))
        bad = [
            replace(proof, own=(length - 1, head)),
            replace(proof, own=(length + 1, head)),
            replace(proof, own=(length, _flipped(head, choice.randrange(256)))),
            replace(proof, own=None),
            replace(proof, own=None, other=(_flipped(key, 255), stream_value(*own))),
            replace(proof, siblings=()),
            replace(proof, siblings=siblings[1:]),
            replace(proof, siblings=siblings[:-1]),
            replace(proof, siblings=(*siblings, SIBLING)),
            replace(proof, siblings=(SIBLING, *siblings)),
            replace(proof, siblings=siblings[::-1]),
        ]
        changed = _flipped(siblings[place], choice.randrange(256))
        bad.append(replace(proof, siblings=(*siblings[:place], changed, *siblings[place + 1 :])))
        for one in bad:
            _refused(one, root, "expected")
        _refused(proof, _flipped(root, choice.randrange(256)), "another root")
        _refused(proof, root, "expected", key=_flipped(key, 255))
