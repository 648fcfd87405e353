"""The database itself keeps the log append-only: for the service, and for its owner short of dropping the guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from ledger.application import ConsentLedger
from ledger.settings import Place
from ledger.store.database import Role, connect
from tests import builders as b

CHANGES = {
    "log_entry": ["event = 'x'", "entry = '\\x00'", "position = position + 100", "recorded_at = now()"],
    "idempotency_key": ["request = key", "position = 1"],
    "ledger": ["origin = 'x'", "id = id"],
}


@pytest.fixture
def filled(ledger: ConsentLedger) -> ConsentLedger:
    b.grant(ledger)
    ledger.record("anna", b.shown(), key="k", evidence=b"203.0.113.7")
    return ledger


@pytest.fixture(params=["owner", "owner as replica", "consent_service", "consent_projections", "consent_identities"])
def somebody(
    request: pytest.FixtureRequest, filled: ConsentLedger, ledger_place: Place
) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a ledger with entries and keys, of the owner (a superuser) or in a role."""
    role: Role | None = None if request.param.startswith("owner") else request.param
    with connect(ledger_place.url or "", "the ledger", role) as connection:
        if request.param == "owner as replica":
            connection.execute("SET session_replication_role = replica")
        yield connection


def refused(connection: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        connection.execute(statement)


def test_nothing_that_stands_is_changed(somebody: psycopg.Connection[Any], ledger_place: Place) -> None:
    before = b.whole_log(ledger_place)
    for table, changes in CHANGES.items():
        for change in changes:
            refused(somebody, f"UPDATE ledger.{table} SET {change}")
        refused(somebody, f"DELETE FROM ledger.{table}")
        refused(somebody, f"TRUNCATE ledger.{table} CASCADE")
        refused(somebody, f"MERGE INTO ledger.{table} t USING (SELECT) AS s ON true WHEN MATCHED THEN DELETE")
        with b.admin(ledger_place) as admin:
            assert admin.execute(f"SELECT count(*) > 0 FROM ledger.{table}").fetchone() == (True,)
    refused(somebody, "TRUNCATE ledger.log_entry, ledger.idempotency_key, ledger.ledger")
    # Nor does an insert turn into an update.
    refused(
        somebody,
        "INSERT INTO ledger.log_entry (position, stream, version, event, recorded_at, imported, entry)"
        " SELECT position, stream, version, event, recorded_at, imported, '\\x7b7d' FROM ledger.log_entry"
        " ON CONFLICT (position) DO UPDATE SET entry = excluded.entry",
    )
    assert b.whole_log(ledger_place) == before


def test_the_owner_must_drop_the_guard_first(filled: ConsentLedger, ledger_place: Place) -> None:
    """So whoever reads this knows what the guard is worth: it stops accidents, and the proofs show the rest."""
    with b.admin(ledger_place) as admin:
        refused(admin, "DELETE FROM ledger.idempotency_key")
        admin.execute("ALTER TABLE ledger.idempotency_key DISABLE TRIGGER append_only")
        assert admin.execute("DELETE FROM ledger.idempotency_key").rowcount == 2


def test_a_row_says_what_its_bytes_say(filled: ConsentLedger, ledger_place: Place) -> None:
    """Position, stream, version and leaf are the database's own; a second row of a place is refused to anybody."""
    with b.admin(ledger_place) as admin:
        insert = (
            "INSERT INTO ledger.log_entry (position, stream, version, event, recorded_at, imported, entry)"
            " SELECT {}, stream, {}, event, recorded_at, imported, entry FROM ledger.log_entry WHERE position = 2"
        )
        for position, version in [("2", "99"), ("99", "version"), ("0", "99"), ("99", "0")]:
            with pytest.raises((psycopg.errors.UniqueViolation, psycopg.errors.CheckViolation)):
                admin.execute(insert.format(position, version))
        with pytest.raises(psycopg.errors.GeneratedAlways):
            admin.execute(
                "INSERT INTO ledger.log_entry (position, stream, version, event, recorded_at, imported, entry, leaf)"
                " SELECT 9, stream, 9, event, recorded_at, imported, entry, leaf FROM ledger.log_entry LIMIT 1"
            )
        leaves = "SELECT bool_and(leaf = sha256('\\x00'::bytea || entry)) FROM ledger.log_entry"
        assert admin.execute(leaves).fetchone() == (True,)


@pytest.fixture
def service(filled: ConsentLedger, ledger_place: Place) -> Iterator[psycopg.Connection[Any]]:
    with connect(ledger_place.url or "", "the ledger", "consent_service") as connection:
        yield connection


BEYOND_THE_SERVICE = [
    "INSERT INTO ledger.log_entry (position, stream, version, event, recorded_at, imported, entry)"
    " VALUES (99, 'terms', 2, 'terms-published', now(), false, '\\x7b7d')",
    "COPY ledger.log_entry (position, stream, version, event, recorded_at, imported, entry) FROM STDIN",
    "INSERT INTO ledger.idempotency_key VALUES (sha256('k'), sha256('r'), 1)",
    "INSERT INTO ledger.evidence VALUES ('terms', sha256('d'), sha256('s'), 'body')",
    "INSERT INTO ledger.identities VALUES ('anna', '\\x00', '\\x00')",
    "INSERT INTO ledger.erased_identity VALUES (sha256('f'), now())",
    "SELECT identity FROM ledger.identities",
    "SELECT subject_id FROM ledger.identities LIMIT 1",
    "COPY ledger.identities TO STDOUT",
    "DELETE FROM ledger.identities",
    "DELETE FROM ledger.evidence",
    "DELETE FROM ledger.erased_identity",
    "UPDATE ledger.identities SET identity = 'x'",
    "UPDATE ledger.evidence SET body = ''",
    "UPDATE ledger.erased_identity SET erased_at = now()",
    "TRUNCATE ledger.identities",
    "TRUNCATE ledger.evidence",
    "ALTER TABLE ledger.log_entry DISABLE TRIGGER ALL",
    "DROP TRIGGER append_only ON ledger.log_entry",
    "CREATE TABLE ledger.mine ()",
    "CREATE FUNCTION ledger.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SET session_replication_role = replica",
    "CREATE ROLE mine",
    "UPDATE ledger.migration SET number = 0",
]


def test_the_service_may_append_and_read_and_nothing_else(service: psycopg.Connection[Any]) -> None:
    for statement in BEYOND_THE_SERVICE:
        refused(service, statement)


def test_the_service_finds_whom_it_can_name(service: psycopg.Connection[Any]) -> None:
    found = service.execute("SELECT identity FROM ledger.find_identities(ARRAY['anna', 'berta'])").fetchall()
    assert found == [("anna",)]


def test_the_service_forgets_nobody_who_is_not_erased(service: psycopg.Connection[Any], filled: ConsentLedger) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="before subject-erased"):
        service.execute("SELECT ledger.forget(%s)", [filled.subject("anna").stream])
