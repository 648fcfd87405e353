"""Cosignatures: the known answers, and everything that makes one fail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidInput, NotVerified
from ledger.proof.cosignature import AUDITOR_SUFFIX, cosign, verify_cosignature
from ledger.proof.note import COSIGNATURE, ED25519, Note, Signature, format_note, parse_note, sign_note
from ledger.proof.strict import LARGEST_NUMBER
from tests.proof.signing import CHECKPOINT, LOG, NOON, OTHERS, WITNESSES, key_of

KNOWN: str = OTHERS["cosigned_at_300"]
WITNESS = WITNESSES[0]
TEXT = CHECKPOINT.text


def test_the_known_cosignatures_hold_at_their_times() -> None:
    note = parse_note(KNOWN.encode())
    times = [
        verify_cosignature(note.text, signature, key.verifier)
        for signature, key in zip(note.signatures[1:], WITNESSES, strict=True)
    ]
    assert times == [1_760_000_000, 1_760_000_001]


def test_the_known_cosignatures_are_made_again_byte_for_byte() -> None:
    text = parse_note(KNOWN.encode()).text
    cosigned = [cosign(text, key, 1_760_000_000 + number) for number, key in enumerate(WITNESSES)]
    assert format_note(Note(text, (sign_note(text, LOG), *cosigned))) == KNOWN.encode()


def test_the_example_of_the_specification_has_its_time() -> None:
    _, signature = parse_note(OTHERS["tlog_cosignature_example"].encode()).signatures
    assert len(signature.blob) == 72
    assert int.from_bytes(signature.blob[:8], "big") == 1_679_315_147


@settings(deadline=None, database=None)
@given(st.integers(0, LARGEST_NUMBER))
def test_a_cosignature_tells_its_time(time: int) -> None:
    assert verify_cosignature(TEXT, cosign(TEXT, WITNESS, time), WITNESS.verifier) == time


def test_every_changed_bit_is_refused() -> None:
    good = cosign(TEXT, WITNESS, NOON)
    for bit in range(len(good.blob) * 8):
        blob = bytearray(good.blob)
        blob[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotVerified, match="expected a"):
            verify_cosignature(TEXT, Signature(good.name, good.key_id, bytes(blob)), WITNESS.verifier)


@pytest.mark.parametrize("length", [1, 8, 64, 71, 73, 2428])
def test_another_length_is_refused(length: int) -> None:
    good = cosign(TEXT, WITNESS, NOON)
    blob = (good.blob * 34)[:length]
    with pytest.raises(NotVerified, match=f"a cosignature of 72 bytes by witness1.example, found {length}"):
        verify_cosignature(TEXT, Signature(good.name, good.key_id, blob), WITNESS.verifier)


def test_a_time_beyond_63_bits_is_refused() -> None:
    time = 2**63
    blob = time.to_bytes(8, "big") + WITNESS.sign(f"cosignature/v1\ntime {time}\n{TEXT}".encode())
    with pytest.raises(NotVerified, match=r"a time up to 2\^63 - 1"):
        verify_cosignature(TEXT, Signature(WITNESS.verifier.name, WITNESS.verifier.id, blob), WITNESS.verifier)
    for wrong in (-1, time):
        with pytest.raises(InvalidInput, match="expected a time"):
            cosign(TEXT, WITNESS, wrong)


def test_a_cosignature_of_another_text_or_by_another_key_is_refused() -> None:
    good = cosign(TEXT, WITNESS, NOON)
    with pytest.raises(NotVerified, match=r"good signature by witness1\.example"):
        verify_cosignature(TEXT.replace("\n10\n", "\n11\n"), good, WITNESS.verifier)
    with pytest.raises(NotVerified, match=r"found one by witness1\.example or by no such key"):
        verify_cosignature(TEXT, good, WITNESSES[1].verifier)
    borrowed = Signature(WITNESSES[1].verifier.name, WITNESSES[1].verifier.id, good.blob)
    with pytest.raises(NotVerified, match=r"good signature by witness2\.example"):
        verify_cosignature(TEXT, borrowed, WITNESSES[1].verifier)


def test_a_signature_of_the_bare_text_is_no_cosignature() -> None:
    blob = NOON.to_bytes(8, "big") + WITNESS.sign(TEXT.encode())
    with pytest.raises(NotVerified, match="good signature"):
        verify_cosignature(TEXT, Signature(WITNESS.verifier.name, WITNESS.verifier.id, blob), WITNESS.verifier)


def test_a_key_of_another_type_neither_cosigns_nor_is_asked() -> None:
    with pytest.raises(InvalidInput, match="type 4"):
        cosign(TEXT, LOG, NOON)
    with pytest.raises(NotVerified, match="cosignature by"):
        verify_cosignature(TEXT, sign_note(TEXT, LOG), LOG.verifier)


def test_the_types_of_one_name_are_different_keys_with_different_ids() -> None:
    assert key_of("x", COSIGNATURE).verifier.id != key_of("x", ED25519).verifier.id


def test_an_auditor_is_known_by_its_name() -> None:
    assert AUDITOR_SUFFIX == "/consent-ledger-audit-v1"
