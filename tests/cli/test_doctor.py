"""`consent doctor`: a sound ledger is well, and each thing that may be wrong with one is found and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from ledger.application import ConsentLedger
from ledger.settings import Place
from ledger.store import doctor
from ledger.store.identities import Subject
from tests import builders
from tests.cli.conftest import RunCli

CHECKS = [
    "schema",
    "server",
    "clock",
    "roles",
    "guards",
    "positions",
    "bytes",
    "columns",
    "leaves",
    "versions",
    "erased",
    "projections",
    "secret",
    "checkpoint",
]


def findings(run: RunCli, place: Place, status: int) -> dict[str, dict[str, Any]]:
    done = run("--json", "doctor", place=place)
    assert (done.returncode, done.stderr) == (status, ""), done.stdout
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["check"]: one for one in found}


@pytest.fixture
def bob(ledger: ConsentLedger) -> Subject:
    """Somebody who is erased in a sound ledger, as he was linked before."""
    builders.grant(ledger, "ann", "bob")
    return ledger.subject("bob")


@pytest.fixture
def sound(ledger: ConsentLedger, ledger_place: Place, bob: Subject) -> Place:
    """Position 1 terms, 2 and 3 ann, 4 and 5 bob, 6 ann with evidence, 7 bob erased."""
    ledger.record("ann", builders.toggled("off"), evidence=b"198.51.100.7")
    ledger.erase("bob", "request")
    return ledger_place


def break_log(place: Place, *statements: str) -> None:
    """As an owner would who takes the guards down, or a backup that was put together by hand."""
    with builders.admin(place) as connection:
        connection.execute("ALTER TABLE ledger.log_entry DISABLE TRIGGER ALL")
        for statement in statements:
            connection.execute(statement)
        for guard in ("append_only", "never_truncated"):
            connection.execute(
                sql.SQL("ALTER TABLE ledger.log_entry ENABLE ALWAYS TRIGGER {}").format(sql.Identifier(guard))
            )


def test_a_sound_ledger_is_well(sound: Place, run_cli: RunCli) -> None:
    found = findings(run_cli, sound, 0)
    assert list(found) == CHECKS
    assert all(one["ok"] and one["remedy"] is None for one in found.values())
    assert found["positions"]["found"] == "1 to 7 without gaps"
    words = run_cli("doctor", place=sound)
    assert [line.split()[0] for line in words.stdout.splitlines()] == ["ok"] * len(CHECKS)


def test_so_is_an_empty_one(ledger_place: Place, run_here: RunCli) -> None:
    assert findings(run_here, ledger_place, 0)["positions"]["found"] == "none yet"


@pytest.mark.parametrize(
    ("statements", "wrong"),
    [
        (
            ["DELETE FROM ledger.log_entry WHERE position = 3"],
            {"positions": "3", "versions": "version 3 at position 6"},
        ),
        (
            ["DELETE FROM ledger.log_entry WHERE position BETWEEN 1 AND 2"],
            {"positions": "1 to 2", "versions": "version 2 at position 3"},
        ),
        (["UPDATE ledger.log_entry SET version = 9 WHERE position = 3"], {"columns": "3 (version)", "versions": "9"}),
        (["UPDATE ledger.log_entry SET event = 'terms-shown' WHERE position = 3"], {"columns": "3 (event)"}),
        (["UPDATE ledger.log_entry SET imported = true WHERE position = 3"], {"columns": "3 (imported)"}),
        (
            ["UPDATE ledger.log_entry SET recorded_at = recorded_at - interval '1 h' WHERE position = 3"],
            {"columns": "3 (recorded_at)", "versions": "at position 3"},
        ),
        (
            ["UPDATE ledger.log_entry SET stream = repeat('0', 64), version = 1 WHERE position = 6"],
            {"columns": "6 (stream, version)"},
        ),
        (["UPDATE ledger.log_entry SET entry = entry || ' ' WHERE position = 3"], {"bytes": "3 ("}),
        (["UPDATE ledger.log_entry SET entry = '{}' WHERE position = 3"], {"bytes": "3 ("}),
        (
            [
                "ALTER TABLE ledger.log_entry ALTER leaf DROP EXPRESSION",
                "UPDATE ledger.log_entry SET leaf = repeat('0', 32)::bytea WHERE position = 3",
            ],
            {"leaves": "3"},
        ),
    ],
)
def test_a_log_that_was_changed_is_found_where_it_was(
    sound: Place, run_here: RunCli, statements: list[str], wrong: dict[str, str]
) -> None:
    break_log(sound, *statements)
    found = findings(run_here, sound, 1)
    assert {check for check, one in found.items() if not one["ok"]} == wrong.keys()
    for check, named in wrong.items():
        assert named in found[check]["found"]
        assert found[check]["remedy"]


def test_many_faults_are_counted_and_the_first_are_named(
    sound: Place, run_here: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "MOST_NAMED", 2)
    monkeypatch.setattr(doctor, "PAGE", 2)
    break_log(sound, "UPDATE ledger.log_entry SET entry = '{}'")
    found = findings(run_here, sound, 1)["bytes"]["found"]
    assert found.startswith("1 (")
    assert "3 (" not in found
    assert found.endswith(", 7 in all")


@pytest.mark.parametrize(
    ("statement", "check", "named"),
    [
        ("DROP TRIGGER append_only ON ledger.log_entry", "guards", "append_only on ledger.log_entry missing"),
        (
            "ALTER TABLE ledger.idempotency_key ENABLE TRIGGER never_truncated",
            "guards",
            "never_truncated on ledger.idempotency_key not enabled ALWAYS",
        ),
        ("DROP TRIGGER nobody_erased ON ledger.identities", "guards", "nobody_erased on ledger.identities missing"),
        ("ALTER TABLE ledger.ledger DISABLE TRIGGER append_only", "guards", "append_only on ledger.ledger disabled"),
        ("DROP TRIGGER append_only ON ledger.checkpoint", "guards", "append_only on ledger.checkpoint missing"),
        (
            "DROP TRIGGER append_only ON ledger.log_entry;"
            "CREATE TRIGGER append_only BEFORE UPDATE ON ledger.log_entry"
            " FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();"
            "ALTER TABLE ledger.log_entry ENABLE ALWAYS TRIGGER append_only",
            "guards",
            "append_only on ledger.log_entry another trigger",
        ),
        ("GRANT INSERT ON ledger.log_entry TO consent_service", "roles", "consent_service may INSERT ledger.log_entry"),
        ("GRANT UPDATE ON ledger.identities TO PUBLIC", "roles", "everybody may UPDATE ledger.identities"),
        (
            "GRANT SELECT ON ledger.identities TO consent_service",
            "roles",
            "consent_service may SELECT ledger.identities",
        ),
        ("INSERT INTO ledger.projection (tables, position) VALUES ('current_consent', 8)", "projections", "beyond"),
        ("DROP TABLE ledger.evidence", "entries", "could not be looked at"),
        ("DELETE FROM ledger.migration WHERE number >= 3", "schema", "found 2"),
        ("INSERT INTO ledger.migration VALUES (99, now())", "schema", "found 99"),
    ],
)
def test_what_else_may_be_wrong(sound: Place, run_here: RunCli, statement: str, check: str, named: str) -> None:
    with builders.admin(sound) as connection:
        connection.execute(statement)
    found = findings(run_here, sound, 1)
    assert not found[check]["ok"]
    assert named in found[check]["found"]
    assert found[check]["remedy"]


def test_what_is_left_of_somebody_erased(sound: Place, bob: Subject, run_here: RunCli) -> None:
    zeros = bytes(32)
    with builders.admin(sound) as connection:
        # As a backup is restored: the rows first, the guards after them.
        connection.execute("ALTER TABLE ledger.identities DISABLE TRIGGER nobody_erased")
        connection.execute(
            "INSERT INTO ledger.identities (identity, subject_id, fingerprint) VALUES ('bob', %s, %s)",
            [bob.subject_id, zeros],
        )
        connection.execute("INSERT INTO ledger.evidence VALUES (%s, %s, %s, 'left')", [bob.stream, zeros, zeros])
        connection.execute("ALTER TABLE ledger.identities ENABLE ALWAYS TRIGGER nobody_erased")
    found = findings(run_here, sound, 1)
    assert {check for check, one in found.items() if not one["ok"]} == {"erased"}
    assert f"a link to an identity of {bob.stream}" in found["erased"]["found"]
    assert f"evidence of {bob.stream}" in found["erased"]["found"]


def test_a_database_that_does_not_wait_for_the_disk(sound: Place, run_here: RunCli) -> None:
    with builders.admin(sound) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
    assert "synchronous_commit off" in findings(run_here, sound, 1)["server"]["found"]


def test_a_clock_that_was_set_back(sound: Place, ledger: ConsentLedger, run_here: RunCli) -> None:
    later = builders.now_of(ledger, 3_600)
    with builders.admin(sound) as connection:
        connection.execute(
            "INSERT INTO ledger.log_entry (position, stream, version, event, recorded_at, imported, entry)"
            " VALUES (8, %s, 1, 'terms-shown', %s, false, %s)",
            [builders.stream_of(1), later, builders.entry_bytes(builders.stream_of(1), 1, later)],
        )
    found = findings(run_here, sound, 1)
    assert {check for check, one in found.items() if not one["ok"]} == {"clock"}
    assert "behind the newest entry" in found["clock"]["found"]


def test_a_log_that_lost_its_signed_end_and_grew_on(sound: Place, ledger: ConsentLedger, run_here: RunCli) -> None:
    ledger.record("ann", builders.toggled("on"))
    assert run_here("checkpoint", place=sound).returncode == 0
    # As a replica that was behind when it was promoted: no table knows of what came after.
    break_log(
        sound,
        "DELETE FROM ledger.log_entry WHERE position > 7",
        "ALTER TABLE ledger.checkpoint DISABLE TRIGGER ALL",
        "DELETE FROM ledger.checkpoint",
        "ALTER TABLE ledger.checkpoint ENABLE ALWAYS TRIGGER append_only",
        "ALTER TABLE ledger.checkpoint ENABLE ALWAYS TRIGGER never_truncated",
        "TRUNCATE ledger.tree_tile, ledger.stream_head, ledger.map_node",
        "UPDATE ledger.sequenced SET tree_size = 0, map_covers = 0, map_streams = 0",
    )
    assert "the positions 8 to 9" in findings(run_here, sound, 1)["checkpoint"]["found"]
    for to in ("on", "off", "on"):
        ledger.record("ann", builders.toggled(to))
    found = findings(run_here, sound, 1)
    assert {check for check, one in found.items() if not one["ok"]} == {"checkpoint"}
    assert "the root that was signed at size 9, found another" in found["checkpoint"]["found"]


def test_a_secret_that_others_may_read_and_one_that_is_gone(sound: Place, run_here: RunCli) -> None:
    (secret,) = sound.state.rglob("erasure-secret")
    secret.chmod(0o640)
    found = findings(run_here, sound, 1)["secret"]
    assert "mode 0640" in found["found"]
    secret.unlink()
    found = findings(run_here, sound, 1)["secret"]
    assert str(secret) in found["found"]


def test_no_ledger_is_no_finding(run_here: RunCli, database_url: str, tmp_path: Path) -> None:
    for place in (
        Place(database_url, None, tmp_path),
        Place("postgresql://127.0.0.1:1/x", None, tmp_path),
        Place(None, tmp_path, tmp_path / "state"),
    ):
        done = run_here("doctor", place=place)
        assert (done.returncode, done.stdout) == (3, "")
