"""Inclusion and consistency: every pair of small trees, damaged in every way, and another implementation's proofs."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from ledger.errors import NotVerified
from ledger.proof.merkle import (
    EMPTY_ROOT,
    LARGEST_SIZE,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    root_at,
    verify_consistency,
    verify_inclusion,
)

SIZES = range(1, 71)
LEAVES = [leaf_hash(number.to_bytes(2, "big")) for number in range(SIZES[-1] + 1)]
TREE = Tree(LEAVES)
ROOTS = [root(LEAVES[:size]) for size in range(len(LEAVES) + 1)]
#: What no tree here contains.
STRANGER = leaf_hash(b"stranger")


def _flipped(value: bytes, seed: int) -> bytes:
    """One bit changed, another one for each seed."""
    bit = random.Random(seed).randrange(8 * len(value))
    return bytes(byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(value))


def _damaged(proof: list[bytes]) -> Iterator[list[bytes]]:
    """Each hash changed, left out, cut, doubled or swapped with the next; a surplus one before and after."""
    for place, sibling in enumerate(proof):
        before, after = proof[:place], proof[place + 1 :]
        yield [*before, _flipped(sibling, place), *after]
        yield [*before, *after]
        yield [*before, sibling[:-1], *after]
        yield [*before, sibling + b"\0", *after]
        yield [*before, sibling, sibling, *after]
        if after:
            yield [*before, after[0], sibling, *after[1:]]
    yield [STRANGER, *proof]
    yield [*proof, STRANGER]
    yield [*proof, b""]


def _refused_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes], tree_root: bytes) -> bool:
    try:
        verify_inclusion(leaf, index, size, proof, tree_root)
    except NotVerified:
        return True
    return False


def _refused_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> bool:
    try:
        verify_consistency(old, new, old_root, new_root, proof)
    except NotVerified:
        return True
    return False


def test_every_leaf_of_every_small_tree_is_included() -> None:
    for size in SIZES:
        for index in range(size):
            verify_inclusion(LEAVES[index], index, size, inclusion_proof(index, size, TREE.read), ROOTS[size])


def test_every_small_tree_extends_every_smaller_one() -> None:
    for new in range(SIZES[-1] + 1):
        for old in range(new + 1):
            verify_consistency(old, new, ROOTS[old], ROOTS[new], consistency_proof(old, new, TREE.read))


def test_no_damaged_inclusion_proof_is_accepted() -> None:
    tried = 0
    for size in SIZES:
        for index in range(size):
            leaf, tree_root = LEAVES[index], ROOTS[size]
            proof = inclusion_proof(index, size, TREE.read)
            cases = [(leaf, index, damaged, tree_root) for damaged in _damaged(proof)]
            cases += [
                (_flipped(leaf, index), index, proof, tree_root),
                (leaf, index, proof, _flipped(tree_root, index)),
                (leaf[:-1], index, proof, tree_root),
                (leaf, index, proof, tree_root[:-1]),
                (leaf, index - 1, proof, tree_root),
                (leaf, index + 1, proof, tree_root),
                (leaf, index ^ 2, proof, tree_root),
                (leaf, size - 1 - index if 2 * index != size - 1 else size, proof, tree_root),
            ]
            for one_leaf, one_index, one_proof, one_root in cases:
                assert _refused_inclusion(one_leaf, one_index, size, one_proof, one_root), (size, index, one_proof)
            tried += len(cases)
    assert tried > 50_000


def test_no_damaged_consistency_proof_is_accepted() -> None:
    tried = 0
    for new in SIZES:
        for old in range(new + 1):
            old_root, new_root = ROOTS[old], ROOTS[new]
            proof = consistency_proof(old, new, TREE.read)
            cases = [(old_root, damaged, new_root) for damaged in _damaged(proof)]
            cases += [
                (_flipped(old_root, old), proof, new_root),
                (old_root[:-1], proof, new_root),
                (old_root, proof, new_root[:-1]),
                (old_root, [old_root, *proof], new_root),  # the full old tree, which RFC 6962 leaves out
            ]
            if old:  # every tree extends the empty one, whatever its root
                cases += [(old_root, proof, _flipped(new_root, new))]
            if 0 < old < new:
                cases += [(new_root, proof, old_root), (old_root, proof, old_root), (new_root, proof, new_root)]
            for one_old, one_proof, one_new in cases:
                assert _refused_consistency(old, new, one_old, one_new, one_proof), (old, new, one_proof)
            tried += len(cases)
    assert tried > 50_000


def test_surplus_hashes_are_refused_though_the_root_is_made_to_fit() -> None:
    # As a log's operator could sign it: the path goes on above the root of a tree of that size.
    for size in SIZES:
        for index in range(size):
            proof = inclusion_proof(index, size, TREE.read)
            for above in (node_hash(STRANGER, ROOTS[size]), node_hash(ROOTS[size], STRANGER)):
                assert _refused_inclusion(LEAVES[index], index, size, [*proof, STRANGER], above)
        for old in range(1, size):
            proof = consistency_proof(old, size, TREE.read)
            above_old, above_new = node_hash(STRANGER, ROOTS[old]), node_hash(STRANGER, ROOTS[size])
            assert _refused_consistency(old, size, above_old, above_new, [*proof, STRANGER])


def test_a_log_that_was_rewritten_is_not_consistent() -> None:
    for changed in range(30):
        leaves = [*LEAVES[:changed], STRANGER, *LEAVES[changed + 1 :]]
        other = Tree(leaves)
        for old in range(changed + 1, 31):
            proof = consistency_proof(old, 70, other.read)
            assert _refused_consistency(old, 70, ROOTS[old], other.root(70), proof)


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=300), st.data())
def test_another_implementation_gives_the_same_proofs(entries: list[bytes], data: st.DataObject) -> None:
    oracle = InmemoryTree(algorithm="sha256")
    for entry in entries:
        oracle.append_entry(entry)
    tree = Tree(leaf_hash(entry) for entry in entries)
    new = data.draw(st.integers(1, len(entries)))
    old = data.draw(st.integers(1, new))
    index = data.draw(st.integers(0, new - 1))
    # pymerkle counts from 1, and begins the path with the leaf.
    leaf, *path = oracle.prove_inclusion(index + 1, new).path
    assert (leaf, path) == (leaf_hash(entries[index]), inclusion_proof(index, new, tree.read))
    verify_inclusion(leaf, index, new, path, oracle.get_root(new))
    # Its consistency proofs have another form; that two of our roots are consistent it must say too.
    oracle.prove_consistency(old, new).verify(tree.root(old), tree.root(new), old, new)
    verify_consistency(old, new, oracle.get_root(old), oracle.get_root(new), consistency_proof(old, new, tree.read))


def test_a_tree_has_the_root_of_every_size_it_had() -> None:
    assert [TREE.root(size) for size in range(TREE.size + 1)] == ROOTS
    assert TREE.root() == ROOTS[-1]
    assert Tree().root() == root_at(0, TREE.read) == EMPTY_ROOT


def test_a_full_subtree_is_read_by_its_height_and_index() -> None:
    assert TREE.read(0, 5) == LEAVES[5]
    assert TREE.read(1, 1) == node_hash(LEAVES[2], LEAVES[3])
    assert TREE.read(6, 0) == ROOTS[64]
    with pytest.raises(IndexError):
        TREE.read(6, 1)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_there_is_no_path_to_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(index, size, TREE.read)
    with pytest.raises(NotVerified, match="an index below"):
        verify_inclusion(LEAVES[0], index, size, [], EMPTY_ROOT)


@pytest.mark.parametrize(("old", "new"), [(4, 3), (-1, 3)])
def test_a_tree_never_shrinks(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="never grew"):
        consistency_proof(old, new, TREE.read)
    with pytest.raises(NotVerified, match=r"a tree's size|never shrinks"):
        verify_consistency(old, new, ROOTS[old], ROOTS[new], [])


def test_the_empty_tree_has_one_root() -> None:
    with pytest.raises(NotVerified, match="empty tree"):
        verify_consistency(0, 0, STRANGER, STRANGER, [])
    with pytest.raises(NotVerified, match="empty tree"):
        verify_consistency(0, 3, STRANGER, ROOTS[3], [])


@pytest.mark.parametrize("size", [2**63, 2**64, 2**200])
def test_a_size_that_no_log_reaches_is_refused(size: int) -> None:
    with pytest.raises(NotVerified, match="a tree's size"):
        verify_inclusion(LEAVES[0], 0, size, [], ROOTS[1])
    with pytest.raises(NotVerified, match="a tree's size"):
        verify_consistency(1, size, ROOTS[1], ROOTS[1], [])


def test_a_path_of_64_hashes_is_refused_by_its_length() -> None:
    path = [STRANGER] * 63
    node = LEAVES[0]
    for sibling in path:
        node = node_hash(node, sibling)
    verify_inclusion(LEAVES[0], 0, LARGEST_SIZE, path, node)
    with pytest.raises(NotVerified, match="at most 63"):
        verify_inclusion(LEAVES[0], 0, LARGEST_SIZE, [*path, STRANGER], node)
    with pytest.raises(NotVerified, match="at most 63"):
        verify_consistency(1, LARGEST_SIZE, LEAVES[0], node, [*path, STRANGER])
