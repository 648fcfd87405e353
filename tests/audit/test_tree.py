"""The tree that grows many leaves at a time, against the one that keeps all of itself."""

from __future__ import annotations

import random

import pytest

from ledger.audit.tree import GrowingTree
from ledger.proof.merkle import EMPTY_ROOT, Tree, leaf_hash


@pytest.mark.parametrize("seed", range(5))
def test_it_has_the_root_of_its_leaves_at_every_size(seed: int) -> None:
    chance = random.Random(seed)
    leaves = [leaf_hash(str(number).encode()) for number in range(700)]
    whole, growing = Tree(leaves), GrowingTree()
    assert growing.root() == EMPTY_ROOT
    while growing.size < len(leaves):
        growing.extend(leaves[growing.size : growing.size + chance.choice((0, 1, 2, 3, 64, 100))])
        assert growing.root() == whole.root(growing.size)
