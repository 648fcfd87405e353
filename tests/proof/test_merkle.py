"""The tree of RFC 6962, against the reference roots and against another implementation."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from ledger.proof.merkle import EMPTY_ROOT, leaf_hash, node_hash, root

# The reference data of RFC 6962 implementations: eight leaves, and the root of the first n of them.
LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_reference_trees_have_their_roots(size: int) -> None:
    assert root(leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES[:size]).hex() == ROOTS[size - 1]


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert root([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_leaves_and_nodes_are_told_apart() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert left == hashlib.sha256(b"\x00a").digest()
    assert node_hash(left, right) == hashlib.sha256(b"\x01" + left + right).digest()
    assert root([left]) == left
    assert root([left, right]) == node_hash(left, right)
    assert leaf_hash(left + right) != node_hash(left, right)


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=40), max_size=70))
def test_another_implementation_gives_the_same_root(entries: list[bytes]) -> None:
    tree = InmemoryTree(algorithm="sha256")
    for entry in entries:
        tree.append_entry(entry)
    assert root(leaf_hash(entry) for entry in entries) == tree.get_root()


def _recursive(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it stands there: split at the largest power of two below n."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(_recursive(leaves[:split]), _recursive(leaves[split:]))


def test_every_small_tree_has_the_root_of_the_definition() -> None:
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(130)]
    for size in range(len(leaves) + 1):
        assert root(iter(leaves[:size])) == _recursive(leaves[:size])


def test_one_entry_more_or_another_order_is_another_root() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(7)]
    roots = {root(leaves), root(leaves[:6]), root([*leaves, leaves[0]]), root([*leaves, leaves[6]]), root(leaves[::-1])}
    assert len(roots) == 5
