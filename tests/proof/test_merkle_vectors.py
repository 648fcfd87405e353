"""Proofs over the tree against known answers: transparency-dev's vectors, a large log, and the project's own."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import NotVerified
from ledger.proof.merkle import (
    Tree,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

_VECTORS = Path(__file__).parents[1] / "vectors"
OTHERS: dict[str, Any] = json.loads((_VECTORS / "merkle-proofs.json").read_text())
OURS: dict[str, Any] = json.loads((_VECTORS / "formats.json").read_text())

#: Where we answer otherwise than transparency-dev, and why.
DIFFERENCES = {
    "additional/sizes-are-equal-one-and-proof-is-empty": "its two roots have 11 bytes; a hash has 32, so we refuse it",
}


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "", validate=True)


def _refused(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except NotVerified:
        return True
    return False


@pytest.mark.parametrize(("name", "case"), OTHERS["inclusion"].items(), ids=list(OTHERS["inclusion"]))
def test_an_inclusion_proof_of_others_is_answered_as_they_do(name: str, case: dict[str, Any]) -> None:
    assert name not in DIFFERENCES
    proof = [_bytes(sibling) for sibling in case["proof"] or []]
    leaf, known_root = _bytes(case["leafHash"]), _bytes(case["root"])
    refused = _refused(partial(verify_inclusion, leaf, case["leafIdx"], case["treeSize"], proof, known_root))
    assert refused is case["wantErr"]


@pytest.mark.parametrize(("name", "case"), OTHERS["consistency"].items(), ids=list(OTHERS["consistency"]))
def test_a_consistency_proof_of_others_is_answered_as_they_do(name: str, case: dict[str, Any]) -> None:
    proof = [_bytes(sibling) for sibling in case["proof"] or []]
    roots = _bytes(case["root1"]), _bytes(case["root2"])
    refused = _refused(partial(verify_consistency, case["size1"], case["size2"], *roots, proof))
    assert refused is (not case["wantErr"] if name in DIFFERENCES else case["wantErr"])


def test_the_vectors_are_whole_and_hold_both_answers() -> None:
    for kind in ("inclusion", "consistency"):
        cases = OTHERS[kind]
        assert len(cases) == 98
        assert {case["wantErr"] for case in cases.values()} == {True, False}
    assert set(DIFFERENCES) <= set(OTHERS["consistency"])


def test_position_3_has_its_path_and_the_path_leads_to_the_root() -> None:
    tree = Tree(bytes.fromhex(entry["leaf"]) for entry in OURS["entries"])
    path = [bytes.fromhex(sibling) for sibling in OURS["inclusion_of_position_3"]]
    assert tree.root().hex() == OURS["tree_root"]
    assert inclusion_proof(2, tree.size, tree.read) == path
    verify_inclusion(bytes.fromhex(OURS["entries"][2]["leaf"]), 2, tree.size, path, bytes.fromhex(OURS["tree_root"]))


@pytest.mark.parametrize(
    ("size", "known"),
    [
        (300, "fNTj/SqKskM8YT0KP+ppisv4Jkeny2VspqTPRdxtivE="),
        (70_000, "IkjUfqDXt4P9/m019qXCnS4RYO7HbltSKLs0FjkE9Zk="),
    ],
)
def test_a_large_log_has_its_root(size: int, known: str) -> None:
    # Computed once with Go's golang.org/x/mod/sumdb/tlog.
    leaves = [leaf_hash(b'{"n":%d,"t":"Accepted"}' % index) for index in range(size)]
    assert Tree(leaves).root() == root(leaves) == _bytes(known)
