"""`consent filter`, as its users run it: options, exit statuses, and what stands on standard output."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.application import ConsentLedger
from ledger.domain.times import format_time
from ledger.settings import Place
from tests.cli.conftest import RunCli
from tests.domain import given
from tests.gate import people, runs
from tests.gate.runs import item, jsonl


@pytest.fixture
def crowd(ledger: ConsentLedger) -> ConsentLedger:
    ledger.publish(given.SHIPPED)
    people.fill(ledger, dict.fromkeys(people.NAMES, people.PAST))
    return ledger


@pytest.fixture
def items(tmp_path: Path) -> Path:
    rows = [item(name, f"{name}-{number}") for number in range(2) for name in (*people.NAMES, "nobody")]
    return jsonl(tmp_path / "items.jsonl", *rows, item("ann", "a\tb"))


def failed(done: subprocess.CompletedProcess[str], status: int, *told: str) -> bool:
    """Whether a command ended so, in one sentence, with nothing on standard output."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert all(part in lines[-1] for part in told), done.stderr
    assert lines[-1].startswith("consent: ")
    assert len(lines) == 1 or lines[0].startswith("Usage"), done.stderr
    assert "Traceback" not in done.stderr
    return True


def test_a_run_by_the_command_line(
    crowd: ConsentLedger, ledger_place: Place, run_cli: RunCli, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    head = crowd.recorder.head()
    command = ["filter", items, "--run", "r1", "--started-at", "2026-06-01T00:00:00Z"]
    dry = run_cli("--json", *command, "--out", out, "--dry-run", place=ledger_place)
    assert dry.returncode == 0, dry.stderr
    assert crowd.recorder.head() == head
    assert not out.exists()

    done = run_cli("--json", *command, "--out", out, place=ledger_place)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    told: dict[str, Any] = json.loads(line)
    reasons = {"granted": 6, "unknown-subject": 2, "item-unreadable": 1}
    expected = {"run": "r1", "items": 9, "permitted": 6, "refused": 3, "by_reason": reasons, "uses": 3, "cutoff": head}
    assert expected.items() <= told.items()
    assert list(told["by_reason"]) == list(reasons)
    assert json.loads((out / "run.json").read_text()) == told
    assert expected | {"uses": 0, "dry_run": True} == json.loads(dry.stdout)

    written = runs.bytes_of(out)
    # The run as it is needs no options; people read a sentence and a table.
    again = run_cli("filter", items, "--run", "r1", "--out", out, place=ledger_place)
    assert again.returncode == 0
    assert again.stderr == ""
    assert "9 items, 6 permitted, 3 refused, 3 uses" in again.stdout
    assert "unknown-subject" in again.stdout
    assert runs.bytes_of(out) == written

    two = run_cli(
        "--json", "filter", items, "--run", "r2", "--parent", "r1", "--out", tmp_path / "two", place=ledger_place
    )
    assert json.loads(two.stdout)["parent"] == "r1"


def test_a_run_that_differs_names_what_does_and_both_values(
    crowd: ConsentLedger, ledger_place: Place, run_cli: RunCli, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    runs.filtered(crowd, items, out)
    head = crowd.recorder.head()
    base = ["filter", items, "--run", "r1", "--out", out]
    started = "2026-06-01T00:00:00.000000Z"
    later = ["--started-at", "2026-06-02T00:00:00+02:00"]
    assert failed(run_cli(*base, *later, place=ledger_place), 2, "started_at", started, "2026-06-01T22:00:00.000000Z")
    assert failed(run_cli(*base, "--kind", "coding-session", place=ledger_place), 2, "kind", "chat", "coding-session")
    assert failed(
        run_cli(*base, "--purpose", "research", place=ledger_place), 2, "purpose", "model-training", "research"
    )
    items.write_text(items.read_text() + "\n")
    assert failed(run_cli(*base, place=ledger_place), 2, "input", " bytes, found ")
    assert crowd.recorder.head() == head


def test_wrong_usage_and_files_that_cannot_be_used_record_nothing(
    crowd: ConsentLedger, ledger_place: Place, run_cli: RunCli, items: Path, tmp_path: Path
) -> None:
    head = crowd.recorder.head()
    out = tmp_path / "out"

    def tried(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return run_cli("--json", "filter", *arguments, place=ledger_place)

    future = format_time(crowd.clock.now() + timedelta(hours=1))
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"subject":\n')
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "run.json").write_text('{"run": "another"}')
    (tmp_path / "file").touch()
    assert failed(tried(items, "--run", "r1"), 2, "--out")
    assert failed(tried("--run", "r1", "--out", out), 2)
    assert failed(tried(items, "--out", out), 2, "--run")
    assert failed(tried(items, "--run", "r/1", "--out", out), 2)
    assert failed(tried(items, "--run", "r1", "--out", out, "--started-at", "2026-06-01"), 2)
    assert failed(tried(items, "--run", "r1", "--out", out, "--started-at", future), 2, "future")
    assert failed(tried(items, "--run", "r1", "--dry-run", "--started-at", future), 2, "future")
    assert failed(tried(items, "--run", "r1", "--out", out, "--parent", "r0"), 2, "--parent", "r0")
    assert failed(tried(items, "--run", "r1", "--out", taken), 2, "another")
    assert failed(tried(items, "--run", "r1", "--out", tmp_path / "file"), 2)
    assert failed(tried(items, "--run", "r1", "--out", tmp_path / "file" / "out"), 3, "write into")
    assert failed(tried(tmp_path / "missing.csv", "--run", "r1", "--out", out), 3, "missing.csv")
    assert failed(tried(broken, "--run", "r1", "--out", out), 3, "broken.jsonl")
    assert failed(tried(broken, items, items, "--run", "r1", "--out", out), 2, "twice")
    assert crowd.recorder.head() == head


def test_help_loads_neither_engine_nor_database(run_cli: RunCli) -> None:
    done = run_cli("filter", "--help", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    assert "--dry-run" in done.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & {"duckdb", "psycopg", "eventsourcing", "rich"}
