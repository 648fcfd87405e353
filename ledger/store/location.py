"""From a place to a database: a directory's embedded server, or a URL (design, sections 5 and 10)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.errors import LedgerMissing, Unavailable
from ledger.settings import Place
from ledger.store import embedded, schema
from ledger.store.secret import create_secret


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
    if place.directory is not None:
        try:
            place.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"expected to make the folder {place.directory}, found: {error.strerror}") from None
        with embedded.start(place.directory) as server:
            return _create(server.dsn, place, named)
    return _create(place.url or "", place, named)


def _create(url: str, place: Place, origin: str) -> tuple[schema.Identity, bool]:
    identity, is_new = schema.create(url, place.name, origin)
    create_secret(place.state, identity.id)
    return identity, is_new
