"""Evidence: the erasable material behind an entry, which holds only a salted digest of it (design, section 5)."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from ledger.errors import InvalidInput

#: Addresses, user agents, the wording shown: more is a document, and belongs elsewhere.
LARGEST_EVIDENCE = 65_536
SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Evidence:
    """One row, stored with its entry; `digest` is what the entry holds of `salt` and `body`."""

    digest: bytes
    salt: bytes
    body: bytes


def new_evidence(body: bytes) -> Evidence:
    """`body` with a fresh salt, and the digest of both (FORMATS.md section 1)."""
    if len(body) > LARGEST_EVIDENCE:
        raise InvalidInput(f"expected at most {LARGEST_EVIDENCE} bytes of evidence, found {len(body)}")
    salt = os.urandom(SALT_BYTES)
    return Evidence(hashlib.sha256(b"consent-ledger/v1/evidence\n" + salt + body).digest(), salt, body)
