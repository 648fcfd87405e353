"""The project's known answers: `tests/vectors/formats.json`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.entry import canonical, decode_entry, encode_entry
from ledger.domain.names import stream_key, subject_stream
from ledger.domain.terms import parse_terms
from ledger.proof.merkle import leaf_hash, node_hash, root
from tests.domain.given import EXAMPLES

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "formats.json").read_text())
ENTRIES: list[dict[str, Any]] = VECTORS["entries"]
LEAVES = [bytes.fromhex(entry["leaf"]) for entry in ENTRIES]


def _ids(entry: dict[str, Any]) -> str:
    return f"position {entry['position']}"


@pytest.mark.parametrize("known", ENTRIES, ids=_ids)
def test_an_entry_decodes_and_encodes_to_the_same_bytes(known: dict[str, Any]) -> None:
    stored = known["entry"].encode()
    entry = decode_entry(stored)
    assert encode_entry(entry) == stored
    document = json.loads(stored)
    assert entry.event == document["event"]
    assert (entry.stream, entry.version, entry.nonce) == (document["stream"], document["version"], document["nonce"])
    assert (entry.occurred_at, entry.recorded_at) == (document["occurred_at"], document["recorded_at"])
    assert json.loads(canonical(entry.data)) == document["data"]


@pytest.mark.parametrize("known", ENTRIES, ids=_ids)
def test_an_entry_has_its_leaf_hash(known: dict[str, Any]) -> None:
    assert leaf_hash(known["entry"].encode()).hex() == known["leaf"]


def test_the_entries_are_all_positions_of_a_log() -> None:
    assert [entry["position"] for entry in ENTRIES] == list(range(1, len(ENTRIES) + 1))


def test_the_tree_has_its_root() -> None:
    assert root(LEAVES).hex() == VECTORS["tree_root"]


def test_the_inclusion_path_of_position_3_leads_to_the_root() -> None:
    # RFC 6962: index 2 of 10 leaves, siblings on the right, left, right and right.
    path = [bytes.fromhex(sibling) for sibling in VECTORS["inclusion_of_position_3"]]
    pair = node_hash(LEAVES[2], path[0])
    four = node_hash(path[1], pair)
    eight = node_hash(four, path[2])
    assert node_hash(eight, path[3]).hex() == VECTORS["tree_root"]


@pytest.mark.parametrize("index", [0, 1])
def test_a_subject_has_its_stream_key(index: int) -> None:
    subject_id = bytes.fromhex(VECTORS["subject_ids"][index])
    key = VECTORS["stream_keys"]["subjects"][index]
    assert subject_stream(subject_id) == key
    assert stream_key(key).hex() == key


@pytest.mark.parametrize("name", ["terms", "log", "run/r1"])
def test_a_named_stream_has_its_key(name: str) -> None:
    assert stream_key(name).hex() == VECTORS["stream_keys"][name]


def test_the_shipped_terms_are_those_of_the_first_entry_and_have_their_notice_hash() -> None:
    shipped = parse_terms((EXAMPLES / "2025-09-28.toml").read_text())
    assert decode_entry(ENTRIES[0]["entry"].encode()).data == shipped
    assert shipped.notice_hash() == VECTORS["notice"]


def test_the_evidence_of_the_notice_has_its_digest() -> None:
    evidence = VECTORS["evidence"]
    salted = bytes.fromhex(evidence["salt"]) + evidence["bytes"].encode()
    digest = hashlib.sha256(b"consent-ledger/v1/evidence\n" + salted).hexdigest()
    assert decode_entry(ENTRIES[1]["entry"].encode()).evidence == digest


def test_the_manifest_has_its_root() -> None:
    # FORMATS: leaves are canonical JSON arrays, sorted as unsigned bytes, repeats counted once.
    items = VECTORS["manifest"]["items"]
    leaves = sorted({canonical(item) for item in [*items, items[0]]})
    assert root(leaf_hash(leaf) for leaf in leaves).hex() == VECTORS["manifest"]["root"]
    use = decode_entry(ENTRIES[5]["entry"].encode()).data
    assert use.manifest == VECTORS["manifest"]["root"]
    assert sum(use.items.values()) == len(leaves)


def test_the_run_finished_with_the_root_over_its_uses() -> None:
    uses = [decode_entry(entry["entry"].encode()) for entry in ENTRIES if "data-used" in entry["entry"]]
    leaves = sorted(canonical([use.stream, use.version]) for use in uses)
    finished = decode_entry(ENTRIES[6]["entry"].encode()).data
    assert root(leaf_hash(leaf) for leaf in leaves).hex() == finished.root
    assert (finished.uses, finished.items) == (len(uses), 2)
