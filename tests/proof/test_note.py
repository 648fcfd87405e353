"""Signed notes and their keys: the published examples, the exact inverses, and what is refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidInput, NotVerified
from ledger.proof.note import (
    COSIGNATURE,
    ED25519,
    LARGEST_NOTE,
    MOST_SIGNATURES,
    Note,
    Signature,
    VerifierKey,
    format_note,
    format_signature,
    is_key_name,
    make_signing_key,
    parse_note,
    parse_signing_key,
    parse_vkey,
    sign_note,
    signing_key_text,
    verify_note,
)
from tests.proof.signing import LOG, ORIGIN, OTHERS, OURS, key_of, names

NEUMANN = OTHERS["neumann"]
PETER, ENOCH = (parse_vkey(text) for text in NEUMANN["vkeys"])
SIGNED: bytes = NEUMANN["note"].encode()
TEXT, LINES = NEUMANN["note"].split("\n\n")
PETER_LINE, ENOCH_LINE = (line + "\n" for line in LINES.removesuffix("\n").split("\n"))
TEXT += "\n"

texts = st.text(alphabet=st.one_of(st.just("\n"), st.characters(exclude_categories=["Cs", "Cc"]))).map(
    lambda t: t + "\n"
)
signatures = st.builds(Signature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))
types = st.sampled_from([ED25519, COSIGNATURE])


def test_the_published_note_is_signed_by_both_its_keys() -> None:
    note = parse_note(SIGNED)
    assert note.text == TEXT
    assert [one.name for one in note.signatures] == ["PeterNeumann", "EnochRoot"]
    assert verify_note(note, [PETER, ENOCH]) == (PETER, ENOCH)
    assert verify_note(note, [ENOCH]) == (ENOCH,)
    assert format_note(note) == SIGNED


def test_the_published_key_signs_the_published_note() -> None:
    key = parse_signing_key(NEUMANN["signing_key"])
    assert key.verifier == PETER
    assert signing_key_text(key) == NEUMANN["signing_key"]
    assert format_signature(sign_note(TEXT, key)) == PETER_LINE


def test_the_example_of_the_specification_is_read() -> None:
    example: str = OTHERS["signed_note_example"]
    note = parse_note(example.encode())
    assert note.text == "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
    [signature] = note.signatures
    assert (signature.name, signature.key_id.hex()) == ("quasimodo.example/salvatore", "367ba04b")
    assert len(signature.blob) == 64
    assert format_note(note) == example.encode()


def test_our_known_answer_is_signed_by_its_key() -> None:
    assert LOG.verifier.text == OURS["vkey"]
    note = parse_note(OURS["checkpoint"].encode())
    assert verify_note(note, [parse_vkey(OURS["vkey"])]) == (LOG.verifier,)
    assert format_note(Note(note.text, (sign_note(note.text, LOG),))) == OURS["checkpoint"].encode()


@settings(deadline=None, database=None)
@given(texts, st.lists(signatures, min_size=1, max_size=5))
def test_a_note_comes_back(text: str, of: list[Signature]) -> None:
    note = Note(text, tuple(of))
    assert parse_note(format_note(note)) == note


@settings(deadline=None, database=None)
@given(st.text(alphabet="\n\N{EM DASH} aAQ=+\r", max_size=40).map(lambda tail: f"a\n\n\N{EM DASH} a QUFBQUFB\n{tail}"))
def test_a_note_is_read_only_as_it_is_written(whole: str) -> None:
    try:
        note = parse_note(whole.encode())
    except NotVerified:
        return
    assert format_note(note) == whole.encode()


@pytest.mark.parametrize(
    "whole",
    [
        "",
        "\n",
        "\n\n",
        TEXT,
        TEXT + "\n",
        TEXT + "\n" + PETER_LINE[:-1],
        TEXT + "\n" + PETER_LINE + "\n",
        TEXT + PETER_LINE,
        TEXT + "\n" + PETER_LINE + "Unexpected line.\n",
        TEXT + "\n" + PETER_LINE + PETER_LINE.replace("\N{EM DASH}", "-"),
        TEXT + "\n" + PETER_LINE.replace("\N{EM DASH} ", "\N{EM DASH}"),
        TEXT + "\n" + PETER_LINE.replace(" PeterNeumann", ""),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann", "Peter Neumann"),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann", "Peter+Neumann"),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann", "Peter\N{NO-BREAK SPACE}Neumann"),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann", "Peter\N{LINE SEPARATOR}Neumann"),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann", "Peter\x85Neumann"),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann ", "PeterNeumann  "),
        TEXT + "\n" + PETER_LINE.replace("\n", " \n"),
        TEXT + "\n" + PETER_LINE.replace("JnAM=", "JnAN="),  # bits that no byte needs
        TEXT + "\n" + PETER_LINE.replace("JnAM=", "JnAM"),
        TEXT + "\n" + PETER_LINE.replace("+", "-").replace("/", "_"),
        TEXT + "\n\N{EM DASH} PeterNeumann \n",
        TEXT + "\n\N{EM DASH} PeterNeumann x08gow==\n",  # a key id and no signature
        TEXT + "\n\N{EM DASH} PeterNeumann x08g\n",
        (TEXT + "\n" + PETER_LINE).replace("\n", "\r\n"),
        TEXT.replace(" ", "\t") + "\n" + PETER_LINE,
        "\x00" + TEXT + "\n" + PETER_LINE,
        "\x1f" + TEXT + "\n" + PETER_LINE,
    ],
)
def test_what_is_no_note_is_refused(whole: str) -> None:
    with pytest.raises(NotVerified, match="expected"):
        parse_note(whole.encode())


def test_other_bytes_than_utf_8_are_refused() -> None:
    with pytest.raises(NotVerified, match="UTF-8"):
        parse_note(b"\xff" + SIGNED)


def test_a_note_above_its_limit_is_refused() -> None:
    tail = "\n" + PETER_LINE
    room = LARGEST_NOTE - len(tail.encode())
    parse_note(("a" * (room - 1) + "\n" + tail).encode())
    with pytest.raises(NotVerified, match="a note of at most 1000000 bytes, found 1000001"):
        parse_note(("a" * room + "\n" + tail).encode())


def test_a_hundred_signatures_are_read_and_one_more_is_refused() -> None:
    note = parse_note((TEXT + "\n" + PETER_LINE * MOST_SIGNATURES).encode())
    assert len(note.signatures) == MOST_SIGNATURES == 100
    with pytest.raises(NotVerified, match="at most 100 signatures in a note, found 101"):
        parse_note((TEXT + "\n" + PETER_LINE * (MOST_SIGNATURES + 1)).encode())


@pytest.mark.parametrize(
    "note",
    [
        Note(TEXT, ()),
        Note("no newline", (sign_note("no newline", LOG),)),
        Note("", (sign_note("", LOG),)),
        Note("tab\t\n", (sign_note("tab\t\n", LOG),)),
        Note("\ud800\n", (Signature("a", b"1234", b"5"),)),
        Note(TEXT, (Signature("a b", b"1234", b"5"),)),
        Note(TEXT, (Signature("a", b"1234", b""),)),
        Note(TEXT, (Signature("a", b"123", b"45"),)),  # it would read as another
    ],
)
def test_a_note_that_nobody_can_read_is_not_written(note: Note) -> None:
    with pytest.raises(NotVerified, match="expected"):
        format_note(note)


def test_signatures_by_others_are_passed_over() -> None:
    stranger = Signature("PeterNeumann", b"\0\0\0\0", b"another key of the same name")
    same_id = Signature("Somebody", PETER.id, b"another name with the same id")
    note = parse_note(SIGNED)
    mixed = Note(note.text, (stranger, same_id, *note.signatures))
    assert verify_note(mixed, [PETER]) == (PETER,)


def test_a_note_that_only_others_signed_is_refused() -> None:
    with pytest.raises(NotVerified, match=r"found only others: 'EnochRoot, PeterNeumann'"):
        verify_note(parse_note(SIGNED), [LOG.verifier])
    with pytest.raises(NotVerified, match="found only others"):
        verify_note(parse_note(SIGNED), [])


@pytest.mark.parametrize("bit", [0, 7, 255, 256, 511])
def test_a_damaged_signature_of_a_known_key_rejects_the_note_whoever_else_signed(bit: int) -> None:
    peter, enoch = parse_note(SIGNED).signatures
    damaged = Note(TEXT, (_flip(peter, bit), enoch))
    with pytest.raises(NotVerified, match="expected a good signature by PeterNeumann"):
        verify_note(damaged, [PETER, ENOCH])
    # Who does not know that key cannot tell.
    assert verify_note(damaged, [ENOCH]) == (ENOCH,)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[:32], lambda b: b + b])
def test_a_signature_of_another_length_rejects_the_note(change: object) -> None:
    assert callable(change)
    peter, _ = parse_note(SIGNED).signatures
    with pytest.raises(NotVerified, match="expected a good signature by PeterNeumann"):
        verify_note(Note(TEXT, (Signature(peter.name, peter.key_id, change(peter.blob)),)), [PETER])


def test_only_the_first_signature_of_a_key_counts() -> None:
    peter, _ = parse_note(SIGNED).signatures
    assert verify_note(Note(TEXT, (peter, _flip(peter, 3))), [PETER]) == (PETER,)
    with pytest.raises(NotVerified, match="good signature"):
        verify_note(Note(TEXT, (_flip(peter, 3), peter)), [PETER])


def test_a_changed_text_is_refused() -> None:
    with pytest.raises(NotVerified, match="good signature"):
        verify_note(Note(TEXT.replace("answer", "cause"), parse_note(SIGNED).signatures), [PETER])


def test_a_key_for_cosignatures_neither_signs_nor_verifies_a_note() -> None:
    other = key_of(ORIGIN, COSIGNATURE)
    with pytest.raises(InvalidInput, match="type 1"):
        sign_note(TEXT, other)
    lying = Note(TEXT, (Signature(ORIGIN, other.verifier.id, other.sign(TEXT.encode())),))
    with pytest.raises(NotVerified, match="found only others"):
        verify_note(lying, [other.verifier])


@settings(deadline=None, database=None)
@given(names, types, st.binary(min_size=32, max_size=32))
def test_keys_come_back(name: str, type: int, seed: bytes) -> None:
    key = make_signing_key(name, type, seed)
    assert parse_signing_key(signing_key_text(key)) == key
    assert parse_vkey(key.verifier.text) == key.verifier
    assert key.verifier.signed(b"message", key.sign(b"message"))
    assert not key.verifier.signed(b"other", key.sign(b"message"))


def test_a_key_id_is_of_name_type_and_key() -> None:
    expected = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + LOG.verifier.public).digest()[:4]
    assert LOG.verifier.id == expected
    others = {VerifierKey(ORIGIN, COSIGNATURE, LOG.verifier.public).id, VerifierKey("x", 1, LOG.verifier.public).id}
    assert expected not in others


def test_every_part_and_every_change_of_a_verifier_key_is_refused() -> None:
    # The checks of Go's own tests.
    text = PETER.text
    for start in range(len(text) + 1):
        for end in range(start + 1, len(text) + 1):
            if end - start < len(text):
                _refuses_vkey(text[start:end])
    for place, character in enumerate(text):
        _refuses_vkey(text[:place] + chr(ord(character) + 1) + text[place + 1 :])
    for text in NEUMANN["no_vkeys"]:
        _refuses_vkey(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PETER.text + "\n",
        " " + PETER.text,
        PETER.text.replace("c74f20a3", "C74F20A3"),
        PETER.text.replace("c74f20a3", "0c74f20a3"),
        PETER.text.replace("Neumann", " Neumann"),
        "x+00000000+BkE=",  # a type that is not Ed25519
    ],
)
def test_other_verifier_keys_are_wrong_usage(text: str) -> None:
    _refuses_vkey(text)


def test_every_part_and_every_change_of_a_signing_key_is_refused_and_never_repeated() -> None:
    text: str = NEUMANN["signing_key"]
    secret = text.rpartition("+")[2]
    for start in range(len(text) + 1):
        for end in range(start + 1, len(text) + 1):
            if end - start < len(text):
                _refuses_signing_key(text[start:end], secret)
    for place, character in enumerate(text):
        _refuses_signing_key(text[:place] + chr(ord(character) + 1) + text[place + 1 :], secret)


def test_a_signing_key_does_not_show_its_secret() -> None:
    key = make_signing_key("x", ED25519, b"s" * 32)
    assert "ssss" not in repr(key)
    assert "seed" not in repr(key)


def test_a_key_of_another_length_is_wrong_usage() -> None:
    with pytest.raises(InvalidInput, match="private key of 32 bytes, found 31"):
        make_signing_key("x", ED25519, bytes(31))
    with pytest.raises(InvalidInput, match="public key of 32 bytes, found 33"):
        VerifierKey("x", ED25519, bytes(33))
    with pytest.raises(InvalidInput, match="found type 2"):
        VerifierKey("x", 2, bytes(32))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\tb", "\x00", "a\u2003", "a\x85b", "\ud800"])
def test_a_name_with_spaces_or_plus_signs_is_none(name: str) -> None:
    assert not is_key_name(name)
    with pytest.raises(InvalidInput, match="key's name"):
        VerifierKey(name, ED25519, bytes(32))


def _flip(signature: Signature, bit: int) -> Signature:
    blob = bytearray(signature.blob)
    blob[bit // 8] ^= 1 << bit % 8
    return Signature(signature.name, signature.key_id, bytes(blob))


def _refuses_vkey(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        parse_vkey(text)


def _refuses_signing_key(text: str, secret: str) -> None:
    with pytest.raises(InvalidInput, match="expected") as refusal:
        parse_signing_key(text)
    assert secret[4:12] not in str(refusal.value)
