"""A promise, which answers an append until a checkpoint covers it, and its receipt (FORMATS.md section 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import msgspec

from ledger.domain.entry import decode_entry
from ledger.domain.names import STREAM_PATTERN
from ledger.domain.times import parse_time
from ledger.errors import InvalidEntry, InvalidInput, NotVerified
from ledger.proof.merkle import HASH_SIZE, leaf_hash
from ledger.proof.note import is_key_name, parse_note
from ledger.proof.policy import RECEIPTS_SUFFIX, Trust, signers
from ledger.proof.strict import (
    LARGEST_NUMBER,
    decode_base64,
    decode_json,
    encode_base64,
    encode_json,
    fields_of,
    parse_decimal,
    shown,
)

_HEADER = "consent-ledger/v1/receipt"
_NAMES = ("origin", "stream", "position", "leaf", "recorded", "covered-by")
_STREAM = re.compile(STREAM_PATTERN)


@dataclass(frozen=True, slots=True)
class Promise:
    """Every checkpoint of `origin` of at least `position` has this leaf there, and one is published by `covered_by`."""

    origin: str
    stream: str
    position: int
    #: The leaf hash of the entry, 32 bytes.
    leaf: bytes
    #: The entry's `recorded_at`, and a time of the same form.
    recorded: str
    covered_by: str

    def __post_init__(self) -> None:
        if not is_key_name(self.origin):
            raise NotVerified(f"expected an origin without spaces and plus signs, found {shown(self.origin)}")
        if not _STREAM.match(self.stream):
            raise NotVerified(f"expected a stream in a promise, found {shown(self.stream)}")
        if not 1 <= self.position <= LARGEST_NUMBER:
            raise NotVerified(f"expected a position from 1 in a promise, found {self.position}")
        if len(self.leaf) != HASH_SIZE:
            raise NotVerified(f"expected a leaf hash of {HASH_SIZE} bytes in a promise, found {len(self.leaf)}")
        try:
            parse_time(self.recorded)
            parse_time(self.covered_by)
        except InvalidInput as error:
            raise NotVerified(f"{error} in a promise") from None

    @property
    def text(self) -> str:
        """What the receipts key signs; inverse of `parse_promise`."""
        leaf = encode_base64(self.leaf)
        values = (self.origin, self.stream, self.position, leaf, self.recorded, self.covered_by)
        lines = [f"{name} {value}\n" for name, value in zip(_NAMES, values, strict=True)]
        return f"{_HEADER}\n{''.join(lines)}"


def parse_promise(text: str) -> Promise:
    """The promise of a note's text."""
    origin, stream, position, leaf, recorded, covered_by = fields_of(text, _HEADER, _NAMES, "a promise")
    return Promise(
        origin,
        stream,
        parse_decimal(position, "the position of a promise"),
        decode_base64(leaf, "the leaf of a promise", HASH_SIZE),
        recorded,
        covered_by,
    )


def open_promise(note_data: bytes, trust: Trust) -> Promise:
    """The promise of a signed note; `NotVerified` unless its origin's receipts key signed it and no other known key."""
    note = parse_note(note_data)
    promise = parse_promise(note.text)
    name = promise.origin + RECEIPTS_SUFFIX
    known = (*trust.logs, *trust.receipts, *trust.cosigners)
    own = [key for key in trust.receipts if key.name == name]
    signers(note, name, own, [key for key in known if key not in own])
    return promise


@dataclass(frozen=True, slots=True)
class Receipt:
    """What whoever recorded something keeps: the entry's bytes, and the signed note that promises to cover it."""

    entry: bytes
    promise: str


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    entry: msgspec.Raw
    promise: str
    v: Literal[1]


def parse_receipt(data: bytes) -> Receipt:
    """The receipt of these bytes, nothing verified yet; inverse of `format_receipt`."""
    found = decode_json(data, _Document, "a receipt")
    entry = bytes(found.entry)
    try:
        decode_entry(entry)
    except InvalidEntry as error:
        raise NotVerified(f"{error} in a receipt") from None
    parse_note(found.promise.encode())
    return Receipt(entry, found.promise)


def format_receipt(receipt: Receipt) -> bytes:
    """The receipt's bytes; inverse of `parse_receipt`, which is asked, so nothing is written that nobody can read."""
    data = encode_json(_Document(entry=msgspec.Raw(receipt.entry), promise=receipt.promise, v=1))
    if parse_receipt(data) != receipt:
        raise NotVerified("expected an entry and a signed promise, found a receipt that reads as another")
    return data


def open_receipt(receipt: Receipt, trust: Trust) -> Promise:
    """The promise of a receipt, which is about this entry and no other, or `NotVerified`."""
    promise = open_promise(receipt.promise.encode(), trust)
    entry = decode_entry(receipt.entry)
    if leaf_hash(receipt.entry) != promise.leaf:
        raise NotVerified("expected a promise about the entry of the receipt, found one about another leaf hash")
    if (entry.stream, entry.recorded_at) != (promise.stream, promise.recorded):
        raise NotVerified("expected the entry's stream and time in the promise of a receipt, found others")
    return promise
