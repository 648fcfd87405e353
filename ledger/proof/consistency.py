"""Two checkpoints of one log and the proof that the newer extends the older (FORMATS.md section 8; RFC 9162 2.1.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from ledger.proof.note import parse_note
from ledger.proof.strict import decode_hashes, decode_json, encode_base64, encode_json


@dataclass(frozen=True, slots=True)
class ConsistencyFile:
    """What such a file says, nothing verified yet: the text of two signed notes, and the hashes between them."""

    old: str
    new: str
    proof: tuple[bytes, ...]


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    new: str
    old: str
    proof: list[str]
    v: Literal[1]


def parse_consistency(data: bytes) -> ConsistencyFile:
    """The file of these bytes; inverse of `format_consistency`."""
    found = decode_json(data, _Document, "a consistency proof")
    for note in (found.old, found.new):
        parse_note(note.encode())
    return ConsistencyFile(found.old, found.new, decode_hashes(found.proof, "a consistency proof"))


def format_consistency(file: ConsistencyFile) -> bytes:
    """The file's bytes; inverse of `parse_consistency`, which is asked, so nothing is written that nobody can read."""
    proof = [encode_base64(one) for one in file.proof]
    data = encode_json(_Document(new=file.new, old=file.old, proof=proof, v=1))
    parse_consistency(data)
    return data
