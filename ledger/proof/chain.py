"""The chain over the entries of one stream, and the value that the subject map holds for it (FORMATS.md section 4)."""

from __future__ import annotations

import hashlib


def chain_start(key: bytes) -> bytes:
    """h_0 of the stream with this key, 32 bytes."""
    return hashlib.sha256(b"consent-ledger/v1/chain0\n" + key).digest()


def chain_next(head: bytes, version: int, leaf: bytes) -> bytes:
    """h_n from h_(n-1), the version n and the leaf hash of the entry of that version."""
    return hashlib.sha256(b"consent-ledger/v1/chain\n" + head + version.to_bytes(8, "big") + leaf).digest()


def stream_value(length: int, head: bytes) -> bytes:
    """What the map holds for a stream of `length` entries, at least one, with the head h_n."""
    return hashlib.sha256(b"consent-ledger/v1/stream\n" + length.to_bytes(8, "big") + head).digest()
