"""Witnesses' keys, and what they make of a checkpoint."""

from __future__ import annotations

from ledger.proof.cosignature import cosign
from ledger.proof.note import COSIGNATURE, Note, SigningKey, format_note, make_signing_key, parse_note


def witness(number: int) -> SigningKey:
    return make_signing_key(f"witness-{number}.example.org", COSIGNATURE, bytes([number]) * 32)


def cosigned(note: str, *witnesses: SigningKey, time: int = 1_760_000_000) -> bytes:
    """The note with a cosignature of each."""
    parsed = parse_note(note.encode())
    added = tuple(cosign(parsed.text, key, time) for key in witnesses)
    return format_note(Note(parsed.text, (*parsed.signatures, *added)))
