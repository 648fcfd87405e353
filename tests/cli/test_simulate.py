"""`consent simulate`, as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.settings import Place
from tests.builders import TERMS
from tests.cli.conftest import RunCli
from tests.domain.given import EXAMPLES


@pytest.fixture(autouse=True)
def published(ledger: ConsentLedger) -> None:
    ledger.publish(TERMS)


ITEMS = ["subject,item,collected_at", "b-person,i1,2025-09-01T00:00:00Z", "a-person,i2,2025-09-01T00:00:00Z"]


def test_it_is_repeatable_and_says_that_it_is_simulated(ledger_place: Place, run_cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    done = run_cli("--json", "simulate", "--subjects", "50", "--seed", "3", "-o", file, place=ledger_place)
    told = json.loads(done.stdout)
    assert (told["simulated"], told["terms"], told["subjects"], told["seed"]) == (True, TERMS.version, 50, 3)
    assert told["events"] == len(file.read_text().splitlines())
    assert sum(told["behaviours"].values()) == 50
    printed = run_cli("simulate", "--subjects", "50", "--seed", "3", place=ledger_place)
    assert printed.stdout == file.read_text()
    assert printed.stderr.startswith("simulated 50 people under terms 2025-09-28, seed 3")
    imported = run_cli("--json", "import", file, place=ledger_place)
    assert imported.returncode == 0
    assert json.loads(imported.stdout)["stored"] == told["events"]


def test_the_people_of_items_each_once_whatever_the_order(ledger_place: Place, run_cli: RunCli, tmp_path: Path) -> None:
    first, second = tmp_path / "items.csv", tmp_path / "other.jsonl"
    first.write_text("\n".join([*ITEMS, ITEMS[1]]) + "\n")
    second.write_text(
        "".join(
            json.dumps({"subject": name, "item": "i", "collected_at": "2026-01-01T00:00:00Z"}) + "\n"
            for name in ("a-person", "b-person", "a-person")
        )
    )
    by_csv, by_jsonl = (
        run_cli("simulate", "--items", file, "--seed", "4", place=ledger_place) for file in (first, second)
    )
    assert by_csv.returncode == 0
    assert by_csv.stdout == by_jsonl.stdout
    subjects = [json.loads(line)["subject"] for line in by_csv.stdout.splitlines()]
    assert subjects == sorted(subjects)
    assert set(subjects) == {"a-person", "b-person"}


def test_the_terms_are_those_published_last_or_named(
    ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli
) -> None:
    assert run_cli("terms", "publish", EXAMPLES / "2025-09-28-future-runs.toml", place=ledger_place).returncode == 0
    last = ledger.terms(None).version
    for options, version in (([], last), (["--terms", TERMS.version], TERMS.version)):
        done = run_cli("simulate", "--subjects", "20", *options, place=ledger_place)
        assert {json.loads(line)["data"].get("terms", version) for line in done.stdout.splitlines()} == {version}
    assert run_cli("simulate", "--subjects", "2", "--terms", "none", place=ledger_place).returncode == 1


def test_wrong_usage(ledger_place: Place, run_cli: RunCli, tmp_path: Path) -> None:
    for options in ([], ["--subjects", "0"], ["--subjects", "2", "--items", "x"], ["--subjects", "two"]):
        assert run_cli("simulate", *options, place=ledger_place).returncode == 2
    assert run_cli("simulate", "--items", tmp_path / "none.csv", place=ledger_place).returncode == 3
