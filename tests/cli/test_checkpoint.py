"""`consent checkpoint`, `sequence` and `keys`: what they print, and the exit status where nothing is signed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.keyring import keys_folder
from ledger.proof.checkpoint import parse_checkpoint
from ledger.proof.note import parse_note, parse_vkey, verify_note
from ledger.proof.rotation import open_rotation
from ledger.settings import Place
from tests import builders as b
from tests.cli.conftest import ROOT, SECONDS, RunCli
from tests.sequencer.replay import assert_sound, outside, stored
from tests.sequencer.witnessing import cosigned, witness


@pytest.fixture
def place(ledger: ConsentLedger) -> Place:
    """Positions 1 to 5."""
    b.grant(ledger, "ann", "bob")
    return ledger.place


def test_the_note_is_printed_and_verifies_with_the_key_that_is_shown(place: Place, run_cli: RunCli) -> None:
    done = run_cli("checkpoint", place=place)
    assert (done.returncode, done.stderr) == (0, "")
    shown = run_cli("keys", "show", place=place)
    (line,) = shown.stdout.splitlines()
    note = parse_note(done.stdout.encode())
    assert verify_note(note, [parse_vkey(line)])
    assert parse_checkpoint(note.text).size == 6


def test_for_programs(place: Place, run_here: RunCli) -> None:
    fields = json.loads(run_here("--json", "checkpoint", place=place).stdout)
    assert list(fields) == ["origin", "size", "root", "covers", "note"]
    assert (fields["origin"], fields["size"], fields["covers"]) == ("ledger.test", 6, 5)
    assert fields["note"].splitlines()[:3] == ["ledger.test", "6", fields["root"]]
    assert json.loads(run_here("--json", "checkpoint", place=place).stdout) == fields


def test_a_cut_log_is_refused_and_the_doctor_names_the_positions(place: Place, run_here: RunCli) -> None:
    assert run_here("checkpoint", place=place).returncode == 0
    with b.admin(place) as admin:
        admin.execute("ALTER TABLE ledger.log_entry DISABLE TRIGGER ALL")
        admin.execute("DELETE FROM ledger.log_entry WHERE position > 3")
        admin.execute("ALTER TABLE ledger.log_entry ENABLE ALWAYS TRIGGER append_only")
        admin.execute("ALTER TABLE ledger.log_entry ENABLE ALWAYS TRIGGER never_truncated")
    for more in ((), ("--trust-database",)):
        done = run_here("checkpoint", *more, place=place)
        assert (done.returncode, done.stdout) == (1, "")
        assert "the positions 4 to 6" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    doctor = run_here("--json", "doctor", place=place)
    assert doctor.returncode == 1
    found = {one["check"]: one for one in map(json.loads, doctor.stdout.splitlines())}
    assert [check for check, one in found.items() if not one["ok"]] == ["checkpoint"]
    assert "the positions 4 to 6" in found["checkpoint"]["found"]


def test_the_doctor_on_checkpoints(place: Place, run_here: RunCli) -> None:
    def found() -> tuple[bool, str]:
        lines = map(json.loads, run_here("--json", "doctor", place=place).stdout.splitlines())
        return next((one["ok"], one["found"]) for one in lines if one["check"] == "checkpoint")

    assert found() == (True, "none yet")
    run_here("checkpoint", place=place)
    assert found() == (True, "the log goes on from the 6 entries that were signed last")
    with b.admin(place) as admin:
        admin.execute("UPDATE ledger.tree_tile SET hashes = sha256(hashes) || substr(hashes, 33)")
    ok, said = found()
    assert not ok
    assert "expected the root that was signed at size 6" in said
    (copy,) = outside(place)
    copy.unlink()
    ok, said = found()
    assert not ok
    assert str(copy) in said


def test_without_the_copy_outside(place: Place, run_here: RunCli) -> None:
    run_here("checkpoint", place=place)
    (copy,) = outside(place)
    copy.unlink()
    done = run_here("checkpoint", place=place)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(copy) in done.stderr
    assert run_here("checkpoint", "--trust-database", place=place).returncode == 0
    assert copy.exists()


def test_cosignatures_are_added(place: Place, run_here: RunCli, tmp_path: Path) -> None:
    note = run_here("checkpoint", place=place).stdout
    file = tmp_path / "cosigned"
    file.write_bytes(cosigned(note, witness(1)))
    added = run_here("checkpoint", "--add", file, place=place)
    assert (added.returncode, added.stdout.encode()) == (0, file.read_bytes())
    assert run_here("checkpoint", place=place).stdout == added.stdout
    file.write_text("nonsense")
    assert run_here("checkpoint", "--add", file, place=place).returncode == 1
    assert run_here("checkpoint", "--add", tmp_path / "none", place=place).returncode == 3


def test_keys_are_shown_rotated_and_retired(place: Place, run_here: RunCli) -> None:
    run_here("checkpoint", place=place)
    old = run_here("keys", "show", place=place).stdout.strip()
    rotated = json.loads(run_here("--json", "keys", "rotate", place=place).stdout)
    assert list(rotated) == ["old", "new", "from", "file", "note"]
    assert (rotated["old"], rotated["from"]) == (old, 6)
    assert open_rotation(Path(rotated["file"]).read_bytes()).new.text == rotated["new"]
    assert run_here("keys", "show", place=place).stdout.strip() == rotated["new"]
    shown = run_here("keys", "show", "--all", place=place).stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["log", "log", "receipts"]
    refused = run_here("keys", "rotate", place=place)
    assert (refused.returncode, refused.stdout) == (1, "")

    retired = run_here("keys", "retire", place=place)
    assert retired.returncode == 0
    assert old in retired.stdout
    lines = [json.loads(line) for line in run_here("--json", "keys", "show", "--all", place=place).stdout.splitlines()]
    assert [(one["role"], one["key"]) for one in lines if one["role"] != "receipts"] == [
        ("log", rotated["new"]),
        ("retired", old),
    ]
    assert_sound(place)


def test_no_private_key_is_ever_printed(place: Place, run_here: RunCli, ledger: ConsentLedger) -> None:
    said = ""
    for command in (["show"], ["show", "--all"], ["rotate"], ["show", "--all"], ["retire"]):
        done = run_here("keys", *command, place=place)
        assert done.returncode == 0
        said += done.stdout + done.stderr
    assert "PRIVATE" not in said
    key = next(keys_folder(place.state, ledger.identity.id).glob("log-*.key"))
    key.chmod(0o644)
    done = run_here("keys", "show", place=place)
    assert done.returncode == 3
    assert "mode 0644" in done.stderr


def test_no_key_here(place: Place, run_here: RunCli, ledger: ConsentLedger) -> None:
    for key in keys_folder(place.state, ledger.identity.id).glob("log-*.key"):
        key.unlink()
    for command in (["keys", "show"], ["keys", "rotate"], ["checkpoint"]):
        done = run_here(*command, place=place)
        assert (done.returncode, done.stdout) == (3, "")
        assert "CONSENT_STATE" in done.stderr


def test_init_makes_keys_once_and_completes_an_older_ledger(
    run_here: RunCli, database_url: str, tmp_path: Path
) -> None:
    place = Place(database_url, None, tmp_path / "state")
    assert run_here("init", "--origin", "not a name", place=place).returncode == 2
    assert not place.state.exists()
    assert run_here("init", "--origin", "log.example.org", place=place).returncode == 0
    first = run_here("keys", "show", "--all", place=place).stdout
    assert first.count("log.example.org") == 2
    assert run_here("init", place=place).returncode == 0
    assert run_here("keys", "show", "--all", place=place).stdout == first
    for key in place.state.rglob("*.key"):
        key.unlink()
    assert run_here("init", place=Place(database_url, None, tmp_path / "elsewhere")).returncode == 0
    assert not (tmp_path / "elsewhere").exists()
    # As of a ledger from before there were keys; but never once it has signed.
    assert run_here("init", place=place).returncode == 0
    assert run_here("checkpoint", place=place).returncode == 0
    for key in place.state.rglob("*.key"):
        key.unlink()
    assert run_here("init", place=place).returncode == 0
    assert run_here("checkpoint", place=place).returncode == 3


def test_following_until_it_is_stopped(place: Place, ledger: ConsentLedger) -> None:
    environment = {**os.environ, "CONSENT_LEDGER": place.url or "", "CONSENT_STATE": str(place.state)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "--json", "sequence", "--follow", "--every", "0.1"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["size"] == 6
        ledger.record("ann", b.toggled("off"))
        assert json.loads(process.stdout.readline())["size"] == 8
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
    assert [one.size for one in stored(place)] == [6, 8]


def test_following_ends_where_nothing_may_be_signed(place: Place, run_cli: RunCli) -> None:
    assert run_cli("sequence", place=place).returncode == 2
    run_cli("checkpoint", place=place)
    (copy,) = outside(place)
    copy.write_bytes(copy.read_bytes().replace(b"\n6\n", b"\n9\n"))
    done = run_cli("sequence", "--follow", place=place)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(copy) in done.stderr
