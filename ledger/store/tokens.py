"""Who may ask the service: tokens by their SHA-256, which leads back to none (migrations, 0006)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from ledger.errors import Refused
from ledger.store.database import Connection
from ledger.store.statements import statement


@dataclass(frozen=True, slots=True)
class StoredToken:
    """One token, of which nobody can tell what it is."""

    digest: bytes
    name: str
    scopes: frozenset[str]
    created: datetime
    expires: datetime
    revoked: datetime | None


def add_token(connection: Connection, digest: bytes, name: str, scopes: Collection[str], expires: datetime) -> None:
    """Lets a token in until it expires; `Refused` where its name stands for another that is not revoked."""
    parameters = {"digest": digest, "name": name, "scopes": sorted(scopes), "expires_at": expires}
    try:
        connection.execute(statement("insert_token"), parameters)
    except psycopg.errors.UniqueViolation:
        raise Refused(
            f"expected a name that stands for no token, found {name}, which does; take another, or revoke it first"
        ) from None


def revoke_token(connection: Connection, name: str) -> None:
    """Lets the token of this name in no longer; `Refused` where there is none that was not revoked."""
    if connection.execute(statement("revoke_token"), {"name": name}).rowcount == 0:
        raise Refused(
            f"expected the name of a token that is not revoked, found {name}, which is none; see `consent tokens list`"
        )


def all_tokens(connection: Connection) -> list[StoredToken]:
    """Every token there ever was, in the order they were made."""
    return [_stored(row) for row in connection.execute(statement("select_tokens"))]


def find_token(connection: Connection, digest: bytes) -> tuple[StoredToken, datetime] | None:
    """The token of this digest, if there is one, and the database's time."""
    row = connection.execute(statement("select_token"), {"digest": digest}, prepare=True).fetchone()
    return None if row is None else (_stored(row[:-1]), row[-1])


def _stored(row: tuple[Any, ...]) -> StoredToken:
    digest, name, scopes, created, expires, revoked = row
    return StoredToken(bytes(digest), name, frozenset(scopes), created, expires, revoked)
