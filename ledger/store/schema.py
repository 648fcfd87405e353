"""The ledger's tables: made, and brought up to date, by numbered migrations (design, section 5)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import psycopg

from ledger.errors import LedgerMissing, Refused, Unavailable
from ledger.keyring import create_keys
from ledger.store.database import Connection, connect, one_line
from ledger.store.secret import create_secret, secret_path

LEDGER_ID_BYTES = 16
#: Of all migrations in a database: two `init` at once must not make the same table.
_MIGRATION_LOCK = 0x636F6E73656E74


@dataclass(frozen=True, slots=True)
class Identity:
    """Which ledger this is: `id` is new for each, `origin` is what its keys and checkpoints are named by."""

    id: bytes
    origin: str


def migrations() -> list[tuple[int, str]]:
    """All migrations, by number."""
    found = [path for path in files("ledger.store.migrations").iterdir() if path.name.endswith(".sql")]
    return sorted((int(path.name[:4]), path.read_text(encoding="utf-8")) for path in found)


def create(url: str, name: str, origin: str, state: Path) -> tuple[Identity, bool]:
    """Makes the ledger in an empty database, or brings an existing one's schema up to date. Says whether it is new.

    The secret and the keys of a new one are in `state` before the ledger is there: none is ever without, and none gets
    a second.
    """
    with connect(url, name, autocommit=False) as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        try:
            is_new = _version(connection) == 0
            migrate(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Unavailable(
                f"expected a database user at {name} who may create schemas and roles, found: {one_line(error)}"
            ) from None
        if not is_new:
            found = _identity(connection, name)
            _complete_keys(connection, found, state)
            return found, False
        new = Identity(os.urandom(LEDGER_ID_BYTES), origin)
        connection.execute("INSERT INTO ledger.ledger (id, origin) VALUES (%s, %s)", [new.id, new.origin])
        create_secret(state, new.id)
        create_keys(state, new.id, new.origin)
        return new, True


def _complete_keys(connection: Connection, ledger: Identity, state: Path) -> None:
    """Keys of a ledger that is older than keys are; but where it was made, and never once it has signed."""
    row = connection.execute("SELECT EXISTS (SELECT FROM ledger.checkpoint)").fetchone()
    has_signed = row is not None and row[0]
    if not has_signed and secret_path(state, ledger.id).exists():
        create_keys(state, ledger.id, ledger.origin)


def migrate(connection: Connection, target: int | None = None) -> None:
    """Takes the schema from where it is to `target`, else to the newest."""
    done = _version(connection)
    if done == 0:
        connection.execute("CREATE SCHEMA ledger")
        connection.execute(
            "CREATE TABLE ledger.migration (number integer PRIMARY KEY, applied_at timestamptz NOT NULL)"
        )
    for number, text in migrations():
        if done < number and (target is None or number <= target):
            connection.execute(text)
            connection.execute("INSERT INTO ledger.migration VALUES (%s, clock_timestamp())", [number])


def _version(connection: Connection) -> int:
    row = connection.execute("SELECT to_regclass('ledger.migration') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return 0
    row = connection.execute("SELECT coalesce(max(number), 0) FROM ledger.migration").fetchone()
    return int(row[0]) if row else 0


def _identity(connection: Connection, name: str) -> Identity:
    row = connection.execute("SELECT id, origin FROM ledger.ledger").fetchone()
    if row is None:
        raise Refused(f"expected a ledger at {name}, found its tables empty; drop them and run `consent init` again")
    return Identity(bytes(row[0]), row[1])


def identity(connection: Connection, name: str) -> Identity:
    """Which ledger this is; `LedgerMissing` where there is none, `Unavailable` where it is of another age."""
    try:
        found = _version(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise Unavailable(f"expected to read the ledger at {name}, found: {one_line(error)}") from None
    newest = migrations()[-1][0]
    if found == 0:
        raise LedgerMissing(f"expected a ledger at {name}, found none; create it with `consent init`")
    if found < newest:
        raise Unavailable(
            f"expected the ledger's schema at {newest}, found {found}; its owner runs `consent init` to bring it up"
        )
    if found > newest:
        raise Unavailable(f"expected the ledger's schema at {newest}, found {found}; upgrade this program")
    return _identity(connection, name)
