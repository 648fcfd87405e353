"""Idempotency keys as the store keeps them: digests that say nothing without the subject id (design, section 5)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from msgspec import Struct


class Key(Struct, frozen=True, gc=False):
    """One row: what to look for, and what must stand there. A fence has no position: it only keeps others out.

    `entry` counts the entries of its append from 0: which of them the key stands for.
    """

    key: bytes
    request: bytes
    fence: bool = False
    entry: int = 0


def keys_of(subject_id: bytes, key: str, request: bytes, secret: bytes | None) -> list[Key]:
    """The rows for a caller's `key`, with `request` its canonical bytes.

    With `secret`, a second row keeps the key from standing for another subject: found by an HMAC of the key, it
    holds a digest that only the subject id can open, and no position, so after an erasure it leads nowhere.
    Without (the key was derived from the subject's own request) no other subject can have it.
    """
    scoped = _scoped(subject_id, key.encode(), hashlib.sha256(request).digest())
    return [scoped] if secret is None else [scoped, fence_of(subject_id, key, secret)]


def derived_key(subject_id: bytes, request: bytes, entry: int) -> Key:
    """The row of a key that is the digest of the request itself, for the entry of that number of its append."""
    digest = hashlib.sha256(request).digest()
    return _scoped(subject_id, digest.hex().encode(), digest, entry)


def _scoped(subject_id: bytes, key: bytes, request: bytes, entry: int = 0) -> Key:
    """The row of one subject's key, with the digest of the request that it stands for."""
    return Key(hashlib.sha256(b"consent-ledger/v1/key\n" + subject_id + key).digest(), request, False, entry)


def fence_of(subject_id: bytes, key: str, secret: bytes) -> Key:
    """The row that keeps `key` for one subject; of no subject yet, with no bytes for its id: nobody's request fits."""
    return Key(
        hmac.digest(secret, b"consent-ledger/v1/key-fence\n" + key.encode(), "sha256"),
        hashlib.sha256(b"consent-ledger/v1/key-owner\n" + subject_id + key.encode()).digest(),
        fence=True,
    )


def fingerprint(secret: bytes, identity: str) -> bytes:
    """What remains of an erased identity: an HMAC-SHA-256 under a secret that the database does not hold."""
    return hmac.digest(secret, identity.encode(), "sha256")


def fingerprints(secret: bytes, identities: Iterable[str]) -> list[bytes]:
    """The fingerprint of each; the key is taken in once."""
    keyed = hmac.new(secret, digestmod="sha256")
    prints = []
    for identity in identities:
        one = keyed.copy()
        one.update(identity.encode())
        prints.append(one.digest())
    return prints
