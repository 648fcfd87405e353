"""`consent tokens`: shown once, stored as a digest, listed without it, and ended by name."""

from __future__ import annotations

import json

import psycopg
import pytest

from ledger.service.tokens import digest_of, token_of
from ledger.settings import Place
from ledger.store.database import connect
from tests.builders import admin
from tests.cli.conftest import RunCli


def test_made_listed_and_revoked(ledger_place: Place, run_here: RunCli) -> None:
    made = run_here("tokens", "create", "--scope", "read", "--scope", "record", "product", place=ledger_place)
    assert made.returncode == 0
    token = made.stdout.strip()
    assert token_of(f"Bearer {token}") == token
    assert token not in made.stderr
    assert "made the token product" in made.stderr

    with admin(ledger_place) as connection:
        row = connection.execute("SELECT digest, expires_at - created_at, t::text FROM ledger.token t").fetchone()
    assert row is not None
    assert bytes(row[0]) == digest_of(token)
    assert row[1].days in (89, 90)
    assert token not in row[2]

    listed = json.loads(run_here("--json", "tokens", "list", place=ledger_place).stdout)
    assert (listed["name"], listed["scopes"], listed["revoked_at"]) == ("product", ["read", "record"], None)
    assert token not in run_here("tokens", "list", place=ledger_place).stdout

    again = run_here("tokens", "create", "--scope", "read", "product", place=ledger_place)
    assert again.returncode == 1
    assert "stands for no token, found product" in again.stderr

    assert run_here("tokens", "revoke", "product", place=ledger_place).stdout == "revoked the token product\n"
    assert json.loads(run_here("--json", "tokens", "list", place=ledger_place).stdout)["revoked_at"]
    second = run_here("tokens", "revoke", "product", place=ledger_place)
    assert second.returncode == 1
    assert "found product, which is none" in second.stderr

    # The name is free again, and the list keeps both.
    anew = run_here("--json", "tokens", "create", "--scope", "audit", "--expires", "P1D", "product", place=ledger_place)
    assert json.loads(anew.stdout)["token"] != token
    assert len(run_here("--json", "tokens", "list", place=ledger_place).stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["product"], "--scope"),
        (["--scope", "everything", "product"], "everything"),
        (["--scope", "read", "two words"], "two words"),
        (["--scope", "read", "--expires", "P0D", "product"], "P0D"),
        (["--scope", "read", "--expires", "tomorrow", "product"], "tomorrow"),
    ],
)
def test_wrong_usage(ledger_place: Place, run_here: RunCli, arguments: list[str], says: str) -> None:
    done = run_here("tokens", "create", *arguments, place=ledger_place)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("consent_service", "INSERT INTO ledger.token VALUES ('\\x00', 'x', '{read}', now(), now())"),
        ("consent_service", "UPDATE ledger.token SET revoked_at = NULL"),
        ("consent_tokens", "UPDATE ledger.token SET scopes = '{erase}'"),
        ("consent_tokens", "UPDATE ledger.token SET expires_at = 'infinity'"),
        ("consent_tokens", "DELETE FROM ledger.token"),
        ("consent_tokens", "SELECT * FROM ledger.log_entry"),
        ("consent_tokens", "SELECT * FROM ledger.identities"),
    ],
)
def test_whoever_answers_requests_lets_nobody_in(ledger_place: Place, role: str, statement: str) -> None:
    with (
        connect(ledger_place.url or "", "the ledger", role) as connection,  # type: ignore[arg-type]
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)
