"""Links to pages and the sessions they open, by their SHA-256: sealed rows, of which nobody can tell whose they are."""

from __future__ import annotations

from datetime import datetime, timedelta

from ledger.store.database import Connection
from ledger.store.statements import statement

#: The product asks for a link when the person clicks, and sends them there at once.
LINK_LASTS = timedelta(minutes=5)
#: Long enough to read the terms, short enough for a machine that somebody walked away from.
IDLE = timedelta(minutes=30)
#: Then the product, which knows who is signed in, is asked again.
LONGEST = timedelta(hours=4)

_BOUNDS = {"idle": IDLE, "longest": LONGEST}


def add_link(connection: Connection, digest: bytes, sealed: bytes) -> datetime:
    """Stores a link, deletes some that are over; when it expires."""
    connection.execute(statement("delete_page_links"))
    connection.execute(statement("delete_page_sessions"), _BOUNDS)
    row = connection.execute(
        statement("insert_page_link"), {"digest": digest, "sealed": sealed, "lasts": LINK_LASTS}
    ).fetchone()
    assert row is not None  # noqa: S101 - an insert returns its row
    expires: datetime = row[0]
    return expires


def take_link(connection: Connection, digest: bytes) -> bytes | None:
    """What was sealed in a link that is neither used nor expired; it is used then."""
    row = connection.execute(statement("take_page_link"), {"digest": digest}).fetchone()
    return None if row is None else bytes(row[0])


def add_session(connection: Connection, digest: bytes, sealed: bytes) -> None:
    connection.execute(statement("insert_page_session"), {"digest": digest, "sealed": sealed})


def use_session(connection: Connection, digest: bytes) -> tuple[bytes, datetime] | None:
    """What was sealed in a session that goes on, and since when it is open."""
    row = connection.execute(statement("use_page_session"), {"digest": digest, **_BOUNDS}).fetchone()
    return None if row is None else (bytes(row[0]), row[1])
