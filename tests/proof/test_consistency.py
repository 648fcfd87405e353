"""The file of two checkpoints and the way between them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotVerified
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.consistency import ConsistencyFile, format_consistency, parse_consistency
from ledger.proof.merkle import MOST_HASHES, Tree, consistency_proof, verify_consistency
from ledger.proof.policy import open_checkpoint
from ledger.proof.strict import encode_base64
from tests.proof.signing import ALL, AUDITOR, ORIGIN, OURS, WITNESSES, signed_checkpoint

TREE = Tree()
for _known in OURS["entries"]:
    TREE.append(bytes.fromhex(_known["leaf"]))


def _note(size: int) -> str:
    return signed_checkpoint(*WITNESSES, AUDITOR, checkpoint=Checkpoint(ORIGIN, size, TREE.root(size))).decode()


FILE = ConsistencyFile(_note(6), _note(10), tuple(consistency_proof(6, 10, TREE.read)))
WRITTEN = format_consistency(FILE)


def test_the_file_is_canonical_json_of_four_fields() -> None:
    document = json.loads(WRITTEN)
    assert list(document) == ["new", "old", "proof", "v"]
    assert (document["old"], document["new"], document["v"]) == (FILE.old, FILE.new, 1)
    assert document["proof"] == [encode_base64(one) for one in FILE.proof]


def test_what_the_file_says_holds() -> None:
    file = parse_consistency(WRITTEN)
    assert file == FILE
    old, new = (open_checkpoint(note.encode(), ALL).checkpoint for note in (file.old, file.new))
    verify_consistency(old.size, new.size, old.root, new.root, file.proof)
    assert len(file.proof) > 0


@settings(deadline=None, database=None)
@given(st.lists(st.binary(min_size=32, max_size=32), max_size=MOST_HASHES), st.booleans())
def test_a_file_comes_back(proof: list[bytes], same: bool) -> None:
    file = ConsistencyFile(FILE.old, FILE.old if same else FILE.new, tuple(proof))
    assert parse_consistency(format_consistency(file)) == file


def _changed(**fields: object) -> bytes:
    document = json.loads(WRITTEN) | fields
    kept = {name: value for name, value in sorted(document.items()) if value is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def test_the_changes_below_start_from_a_good_file() -> None:
    assert _changed() == WRITTEN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        WRITTEN + b"\n",
        WRITTEN.replace(b'{"new"', b'{ "new"'),
        WRITTEN.replace(b'"v":1', b'"v":1,"v":1'),
        WRITTEN.replace(b"\xe2\x80\x94", b"\\u2014"),
        _changed(v=2),
        _changed(v=None),
        _changed(old=None),
        _changed(new=None),
        _changed(proof=None),
        _changed(proof="x"),
        _changed(proof=[encode_base64(bytes(31))]),
        _changed(proof=[encode_base64(bytes(33))]),
        _changed(proof=[""]),
        _changed(proof=["-" * 44]),
        _changed(proof=[encode_base64(bytes(32))] * (MOST_HASHES + 1)),
        _changed(old="no note"),
        _changed(new=FILE.new.replace("\n", "\r\n")),
        _changed(new=FILE.new[:-1]),
        _changed(root="x"),
    ],
)
def test_what_is_no_consistency_proof_is_refused(data: bytes) -> None:
    with pytest.raises(NotVerified, match="expected"):
        parse_consistency(data)


@pytest.mark.parametrize(
    "file",
    [
        ConsistencyFile("no note", FILE.new, ()),
        ConsistencyFile(FILE.old, FILE.new, (bytes(31),)),
        ConsistencyFile(FILE.old, FILE.new, (bytes(32),) * (MOST_HASHES + 1)),
        ConsistencyFile(FILE.old, "\ud800\n\n", ()),
    ],
)
def test_a_file_that_nobody_can_read_is_not_written(file: ConsistencyFile) -> None:
    with pytest.raises(NotVerified, match="expected"):
        format_consistency(file)
