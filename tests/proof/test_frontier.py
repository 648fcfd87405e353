"""The root at every size on the way is that of the tree over just those leaves."""

from __future__ import annotations

import hashlib

import pytest

from ledger.proof import merkle
from ledger.proof.merkle import EMPTY_ROOT, Frontier, root


def test_at_every_size_the_root_is_that_of_the_leaves_so_far() -> None:
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(140)]
    tree = Frontier()
    assert (tree.size, tree.root()) == (0, EMPTY_ROOT)
    for size, leaf in enumerate(leaves, 1):
        tree.append(leaf)
        assert tree.size == size
        assert tree.root() == root(leaves[:size]) == tree.root()  # and asking changes nothing


@pytest.mark.parametrize("subtree", [1, 2, 8])
def test_a_tree_hashed_in_pieces_has_the_same_root(subtree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(70)]
    whole = [root(leaves[:size]) for size in range(71)]
    monkeypatch.setattr(merkle, "SUBTREE", subtree)
    assert [root(leaves[:size]) for size in range(71)] == whole
