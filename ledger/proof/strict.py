"""What every format of proofs shares: one text for one value, or none (RFC 4648 section 4; FORMATS.md section 8).

Whoever could write the same value in two ways could hand two people files that differ and both verify.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ledger.errors import NotVerified
from ledger.proof.merkle import HASH_SIZE, MOST_HASHES

#: A bundle of a thousand entries has 2 MB; more than this is no history of a person, and would fill a browser's memory.
LARGEST_FILE = 64_000_000
#: Sizes, positions and times fit the signed 64 bits of every peer (tlog-cosignature says so of times).
LARGEST_NUMBER = 2**63 - 1

_DECIMAL = re.compile(r"\A(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")

_Document = TypeVar("_Document")
_encoder = msgspec.json.Encoder(order="sorted")


def encode_base64(data: bytes) -> str:
    """Standard alphabet, padded; inverse of `decode_base64`."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str, length: int | None = None) -> bytes:
    """The bytes, `length` of them where given; `NotVerified` unless `text` is their one encoding."""
    try:
        data = base64.b64decode(text)
    except ValueError:
        raise NotVerified(f"expected {what} in base64, found {shown(text)}") from None
    if encode_base64(data) != text:  # decoders drop foreign characters, and bits that no byte needs
        raise NotVerified(f"expected {what} in canonical base64, found {shown(text)}")
    if length is not None and len(data) != length:
        raise NotVerified(f"expected {length} bytes as {what}, found {len(data)}")
    return data


def decode_hashes(texts: Sequence[str], what: str) -> tuple[bytes, ...]:
    """The hashes of a path, in base64, each of 32 bytes."""
    if len(texts) > MOST_HASHES:
        raise NotVerified(f"expected at most {MOST_HASHES} hashes in {what}, found {len(texts)}")
    return tuple(decode_base64(text, f"a hash of {what}", HASH_SIZE) for text in texts)


def parse_decimal(text: str, what: str) -> int:
    """A number from 0 to 2^63 - 1 without sign or leading zero; `str` is the inverse."""
    if not _DECIMAL.match(text) or int(text) > LARGEST_NUMBER:
        raise NotVerified(f"expected {what} as a decimal from 0 to 2^63 - 1 without leading zeros, found {shown(text)}")
    return int(text)


def text_of(data: bytes, what: str, limit: int) -> str:
    """UTF-8 of at most `limit` bytes, without control characters but the newline; `encode` is the inverse."""
    if len(data) > limit:
        raise NotVerified(f"expected {what} of at most {limit} bytes, found {len(data)}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NotVerified(f"expected {what} in UTF-8, found other bytes") from None
    control = _CONTROL.search(text)
    if control is not None:
        raise NotVerified(f"expected {what} without control characters, found U+{ord(control.group()):04X}")
    return text


def fields_of(text: str, header: str, names: Sequence[str], what: str) -> list[str]:
    """The values of a text that is the line `header` and then a line `name value` for each of `names`, in order."""
    lines = text.split("\n")
    if len(lines) != len(names) + 2 or lines[0] != header or lines[-1] != "":
        raise NotVerified(f"expected {what}: {header!r} and {len(names)} more lines, found {shown(text)}")
    values = []
    for name, line in zip(names, lines[1:-1], strict=True):
        found, space, value = line.partition(" ")
        if found != name or not space or not value:
            raise NotVerified(f"expected a line `{name} …` in {what}, found {shown(line)}")
        values.append(value)
    return values


def decode_json(data: bytes, document: type[_Document], what: str) -> _Document:
    """A document of canonical JSON (RFC 8785); inverse of `encode_json`. No key stands twice, nothing is left over.

    What the document keeps as `msgspec.Raw` is held to be JSON, and no more: whoever reads it, checks it.
    """
    if len(data) > LARGEST_FILE:
        raise NotVerified(f"expected {what} of at most {LARGEST_FILE} bytes, found {len(data)}")
    try:
        found = msgspec.json.decode(data, type=document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotVerified(f"expected {what}, found: {error}") from None
    if encode_json(found) != data:
        raise NotVerified(f"expected {what} in canonical JSON (RFC 8785), found other bytes for the same")
    return found


def encode_json(document: object) -> bytes:
    """Canonical JSON of a document whose numbers are integers below 2^53; inverse of `decode_json`."""
    try:
        return _encoder.encode(document)
    except UnicodeEncodeError:
        raise NotVerified("expected text in Unicode, found a lone surrogate") from None


def shown(text: str) -> str:
    """`text` as an error quotes it: escaped, and no longer than a line."""
    return repr(text) if len(text) <= 80 else f"{text[:77]!r}…"
