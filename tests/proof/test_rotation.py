"""A log changes its key: the text to the byte, its inverse, and that both keys must say so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotVerified
from ledger.proof.note import COSIGNATURE, ED25519, SigningKey, VerifierKey, make_signing_key
from ledger.proof.rotation import Rotation, open_rotation, parse_rotation
from ledger.proof.strict import LARGEST_NUMBER
from tests.proof.signing import LOG, ORIGIN, OURS, key_of, names, signed_note

NEW = make_signing_key(ORIGIN, ED25519, b"n" * 32)
ROTATION = Rotation(ORIGIN, LOG.verifier, NEW.verifier, 10)
SIGNED = signed_note(ROTATION.text, LOG, NEW)


def test_a_rotation_is_five_lines() -> None:
    assert ROTATION.text == (
        "consent-ledger/v1/rotation\n"
        "origin consent.example/log1\n"
        f"old {OURS['vkey']}\n"
        f"new {NEW.verifier.text}\n"
        "from 10\n"
    )


@settings(deadline=None, database=None)
@given(
    names,
    st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=2, unique=True),
    st.integers(0, LARGEST_NUMBER),
)
def test_a_rotation_comes_back(origin: str, publics: list[bytes], size: int) -> None:
    old, new = (VerifierKey(origin, ED25519, public) for public in publics)
    rotation = Rotation(origin, old, new, size)
    assert parse_rotation(rotation.text) == rotation


def test_both_keys_open_a_rotation_in_either_order() -> None:
    assert open_rotation(SIGNED) == ROTATION
    assert open_rotation(signed_note(ROTATION.text, NEW, key_of("a.stranger"), LOG)) == ROTATION


@pytest.mark.parametrize("alone", [LOG, NEW])
def test_one_key_alone_rotates_nothing(alone: SigningKey) -> None:
    with pytest.raises(NotVerified, match="signatures of both keys"):
        open_rotation(signed_note(ROTATION.text, alone, alone))
    with pytest.raises(NotVerified, match="signatures of both keys"):
        open_rotation(signed_note(ROTATION.text, alone, key_of(ORIGIN)))


def test_every_changed_bit_is_refused() -> None:
    for bit in range(len(SIGNED) * 8):
        changed = bytearray(SIGNED)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotVerified, match="expected"):
            open_rotation(bytes(changed))


GOOD = ROTATION.text
OTHER = key_of("other.example").verifier


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        GOOD + "\n",
        GOOD.replace("/v1/", "/v2/"),
        GOOD.replace("from 10", "from 010"),
        GOOD.replace("from 10", "from -1"),
        GOOD.replace("from 10", f"from {2**63}"),
        GOOD.replace(
            f"old {LOG.verifier.text}\nnew {NEW.verifier.text}", f"new {NEW.verifier.text}\nold {OURS['vkey']}"
        ),
        GOOD.replace(f"new {NEW.verifier.text}", f"new {LOG.verifier.text}"),
        GOOD.replace(f"new {NEW.verifier.text}", f"new {OTHER.text}"),
        GOOD.replace(f"old {LOG.verifier.text}", f"old {OTHER.text}"),
        GOOD.replace("origin consent.example/log1", "origin other.example"),
        GOOD.replace(f"new {NEW.verifier.text}", f"new {key_of(ORIGIN, COSIGNATURE).verifier.text}"),
        GOOD.replace("+a234cbb7+", "+a234cbb8+"),
        GOOD.replace("\n", "\r\n"),
    ],
)
def test_what_is_no_rotation_is_refused(text: str) -> None:
    assert text != GOOD
    with pytest.raises(NotVerified, match="expected"):
        parse_rotation(text)
