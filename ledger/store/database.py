"""Connections to the ledger's PostgreSQL, each in the role that its work needs and no other."""

from __future__ import annotations

import logging
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from ledger.errors import LedgerMissing, Unavailable

Role = Literal["consent_service", "consent_identities", "consent_projections", "consent_sequencer", "consent_tokens"]
Connection = psycopg.Connection[Any]

OLDEST_SERVER = 150_000
#: A server that is there answers in far less; one that is not should be said to be missing before people wonder.
CONNECT_SECONDS = 10
#: One thread reads at a time from each; more than this wait for each other, which keeps four processes of
#: 64 threads below what a server of 200 connections takes.
MOST_READERS = 12

#: What a server is that refuses to write.
ONLY_READS = "a server that only reads, as a replica does; use the primary"

# A pool's own thread reports each failed attempt; whoever waits for a connection is told in one sentence.
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())

_OPTIONS = "-c timezone=UTC -c statement_timeout=0 -c default_transaction_isolation=read\\ committed"


@contextmanager
def unavailable_as_error(name: str) -> Iterator[None]:
    """What PostgreSQL says of a connection that is not to be had, as one sentence."""
    try:
        yield
    except PoolTimeout:
        raise Unavailable(f"expected the ledger at {name} to answer, found no free connection; try again") from None
    except psycopg.errors.ReadOnlySqlTransaction:
        raise Unavailable(f"expected to write to the ledger at {name}, found {ONLY_READS}") from None
    except psycopg.OperationalError as error:
        raise Unavailable(f"expected the ledger at {name} to answer, found: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """An error of the database as part of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def connect(url: str, name: str, role: Role | None = None, *, autocommit: bool = True) -> Connection:
    """A connection of its own, as `role`; without one, as whoever the URL names: the owner, who migrates."""
    with unavailable_as_error(name):
        try:
            connection = psycopg.connect(
                url,
                autocommit=autocommit,
                connect_timeout=CONNECT_SECONDS,
                application_name="consent-ledger",
                options=_OPTIONS,
            )
        except psycopg.ProgrammingError:
            # What libpq says of it repeats the URL, with its password.
            raise Unavailable(
                f"expected a URL like postgresql://user@host/database, found {name}, which cannot be read; correct it"
            ) from None
    try:
        _check_server(connection, name)
        if role is not None:
            assume(connection, role, name)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_server(connection: Connection, name: str) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise Unavailable(
            f"expected PostgreSQL 15 or newer at {name}, found {connection.info.server_version // 10000}; upgrade it"
        )


def assume(connection: Connection, role: Role, name: str) -> None:
    """Drops to `role` for the rest of the session; autocommit or not, the session is not in a transaction after it."""
    try:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    except psycopg.errors.InvalidParameterValue:
        raise LedgerMissing(f"expected a ledger at {name}, found none; create it with `consent init`") from None
    except psycopg.errors.InsufficientPrivilege:
        raise Unavailable(
            f"expected a database user at {name} who may act as {role}, found one who may not; "
            f"ask the owner for GRANT {role}"
        ) from None
    if not connection.autocommit:
        connection.commit()


def was_closed(connection: Connection) -> bool:
    """Whether the server hung up while nothing was asked: an idle connection has nothing to read but its end."""
    if connection.closed:
        return True
    waiting = select.poll()  # not `select`: that takes no file above the 1,024th
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


def open_pool(url: str, name: str, role: Role) -> ConnectionPool[Connection]:
    """A pool for readers, opened when first needed."""

    def configure(connection: Connection) -> None:
        assume(connection, role, name)

    def check(connection: Connection) -> None:
        # The pool's own check asks the server: a round trip more for each statement that is then sent.
        if was_closed(connection):
            connection.close()  # or it would be given out again
            raise psycopg.OperationalError("the server closed the connection")

    return ConnectionPool(
        url,
        min_size=1,
        max_size=MOST_READERS,
        open=True,
        timeout=CONNECT_SECONDS,
        configure=configure,
        check=check,
        kwargs={"autocommit": True, "application_name": "consent-ledger", "options": _OPTIONS},
    )
