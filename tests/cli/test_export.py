"""`consent export`, as its users run it; what the formats keep is in tests/exports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.settings import Place
from tests.builders import grant, toggled, whole_log
from tests.cli.conftest import RunCli


@pytest.fixture(autouse=True)
def filled(ledger: ConsentLedger) -> None:
    grant(ledger, "ann", "bob")
    ledger.record("ann", toggled("off"))


def test_standard_output_and_a_file_are_the_same_bytes(ledger_place: Place, run_cli: RunCli, tmp_path: Path) -> None:
    first, second = (run_cli("export", "--format", "jsonl", place=ledger_place) for _ in range(2))
    assert first.returncode == 0
    assert first.stdout == second.stdout
    assert first.stdout.encode().splitlines() == [entry for *_, entry in whole_log(ledger_place)]
    file = tmp_path / "out.jsonl"
    told = run_cli("--json", "export", "--format", "jsonl", "-o", file, place=ledger_place)
    assert json.loads(told.stdout) == {"format": "jsonl", "entries": 6, "file": str(file)}
    assert file.read_text() == first.stdout


def test_the_options_select(ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli) -> None:
    def exported(*options: str) -> list[tuple[str, str]]:
        done = run_cli("export", "--format", "jsonl", *options, place=ledger_place)
        assert done.returncode == 0, done.stderr
        entries = [json.loads(line) for line in done.stdout.splitlines()]
        return [(entry["event"], entry["stream"]) for entry in entries]

    ann = ledger.subject("ann").stream or ""
    assert exported("--subject", "ann", "--event", "toggle-changed") == [("toggle-changed", ann)]
    assert exported("--subject", f"key:{ann}", "--subject", "bob", "--event", "accepted") == [
        ("accepted", ann),
        ("accepted", ledger.subject("bob").stream or ""),
    ]
    assert [event for event, _ in exported("--after", "1", "--position", "3")] == ["terms-shown", "accepted"]
    recorded = json.loads(whole_log(ledger_place)[3][3])["recorded_at"]
    assert [event for event, _ in exported("--from", recorded, "--until", recorded)] == ["terms-shown"]
    assert exported("--until", "2020-01-01T00:00:00Z") == []


def test_wrong_usage_and_nobody(ledger_place: Place, run_cli: RunCli, tmp_path: Path) -> None:
    for options in (
        ["--format", "xml"],
        [],
        ["--format", "csv", "--event", "x"],
        ["--format", "csv", "--from", "today"],
    ):
        assert run_cli("export", *options, place=ledger_place).returncode == 2
    file = tmp_path / "out.csv"
    nobody = run_cli("export", "--format", "csv", "--subject", "nobody", "-o", file, place=ledger_place)
    assert nobody.returncode == 1
    assert not file.exists()
    nowhere = run_cli("export", "--format", "csv", "-o", tmp_path / "none" / "out.csv", place=ledger_place)
    assert nowhere.returncode == 3
    assert nowhere.stderr.count("\n") == 1


def test_no_identity_is_in_an_export(ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli) -> None:
    named = "somebody@example.org"
    grant(ledger, named)
    subject_id = ledger.subject(named).subject_id
    assert subject_id is not None
    for name in ("jsonl", "csv"):
        exported = run_cli("export", "--format", name, place=ledger_place).stdout
        assert named not in exported
        assert subject_id.hex() not in exported
