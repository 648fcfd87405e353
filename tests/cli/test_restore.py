"""`consent restore`, as its users run it; what is refused is in tests/test_restoring.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.application import ConsentLedger, open_ledger
from ledger.keyring import keys_folder
from ledger.sequencer import sequence
from ledger.settings import Place
from ledger.store.location import create_ledger
from tests.builders import grant, toggled, whole_log
from tests.cli.conftest import RunCli


@pytest.fixture
def export(ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, tmp_path: Path) -> Path:
    grant(ledger, "ann", "bob")
    file = tmp_path / "log.jsonl"
    assert run_here("export", "--format", "jsonl", "-o", file, place=ledger_place).returncode == 0
    return file


@pytest.fixture
def empty(database_url: str, tmp_path: Path) -> Place:
    place = Place(database_url, None, tmp_path / "other")
    create_ledger(place, "other.test")
    return place


def test_a_log_is_restored_and_what_did_not_come_along_is_said(
    ledger_place: Place, export: Path, empty: Place, run_cli: RunCli
) -> None:
    done = run_cli("--json", "restore", export, place=empty)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["entries"], told["origin"]) == (5, "other.test")
    assert whole_log(empty) == whole_log(ledger_place)
    for missing in ("identities", "evidence", "idempotency keys", "erased"):
        assert missing in done.stderr
    again = run_cli("restore", export, place=empty)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("consent: expected an empty ledger at ")
    assert again.stderr.count("\n") == 1


def test_what_cannot_be_restored_is_said_in_one_sentence(
    export: Path, empty: Place, run_here: RunCli, tmp_path: Path
) -> None:
    export.write_bytes(export.read_bytes()[:-40])
    for file, status, says in ((export, 1, "line 5 of"), (tmp_path / "none", 3, "No such file")):
        done = run_here("restore", file, place=empty)
        assert (done.returncode, done.stdout) == (status, "")
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
    assert whole_log(empty) == []


def test_after_a_loss_it_says_that_the_original_must_never_run_again(
    ledger: ConsentLedger, ledger_place: Place, database_url: str, run_here: RunCli, tmp_path: Path
) -> None:
    grant(ledger, "ann")
    checkpoint, key, export, links = (tmp_path / name for name in ("checkpoint", "log.key", "log.jsonl", "links"))
    checkpoint.write_text(sequence(ledger).note)
    key.write_bytes((keys_folder(ledger_place.state, ledger.identity.id) / "log-1.key").read_bytes())
    ledger.record("ann", toggled("off"))
    for arguments in (["export", "--format", "jsonl", "-o", export], ["identities", "export", "-o", links]):
        assert run_here(*arguments, place=ledger_place).returncode == 0
    heir = Place(database_url, None, tmp_path / "heir")
    assert run_here("init", "--origin", "ledger.test", place=heir).returncode == 0

    # A key that others may read is not taken.
    key.chmod(0o644)
    arguments = ["restore", export, "--continue", checkpoint, "--key-file", key]
    open_to_all = run_here(*arguments, place=heir)
    assert (open_to_all.returncode, open_to_all.stdout) == (3, "")
    key.chmod(0o600)
    without = run_here("restore", export, "--key-file", key, place=heir)
    assert (without.returncode, without.stdout) == (2, "")
    assert "--continue" in without.stderr
    missing = run_here("restore", export, "--continue", tmp_path / "none", place=heir)
    assert (missing.returncode, missing.stdout) == (3, "")
    assert whole_log(heir) == []

    done = run_here("--json", *arguments, place=heir)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["continued"] is True
    assert "the original must never run again" in done.stderr
    assert run_here("identities", "import", links, place=heir).returncode == 0
    assert run_here("record", "toggle-changed", "ann", "--to", "on", place=heir).returncode == 0
    # What the lost log signed is where the new checkpoints begin.
    with open_ledger(heir) as again:
        assert sequence(again).size == 7
    grown = run_here("prove", "--consistency", checkpoint, place=heir)
    assert grown.returncode == 0, grown.stderr


def test_no_ledger_is_made(export: Path, run_here: RunCli, tmp_path: Path) -> None:
    done = run_here("restore", export, place=Place(None, tmp_path / "none", tmp_path / "state"))
    assert done.returncode == 3
    assert "consent init" in done.stderr
    assert not (tmp_path / "none").exists()
