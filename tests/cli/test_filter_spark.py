"""`consent filter --engine spark`, as its users run it: on a Spark that nobody configured, and where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.settings import Place
from tests.cli.conftest import RunCli
from tests.domain import given
from tests.gate import people, runs
from tests.gate.engines import QUICK_JAVA, checksum, demand_spark, missing


@pytest.fixture
def items(ledger: ConsentLedger, tmp_path: Path) -> Path:
    ledger.publish(given.SHIPPED)
    people.fill(ledger, dict.fromkeys(people.NAMES, people.PAST))
    query = (
        "SELECT ['ann', 'bob', 'cem', 'nobody'][i % 4 + 1] AS subject, i AS item,"
        " TIMESTAMPTZ '2025-09-20 12:00:00Z' AS collected_at FROM range(40) t(i)"
    )
    return people.write_parquet(tmp_path / "items.parquet", query)


@pytest.mark.slow
def test_a_run_on_a_spark_that_nobody_configured(
    ledger: ConsentLedger, ledger_place: Place, monkeypatch: pytest.MonkeyPatch, items: Path, tmp_path: Path
) -> None:
    demand_spark()
    out, theirs = tmp_path / "out [1]", tmp_path / "theirs"
    monkeypatch.setenv("JDK_JAVA_OPTIONS", QUICK_JAVA)
    command: list[str | Path] = [
        "--run",
        "r1",
        "--started-at",
        "2026-06-01T00:00:00Z",
        "--out",
        out,
        "--engine",
        "spark",
    ]
    with runs.start_filter(ledger_place, items, *command) as process:
        answer, told = process.communicate()
    # One line for programs, and none of what Java says of itself.
    assert (process.returncode, told, answer.count("\n")) == (0, "", 1)
    runs.filtered(ledger, items, theirs, "r2")
    for name in ("permitted.parquet", "refused.parquet"):
        assert checksum(out / name) == checksum(theirs / name)


def test_what_is_missing_is_said_in_one_sentence_with_nothing_recorded(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, monkeypatch: pytest.MonkeyPatch, items: Path
) -> None:
    head = ledger.recorder.head()

    def told() -> str:
        done = run_here(
            "filter", items, "--run", "r1", "--out", items.parent / "out", "--engine", "spark", place=ledger_place
        )
        assert (done.returncode, done.stdout) == (3, "")
        (line,) = done.stderr.splitlines()
        return str(line)

    if missing() is None:
        monkeypatch.setenv("JAVA_HOME", str(items.parent))
        assert "expected Java 17" in told()
    monkeypatch.setitem(sys.modules, "pyspark", None)  # as where it is not installed
    assert "expected pyspark" in told()
    assert ledger.recorder.head() == head
