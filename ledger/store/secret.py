"""The secret under which erased identities are remembered: a file outside every database (design, section 5)."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.errors import Unavailable
from ledger.files import sync

SECRET_BYTES = 32
_FILE = "erasure-secret"


def create_secret(state: Path, ledger_id: bytes) -> None:
    """Makes the secret of a new ledger, readable by its owner only, and durable: no other will ever do."""
    path = secret_path(state, ledger_id)
    try:
        path.parent.mkdir(mode=0o700, parents=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(os.urandom(SECRET_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        for folder in (path.parent, state):
            sync(folder)
    except OSError as error:
        raise Unavailable(
            f"expected to keep the secret of erasure at {path}, found: {error.strerror}; "
            "set CONSENT_STATE to a folder that can be written"
        ) from None


def read_secret(state: Path, ledger_id: bytes) -> bytes:
    """The secret; `Unavailable` where it is not: without it an erased person could be brought back."""
    path = secret_path(state, ledger_id)
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"expected the secret of erasure at {path}, found: {error}; copy it from where the ledger was made, "
            "or set CONSENT_STATE to its folder"
        ) from None
    if len(secret) != SECRET_BYTES:
        raise Unavailable(f"expected {SECRET_BYTES} bytes in hex at {path}, found {len(secret)}; restore the file")
    return secret


def secret_path(state: Path, ledger_id: bytes) -> Path:
    return state / ledger_id.hex() / _FILE
