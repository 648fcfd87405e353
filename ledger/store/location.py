"""From a place to a database: a directory's embedded server, or a URL (design, sections 5 and 10)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import InvalidInput, LedgerMissing, Unavailable
from ledger.proof.note import is_key_name
from ledger.settings import Place
from ledger.store import embedded, schema


@contextmanager
def served(place: Place) -> Iterator[str]:
    """The URL of the ledger's database, for as long as it is needed."""
    if place.url is not None:
        yield place.url
        return
    directory = place.directory
    if directory is None or not embedded.is_initialised(directory):
        raise LedgerMissing(f"expected a ledger at {place.name}, found none; create it with `consent init`")
    with embedded.start(directory) as server:
        yield server.dsn


def create_ledger(place: Place, origin: str | None) -> tuple[schema.Identity, bool]:
    """Makes the ledger at `place`, with its secrets; an existing one stays as it is. Says whether it is new."""
    named = origin or f"consent-ledger.invalid/{secrets.token_hex(16)}"
    if not is_key_name(named):
        # Keys are named by it, and nobody could read a note that they signed.
        raise InvalidInput(f"expected an origin without spaces and plus signs, found {named!r}")
    if place.directory is not None:
        try:
            _make(place.directory)
        except OSError as error:
            raise Unavailable(f"expected to make the folder {place.directory}, found: {error.strerror}") from None
        with embedded.start(place.directory) as server:
            return schema.create(server.dsn, place.name, named, place.state)
    return schema.create(place.url or "", place.name, named, place.state)


def _make(directory: Path) -> None:
    if directory.is_dir():
        return
    directory.mkdir(parents=True)
    if os.geteuid() == 0:
        # The server runs under an account of its own then, who must pass this folder, and may read nothing in it.
        directory.chmod(0o711)
