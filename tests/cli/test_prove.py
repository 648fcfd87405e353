"""`consent prove` and `consent tiles`, as their users run them; what is proven is in tests/proving."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.keyring import read_keyring
from ledger.proof.asked import Asked
from ledger.proof.policy import Trust, trust_of_keys
from ledger.proof.verifying import verify_file
from ledger.sequencer import sequence
from ledger.settings import Place
from ledger.store.proofs import StoredCheckpoint
from tests.builders import admin, grant, shown, toggled, whole_log
from tests.cli.conftest import RunCli
from tests.gate.runs import filtered, item, jsonl


@pytest.fixture
def trust(ledger: ConsentLedger) -> Trust:
    ring = read_keyring(ledger.place.state, ledger.identity.id, ledger.identity.origin)
    assert ring.receipts is not None
    return trust_of_keys([ring.log[0].verifier, ring.receipts.verifier])


@pytest.fixture
def checkpoint(ledger: ConsentLedger) -> StoredCheckpoint:
    """Over ann and bob."""
    grant(ledger, "ann", "bob")
    return sequence(ledger)


def test_a_bundle_in_a_file_and_on_standard_output(
    ledger: ConsentLedger,
    ledger_place: Place,
    checkpoint: StoredCheckpoint,
    trust: Trust,
    run_cli: RunCli,
    tmp_path: Path,
) -> None:
    ledger.record("ann", toggled("off"))
    stream = ledger.subject("ann").stream or ""
    file = tmp_path / "ann.bundle"
    told = run_cli("--json", "prove", "ann", "-o", file, place=ledger_place)
    assert (told.returncode, told.stderr) == (0, "")
    assert json.loads(told.stdout) == {
        "kind": "bundle",
        "stream": stream,
        "entries": 2,
        "covers": 5,
        "size": 6,
        "newer": 1,
        "file": str(file),
    }
    assert file.stat().st_mode & 0o077 == 0
    said = verify_file(file.read_bytes(), trust, Asked(subject=f"key:{stream}"))
    assert said.fields["stream"] == stream
    shown = run_cli("prove", f"key:{stream}", place=ledger_place)
    assert shown.returncode == 0
    assert shown.stdout.encode() == file.read_bytes()
    assert shown.stderr.startswith(f"all 2 entries about key:{stream} up to position 5; recorded since: 1, run ")


def test_absence_is_proven_of_an_id_and_of_no_name(
    ledger_place: Place, checkpoint: StoredCheckpoint, trust: Trust, run_here: RunCli, tmp_path: Path
) -> None:
    nobody, file = f"id:{bytes(16).hex()}", tmp_path / "nobody"
    done = run_here("prove", nobody, "-o", file, place=ledger_place)
    assert done.returncode == 0
    assert done.stdout.startswith("proof that there is no entry about key:")
    verify_file(file.read_bytes(), trust, Asked(subject=nobody))
    unknown = run_here("prove", "nobody", "-o", tmp_path / "none", place=ledger_place)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "who so has no id about which anything could be proven" in unknown.stderr
    assert not (tmp_path / "none").exists()


def test_an_entry_before_and_after_a_checkpoint(
    ledger: ConsentLedger, ledger_place: Place, checkpoint: StoredCheckpoint, trust: Trust, run_here: RunCli
) -> None:
    position = ledger.record("cem", shown()).position
    promised = run_here("prove", "--entry", str(position), place=ledger_place)
    assert promised.returncode == 0
    assert promised.stderr.startswith(
        f"no checkpoint covers position {position} yet: a signed promise that one does by "
    )
    assert verify_file(promised.stdout.encode(), trust).kind == "receipt"
    sequence(ledger)
    proven = run_here("prove", "--entry", str(position), place=ledger_place)
    assert proven.stderr == f"proof of the entry at position {position} under the checkpoint of size 8\n"
    assert verify_file(proven.stdout.encode(), trust).fields["position"] == position
    beyond = run_here("prove", "--entry", "9", place=ledger_place)
    assert (beyond.returncode, beyond.stdout) == (1, "")
    assert "from 1 to 8" in beyond.stderr


def test_growth_from_a_size_and_from_a_file(
    ledger: ConsentLedger,
    ledger_place: Place,
    checkpoint: StoredCheckpoint,
    trust: Trust,
    run_here: RunCli,
    tmp_path: Path,
) -> None:
    ledger.record("ann", toggled("off"))
    sequence(ledger)
    note = tmp_path / "old"
    note.write_text(checkpoint.note)
    of_size, of_file = (run_here("prove", "--consistency", old, place=ledger_place) for old in ("6", note))
    assert of_size.returncode == of_file.returncode == 0
    assert of_size.stdout == of_file.stdout
    assert verify_file(of_size.stdout.encode(), trust).kind == "consistency"
    assert of_size.stderr == "proof that the log of size 8 extends the one of size 6\n"
    for old, status in (("7", 1), (tmp_path / "none", 3)):
        done = run_here("prove", "--consistency", old, place=ledger_place)
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr.count("\n") == 1


def test_an_item_of_a_run(
    ledger: ConsentLedger, ledger_place: Place, trust: Trust, run_here: RunCli, tmp_path: Path
) -> None:
    grant(ledger, "ann")
    now = ledger.clock.now()
    filtered(ledger, jsonl(tmp_path / "items.jsonl", item("ann", "one", now)), tmp_path / "out", started=now)
    sequence(ledger)
    permitted = tmp_path / "out" / "permitted.parquet"
    # What Spark writes is a folder.
    folder = tmp_path / "permitted.parquet"
    folder.mkdir()
    (folder / "part-00000.parquet").write_bytes(permitted.read_bytes())
    of_run = ["--run", "r1", "--subject", "ann", "--items"]
    for name, kind, items in (
        ("one", "item-used", permitted),
        ("two", "item-not-used", permitted),
        ("one", "item-used", folder),
    ):
        file = tmp_path / name
        told = run_here("--json", "prove", "--item", name, *of_run, items, "-o", file, place=ledger_place)
        assert told.returncode == 0, told.stderr
        fields = json.loads(told.stdout)
        assert (fields["kind"], fields["item"], fields["run"]) == (kind, name, "r1")
        assert verify_file(file.read_bytes(), trust, Asked(subject=f"key:{fields['stream']}")).kind == kind


def test_it_is_asked_for_one_proof(ledger_place: Place, run_here: RunCli, tmp_path: Path) -> None:
    four = ["--item", "one", "--run", "r1", "--subject", "ann", "--items", tmp_path]
    for arguments in (
        [],
        ["ann", "--entry", "1"],
        ["--entry", "1", "--consistency", "1"],
        ["ann", *four],
        four[:6],
        ["ann", "--run", "r1"],
        ["--entry", "0"],
        [""],
    ):
        done = run_here("prove", *arguments, place=ledger_place)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert done.stderr.count("\n") == 1


def test_without_a_checkpoint_it_says_how_to_make_one(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, tmp_path: Path
) -> None:
    grant(ledger, "ann")
    for arguments in (["prove", "ann"], ["prove", "--consistency", "1"], ["tiles", tmp_path / "tiles"]):
        done = run_here(*arguments, place=ledger_place)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "consent: expected a checkpoint, found none yet; run `consent checkpoint` first\n"


def test_tiles(ledger_place: Place, checkpoint: StoredCheckpoint, run_here: RunCli, tmp_path: Path) -> None:
    done = run_here("tiles", tmp_path / "log", place=ledger_place)
    assert done.stdout == f"the log of size 6 is in {tmp_path / 'log'}: 1 new tiles\n"
    assert (tmp_path / "log" / "checkpoint").read_text() == checkpoint.note
    told = run_here("--json", "tiles", tmp_path / "log", "--entries", place=ledger_place)
    assert json.loads(told.stdout) == {"dir": str(tmp_path / "log"), "size": 6, "tiles": 0, "bundles": 1}


def test_of_an_erased_person_everything_is_gone_but_what_was_proven(
    ledger: ConsentLedger, ledger_place: Place, trust: Trust, run_here: RunCli, tmp_path: Path
) -> None:
    named, address = "somebody@example.org", b"198.51.100.7"
    grant(ledger, named, "bob")
    ledger.record(named, toggled("off"), evidence=address)
    subject = ledger.subject(named)
    assert subject.subject_id is not None
    key = f"key:{subject.stream}"
    sequence(ledger)
    assert run_here("prove", key, "-o", tmp_path / "before", place=ledger_place).returncode == 0
    entry = run_here("prove", "--entry", "3", place=ledger_place).stdout.encode()
    secrets = [named.encode(), subject.subject_id, subject.subject_id.hex().encode(), address]
    before = rows_of_everything(ledger_place)
    assert all(secret in before for secret in secrets)

    assert run_here("erase", named, "--yes", place=ledger_place).returncode == 0
    sequence(ledger)
    everything = rows_of_everything(ledger_place)
    for name in ("jsonl", "csv"):
        everything += run_here("export", "--format", name, place=ledger_place).stdout.encode()
    run_here("tiles", tmp_path / "log", "--entries", place=ledger_place)
    everything += b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file())
    for secret in secrets:
        assert secret not in everything

    # All that was proven before holds, and under the key the whole history can be proven for ever.
    for proof in ((tmp_path / "before").read_bytes(), entry):
        verify_file(proof, trust, Asked(subject=key))
    assert run_here("prove", key, "-o", tmp_path / "after", place=ledger_place).returncode == 0
    verify_file((tmp_path / "after").read_bytes(), trust, Asked(subject=f"id:{subject.subject_id.hex()}"))
    grown = run_here("prove", "--consistency", "7", place=ledger_place)
    assert verify_file(grown.stdout.encode(), trust).kind == "consistency"
    gone = run_here("prove", named, place=ledger_place)
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "erased" in gone.stderr


def rows_of_everything(place: Place) -> bytes:
    """All that the database holds in tables, as bytes and as PostgreSQL writes bytes."""
    with admin(place) as connection:
        tables = connection.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE 'ledger%%'")
        found = [bytes(stored) for *_, stored in whole_log(place)]
        for schema, table in tables.fetchall():
            rows = connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()
            found += [value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row]
    return b"\n".join(found) + b"\n".join(value.hex().encode() for value in found)
