"""The gate on Spark, end to end: the same rows and uses as DuckDB's, and the same way back to the ledger."""

from __future__ import annotations

import json
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import Entry
from ledger.errors import InvalidInput, Unavailable
from ledger.gate.engines import DUCKDB, SPARK
from ledger.gate.gate import Gate, filter_items, working_folder
from ledger.gate.released import released_leaves
from ledger.gate.spark_engine import SparkEngine
from tests.domain import given
from tests.gate import people, runs
from tests.gate.engines import checksum, files_of, opened, spark
from tests.gate.people import late
from tests.gate.runs import use_in, uses_of

pytestmark = pytest.mark.slow
ITEMS, PEOPLE = 20_000, 200


@pytest.fixture
def crowd(ledger: ConsentLedger) -> ConsentLedger:
    ledger.publish(given.SHIPPED)
    names = [f"p{number}" for number in range(PEOPLE)]
    people.fill(ledger, people.decided_at_random(names, datetime(2025, 8, 28, tzinfo=UTC), timedelta(days=200), seed=5))
    return ledger


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """Three files of items of theirs, with columns of their own."""
    folder = tmp_path / "items"
    folder.mkdir()
    for number in range(3):
        query = (
            f'SELECT \'p\' || (i * 7919 % {PEOPLE + 9}) AS subject, \'item "\' || i AS item, [i] AS "odd ""`name",'
            " TIMESTAMPTZ '2025-08-01 00:00:00Z' + to_microseconds(i * 1296000001) AS collected_at,"
            " i::DECIMAL(9, 2) AS d, CASE WHEN i % 3 > 0 THEN 'chat' END AS kind,"
            " CASE WHEN i % 50 = 0 THEN 'x' END AS exclude"
            f" FROM range({number}, {ITEMS}, 3) t(i)"
        )
        people.write_parquet(folder / f"{number}.parquet", query)
    return folder


def what(uses: list[Entry]) -> list[tuple[Any, ...]]:
    return sorted((use.stream, use_in(use).basis, use_in(use).manifest, use_in(use).items) for use in uses)


def test_rows_uses_and_a_second_run_are_those_of_the_other_engine(
    crowd: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    spark()
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    told = runs.filtered(crowd, items, theirs, "r1")
    found = filter_items(crowd, runs.asked(items, "r2"), ours, runs.Silent(), SPARK)
    assert found.counts == told.counts
    assert found.counts.permitted > ITEMS / 10
    for name in ("permitted.parquet", "refused.parquet"):
        assert checksum(ours / name) == checksum(theirs / name)
    assert what(uses_of(crowd, "r2")) == what(uses_of(crowd, "r1"))
    assert sorted(path.name for path in ours.iterdir()) == ["permitted.parquet", "refused.parquet", "run.json"]
    assert json.loads((ours / "run.json").read_text()) == found.summary

    use = uses_of(crowd, "r2")[0]
    released = [released_leaves(out / "permitted.parquet", use.stream) for out in (ours, theirs)]
    assert list(released[0].values()) == list(released[1].values()) != []

    # The same again, and by the other engine into the same folder: nothing new in the log, the same rows.
    head, before = (
        crowd.recorder.head(),
        [checksum(ours / name, "") for name in ("permitted.parquet", "refused.parquet")],
    )
    for engine in (DUCKDB, SPARK):
        again = filter_items(crowd, runs.asked(items, "r2", started=None), ours, runs.Silent(), engine)
        assert again.summary == found.summary
        assert [checksum(ours / name, "") for name in ("permitted.parquet", "refused.parquet")] == before
    assert crowd.recorder.head() == head
    assert sorted(path.name for path in ours.iterdir()) == ["permitted.parquet", "refused.parquet", "run.json"]


def test_whoever_changes_their_mind_in_between_is_decided_again(
    people_on: ConsentLedger, other: ConsentLedger, tmp_path: Path
) -> None:
    spark()
    query = (
        "SELECT ['ann', 'bob', 'cem'][i % 3 + 1] AS subject, 'i' || i AS item,"
        " TIMESTAMPTZ '2025-09-20 12:00:00Z' AS collected_at FROM range(9) t(i)"
    )
    path, out = people.write_parquet(tmp_path / "items.parquet", query), tmp_path / "out"
    with working_folder(out, "r1") as work, closing(SparkEngine(work)) as engine:
        gate = Gate(people_on, runs.asked(path), engine, runs.Silent())
        gate.start()
        gate.decide()
        other.record("bob", late(given.toggled("off"), given.at("15")))
        other.record("cem", late(given.toggled("off"), given.at("15")))
        other.record("cem", late(given.toggled("on"), given.at("16")))
        outcome = runs.finished(gate, out)
    assert outcome.counts.by_reason == {"granted": 6, "changed-during-run": 3}
    cem = people_on.subject("cem").stream
    assert {(use.stream, use_in(use).basis) for use in uses_of(people_on)} == {
        (people_on.subject("ann").stream, 2),
        (cem, 4),
    }
    (file,) = files_of(out / "permitted.parquet")
    assert {(row["use"], row["basis"]) for row in runs.rows_of(file) if row["stream"] == cem} == {(5, 4)}


def test_items_that_change_meanwhile_and_formats_that_spark_does_not_read_are_refused(tmp_path: Path) -> None:
    path = people.write_parquet(tmp_path / "items.parquet", "SELECT 'a' AS subject, 1 AS item, now() AS collected_at")
    with opened(SPARK, tmp_path / "work") as engine:
        engine.load(runs.asked(path).items)
        engine.insert("run", [["model-training", "chat", 0, 0]])
        os.utime(path, (1, 1))
        with pytest.raises(Unavailable, match="stay as they are"):
            engine.script("items")
        csv = tmp_path / "items.csv"
        csv.write_text("subject,item,collected_at\n")
        with pytest.raises(InvalidInput, match="expected Parquet for --engine spark, found csv"):
            engine.load(runs.asked(csv).items)
        with pytest.raises(Unavailable, match=r"expected an answer from Spark, found: .*nothing_here"):
            engine.one("SELECT 1 FROM nothing_here")
