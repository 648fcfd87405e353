"""The file that proves one entry: our known answer in it, the exact inverse, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotVerified
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.merkle import MOST_HASHES, leaf_hash, verify_inclusion
from ledger.proof.policy import open_checkpoint
from ledger.proof.strict import LARGEST_NUMBER, encode_base64
from ledger.proof.tlog_proof import LARGEST_PROOF, TlogProof, format_tlog_proof, parse_tlog_proof
from tests.proof.signing import ALL, AUDITOR, OURS, WITNESSES, signed_checkpoint

NOTE = signed_checkpoint(*WITNESSES, AUDITOR)
ENTRY: bytes = OURS["entries"][2]["entry"].encode()
PATH = tuple(bytes.fromhex(sibling) for sibling in OURS["inclusion_of_position_3"])
PROOF = TlogProof(2, PATH, ENTRY, NOTE)
WRITTEN = format_tlog_proof(PROOF)
HASH = encode_base64(PATH[0])


def test_the_file_is_as_the_specification_has_it() -> None:
    lines = [
        "c2sp.org/tlog-proof@v1",
        f"extra {encode_base64(ENTRY)}",
        "index 2",
        *(encode_base64(sibling) for sibling in PATH),
        "",
        NOTE.decode(),
    ]
    assert WRITTEN.decode() == "\n".join(lines)
    without = format_tlog_proof(TlogProof(0, (), None, NOTE))
    assert without == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + NOTE


def test_what_the_file_says_holds() -> None:
    proof = parse_tlog_proof(WRITTEN)
    assert proof == PROOF
    assert proof.extra is not None
    checkpoint = open_checkpoint(proof.checkpoint, ALL).checkpoint
    leaf = leaf_hash(proof.extra)
    verify_inclusion(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root)
    with pytest.raises(NotVerified):
        verify_inclusion(leaf, proof.index + 1, checkpoint.size, proof.path, checkpoint.root)


@settings(deadline=None, database=None)
@given(
    st.builds(
        TlogProof,
        st.integers(0, LARGEST_NUMBER),
        st.lists(st.binary(min_size=32, max_size=32), max_size=MOST_HASHES).map(tuple),
        st.none() | st.binary(min_size=1, max_size=100),
        st.just(NOTE),
    )
)
def test_a_proof_comes_back(proof: TlogProof) -> None:
    assert parse_tlog_proof(format_tlog_proof(proof)) == proof


def test_the_largest_entry_under_the_deepest_tree_fits() -> None:
    proof = TlogProof(0, (bytes(32),) * MOST_HASHES, bytes(65_535), NOTE)
    assert parse_tlog_proof(format_tlog_proof(proof)) == proof


HEAD = "c2sp.org/tlog-proof@v1\n"


@pytest.mark.parametrize(
    ("head", "match"),
    [
        ("", "begins with"),
        ("\n\n", "begins with"),
        ("c2sp.org/tlog-proof@v2\nindex 0\n\n", "begins with"),
        ("\ufeff" + HEAD + "index 0\n\n", "begins with"),
        ("\n" + HEAD + "index 0\n\n", "begins with"),
        (HEAD.upper() + "index 0\n\n", "begins with"),
        (HEAD + "\nindex 0\n\n", "expected a line `index <number>`"),
        (HEAD + "index 0\n", "a hash of a tlog-proof in"),  # the first empty line is then the note's
        (HEAD + "index 0", "decimal"),
        (HEAD + "\n", "expected a line `index <number>`"),
        (HEAD + "extra QQ==\n\n", "expected a line `index <number>`"),
        (HEAD + "extra QQ==\nextra QQ==\nindex 0\n\n", "expected a line `index <number>`"),
        (HEAD + "index 0\nextra QQ==\n\n", "a hash of a tlog-proof in canonical base64"),
        (HEAD + "extra \nindex 0\n\n", "leave the line out"),
        (HEAD + "extra QR==\nindex 0\n\n", "canonical base64"),
        (HEAD + "extra  QQ==\nindex 0\n\n", "base64"),
        (HEAD + "index 00\n\n", "decimal"),
        (HEAD + "index 0362\n\n", "decimal"),
        (HEAD + "index -1\n\n", "decimal"),
        (HEAD + "index  1\n\n", "decimal"),
        (HEAD + "index \n\n", "decimal"),
        (HEAD + f"index {2**63}\n\n", "decimal"),
        (HEAD + "index 0\r\n\n", "control characters"),
        (HEAD + "index 0\t\n\n", "control characters"),
        (HEAD + f"index 0\n{HASH} \n\n", "base64"),
        (HEAD + f"index 0\n{HASH[:-1]}\n\n", "base64"),
        (HEAD + f"index 0\n{encode_base64(bytes(31))}\n\n", "expected 32 bytes"),
        (HEAD + f"index 0\n{encode_base64(bytes(33))}\n\n", "expected 32 bytes"),
        (HEAD + "index 0\n" + f"{HASH}\n" * (MOST_HASHES + 1) + "\n", "at most 63 hashes in a tlog-proof, found 64"),
        (HEAD + f"index 0\n\n{HASH}\n\n", None),  # the hash is then of the note, whose text is no checkpoint
        (HEAD + "index 0\n\n\n", None),
    ],
)
def test_what_is_no_proof_is_refused(head: str, match: str | None) -> None:
    data = head.encode() + NOTE
    if match is None:
        with pytest.raises(NotVerified, match="checkpoint"):
            open_checkpoint(parse_tlog_proof(data).checkpoint, ALL)
    else:
        with pytest.raises(NotVerified, match=match):
            parse_tlog_proof(data)


@pytest.mark.parametrize("note", [b"", b"text\n", NOTE[:-1], NOTE + b"\n", NOTE + b"more\n", b"\xff"])
def test_a_proof_without_a_signed_note_is_refused(note: bytes) -> None:
    with pytest.raises(NotVerified, match="expected"):
        parse_tlog_proof(b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + note)


def test_a_file_above_the_limit_is_refused() -> None:
    with pytest.raises(NotVerified, match="at most 1200000 bytes"):
        parse_tlog_proof(b"c" * (LARGEST_PROOF + 1))


@pytest.mark.parametrize(
    "proof",
    [
        TlogProof(-1, (), None, NOTE),
        TlogProof(2**63, (), None, NOTE),
        TlogProof(0, (bytes(31),), None, NOTE),
        TlogProof(0, (bytes(32),) * (MOST_HASHES + 1), None, NOTE),
        TlogProof(0, (), b"", NOTE),
        TlogProof(0, (), None, b"no note"),
        TlogProof(0, (), None, b"text\n\n" + NOTE.partition(b"\n\n")[2] + b"x"),
    ],
)
def test_a_proof_that_nobody_can_read_is_not_written(proof: TlogProof) -> None:
    with pytest.raises(NotVerified, match="expected"):
        format_tlog_proof(proof)


def test_every_changed_bit_before_the_note_is_refused_or_proves_nothing() -> None:
    # Of the note itself the tests of policies change every bit.
    checkpoint = open_checkpoint(NOTE, ALL).checkpoint
    for bit in range((len(WRITTEN) - len(NOTE)) * 8):
        changed = bytearray(WRITTEN)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotVerified):
            _verify(bytes(changed), checkpoint)
    _verify(WRITTEN, checkpoint)


def _verify(data: bytes, checkpoint: Checkpoint) -> None:
    proof = parse_tlog_proof(data)
    if proof.checkpoint != NOTE:
        checkpoint = open_checkpoint(proof.checkpoint, ALL).checkpoint
    verify_inclusion(leaf_hash(proof.extra or b""), proof.index, checkpoint.size, proof.path, checkpoint.root)
