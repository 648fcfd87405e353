"""One text for one value: base64, decimals, text, lines of fields and canonical JSON."""

from __future__ import annotations

import base64
import contextlib
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotVerified
from ledger.proof.merkle import MOST_HASHES
from ledger.proof.strict import (
    LARGEST_FILE,
    LARGEST_NUMBER,
    decode_base64,
    decode_hashes,
    decode_json,
    encode_base64,
    encode_json,
    fields_of,
    parse_decimal,
    shown,
    text_of,
)


@settings(deadline=None, database=None)
@given(st.binary(max_size=100))
def test_base64_comes_back(data: bytes) -> None:
    assert decode_base64(encode_base64(data), "data") == data
    assert decode_base64(encode_base64(data), "data", len(data)) == data


@settings(deadline=None, database=None)
@given(st.text(alphabet="AQgw/+=-_ \n", max_size=8))
def test_base64_is_read_only_as_it_is_written(text: str) -> None:
    try:
        data = decode_base64(text, "data")
    except NotVerified:
        # Refused is what no bytes encode to.
        with contextlib.suppress(ValueError):
            assert base64.b64encode(base64.b64decode(text)).decode() != text
    else:
        assert encode_base64(data) == text


@pytest.mark.parametrize(
    "text",
    [
        "QQ",
        "QQ=",
        "QR==",
        "QUF=",
        "QQ==\n",
        " QQ==",
        "Q Q==",
        "QQ==QQ==",
        "-_-_",
        "QQ==Q",
        "QUFB=",
        "=",
        "Ä===",
        "QQ\u200b==",
    ],
)
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(NotVerified, match="base64"):
        decode_base64(text, "data")


def test_base64_of_another_length_is_refused() -> None:
    with pytest.raises(NotVerified, match="expected 32 bytes as a root, found 31"):
        decode_base64(encode_base64(bytes(31)), "a root", 32)


def test_a_path_has_hashes_of_32_bytes_and_not_too_many() -> None:
    one = encode_base64(bytes(32))
    assert decode_hashes([one] * MOST_HASHES, "a path") == (bytes(32),) * MOST_HASHES
    assert decode_hashes([], "a path") == ()
    with pytest.raises(NotVerified, match="at most 63 hashes in a path, found 64"):
        decode_hashes([one] * (MOST_HASHES + 1), "a path")
    for length in (0, 31, 33):
        with pytest.raises(NotVerified, match="expected 32 bytes"):
            decode_hashes([one, encode_base64(bytes(length))], "a path")


@settings(deadline=None, database=None)
@given(st.integers(0, LARGEST_NUMBER))
def test_a_decimal_comes_back(number: int) -> None:
    assert parse_decimal(str(number), "a size") == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        "01",
        "0362",
        "+1",
        "-1",
        "-0",
        "1 ",
        " 1",
        "1\n",
        "1_0",
        "1.0",
        "1e3",
        "0x1",
        "\u0661",
        "²",
        str(2**63),
        "9" * 5000,
    ],
)
def test_other_decimals_are_refused(text: str) -> None:
    with pytest.raises(NotVerified, match="expected a size as a decimal"):
        parse_decimal(text, "a size")


@settings(deadline=None, database=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50))
def test_text_comes_back_and_control_characters_do_not_pass(text: str) -> None:
    if any(c < " " and c != "\n" for c in text):
        with pytest.raises(NotVerified, match="without control characters"):
            text_of(text.encode(), "a note", 1000)
    else:
        assert text_of(text.encode(), "a note", 1000) == text


@pytest.mark.parametrize("data", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x80", b"\xf4\x90\x80\x80"])
def test_other_encodings_are_refused(data: bytes) -> None:
    with pytest.raises(NotVerified, match="UTF-8"):
        text_of(data, "a note", 1000)


def test_a_text_above_its_limit_is_refused() -> None:
    assert text_of(b"a" * 10, "a note", 10) == "a" * 10
    with pytest.raises(NotVerified, match="at most 10 bytes, found 11"):
        text_of(b"a" * 11, "a note", 10)


def test_fields_are_read_in_their_order() -> None:
    assert fields_of("head\na 1\nb two words\n", "head", ("a", "b"), "it") == ["1", "two words"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "head\na 1\nb 2",
        "head\na 1\nb 2\n\n",
        "head\na 1\nb 2\nc 3",
        "head\na 1\nb 2\nc 3\n",
        "head\na 1\n",
        "head\nb 2\na 1\n",
        "head\na 1\na 1\n",
        "head\na 1\nb \n",
        "head\na 1\nb\n",
        "Head\na 1\nb 2\n",
        "head \na 1\nb 2\n",
        "head\n a 1\nb 2\n",
        "head\n\na 1\nb 2\n",
    ],
)
def test_other_fields_are_refused(text: str) -> None:
    with pytest.raises(NotVerified, match="expected"):
        fields_of(text, "head", ("a", "b"), "it")


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    b: str
    a: list[int]
    v: Literal[1] = 1


@settings(deadline=None, database=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.lists(st.integers(0, 2**53 - 1)))
def test_a_document_comes_back(b: str, a: list[int]) -> None:
    document = _Document(b, a)
    assert decode_json(encode_json(document), _Document, "it") == document


def test_a_document_has_its_fields_in_order() -> None:
    assert encode_json(_Document("\u20ac\n\x0f", [1])) == '{"a":[1],"b":"€\\n\\u000f","v":1}'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'{"b":"x","a":[],"v":1}',  # another order
        b'{"a":[],"b":"x","v":1} ',
        b'{"a":[],"b":"x","v":1}\n',
        b'{"a":[], "b":"x","v":1}',
        b'{"a":[],"a":[],"b":"x","v":1}',  # a key twice
        b'{"a":[],"b":"x"}',  # what is left out where it has a default
        b'{"a":[],"b":"x","v":2}',
        b'{"a":[],"b":"x","v":1,"w":1}',
        b'{"a":[],"b":"x","v":1}{}',
        b'{"a":[1.0],"b":"x","v":1}',
        b'{"a":[01],"b":"x","v":1}',
        b'{"a":[-0],"b":"x","v":1}',
        b'{"a":[],"b":"\\u0078","v":1}',  # an escape that needs none
        b'{"a":[],"b":"\\/","v":1}',
        b'{"a":[],"b":"\\ud800","v":1}',
        b'{"a":[],"b":"\xff","v":1}',
        b'\xef\xbb\xbf{"a":[],"b":"x","v":1}',
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_other_documents_are_refused(data: bytes) -> None:
    with pytest.raises(NotVerified, match="expected it"):
        decode_json(data, _Document, "it")


def test_a_document_above_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(NotVerified, match="at most 64000000 bytes"):
        decode_json(b"[" * (LARGEST_FILE + 1), _Document, "it")


def test_a_lone_surrogate_is_never_written() -> None:
    with pytest.raises(NotVerified, match="surrogate"):
        encode_json(_Document("\ud800", []))


def test_what_an_error_quotes_fits_a_line() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert shown("x" * 80) == repr("x" * 80)
    assert shown("x" * 1_000_000) == repr("x" * 77) + "…"
