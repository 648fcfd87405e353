"""One suite for both engines: Spark runs the same text, and says the same as DuckDB and as the domain's own code."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as forall

from ledger.domain.eligibility import Verdict
from ledger.domain.terms import Catalogue, Terms
from ledger.domain.times import format_time
from ledger.gate.engine import Engine
from ledger.gate.engines import DUCKDB, ENGINES, SPARK
from ledger.gate.inputs import find_items
from tests.domain.histories import TICKS, History, histories, moment
from tests.gate import people
from tests.gate.engines import opened
from tests.gate.test_reading import READABLE, UNREADABLE, jsonl
from tests.gate.test_verdicts import (
    DAYS,
    ODD_PLANS,
    ODD_PURPOSES,
    Asked,
    Batch,
    decided,
    person,
    renaming,
    rewritten,
    verdicts_one_by_one,
)

pytestmark = pytest.mark.slow
#: Many histories in one run: an engine takes seconds to begin, however few they are.
PEOPLE = 120
Row = tuple[Any, ...]


def drawn(count: int) -> list[History]:
    """Histories as the tests of the domain draw them."""
    found: list[History] = []

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @forall(history=histories())
    def collect(history: History) -> None:
        found.append(history)

    collect()
    return found


def crowd(purpose: str, run_started: datetime, judged: datetime) -> Batch:
    """All of them in one run, each on a day, and with a plan, of their own."""
    random_of = random.Random(1)
    published: list[Terms] = []
    persons = []
    asked: list[Asked] = []
    for number, history in enumerate(drawn(PEOPLE)):
        day = datetime.combine(datetime.fromisoformat(random_of.choice(DAYS)).date(), datetime.min.time(), UTC)
        plan = random_of.choice(ODD_PLANS)
        renamed = renaming(number, plan)
        published += [msgspec.convert(rewritten(terms, renamed), Terms) for terms in history.published]
        persons.append(person(number, history, renamed, day))
        first = moment(0).replace(year=day.year, month=day.month, day=day.day)
        asked += [
            Asked(
                number,
                first + (moment(tick) - moment(0)),
                random_of.choice(("chat", "chat", "voice", "", None, "it's")),
                random_of.choice((None, None, "", plan, "team")),
                random_of.choice((*[None] * 20, "", 'deleted "by", them')),
            )
            for tick in TICKS
        ]
    return Batch(Catalogue(published), tuple(persons), tuple(asked), purpose, run_started, judged)


def verdicts_by(engine: Engine, batch: Batch, path: Path) -> list[Verdict]:
    """The engine's answer to every item, in their order; the items come out of a file."""
    rows = [
        {
            "subject": batch.people[one.person].name,
            "item": f"i{number}",
            "collected_at": format_time(one.collected),
            "kind": one.kind,
            "plan": one.plan,
            "exclude": one.exclude,
        }
        for number, one in enumerate(batch.asked)
    ]
    load_rows(engine, path, rows)
    return decided(engine, batch)


def load_rows(engine: Engine, path: Path, rows: list[dict[str, Any]]) -> None:
    """Items out of Parquet, with their times as text."""
    lines = jsonl(path.with_suffix(".jsonl"), *rows)
    columns = "{" + ", ".join(f"{name}: 'VARCHAR'" for name in dict.fromkeys(n for row in rows for n in row)) + "}"
    query = f"SELECT * FROM read_json('{lines}', format = 'newline_delimited', columns = {columns})"
    engine.load(find_items((str(people.write_parquet(path, query)),)))


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("purpose", "started", "judged"), [("training", 4, 30), ("research", 20, 9)])
def test_the_verdicts_on_random_histories_are_the_domains(
    tmp_path: Path, name: str, purpose: str, started: int, judged: int
) -> None:
    batch = crowd(ODD_PURPOSES[purpose], moment(started), moment(judged))
    expected = verdicts_one_by_one(batch)
    with opened(name, tmp_path / "work") as engine:
        found = verdicts_by(engine, batch, tmp_path / "items.parquet")
    assert len({verdict.reason for verdict in expected}) > 8
    for one, bulk, single in zip(batch.asked, found, expected, strict=True):
        assert bulk == single, f"{one} of {batch.people[one.person]}"


def items_read(engine: Engine, *named: Path) -> list[Row]:
    """The items as the verdicts take them."""
    engine.load(find_items(tuple(map(str, named))))
    return items_taken(engine)


def items_taken(engine: Engine) -> list[Row]:
    engine.insert("run", [["model-training", "chat", 0, 0]])
    engine.script("items")
    names = "subject, item, collected, kind, plan, exclude, unreadable, ambiguous"
    return list(engine.stream(f'SELECT "row", {names} FROM item ORDER BY "row"'))


@contextmanager
def both(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    with opened(DUCKDB, tmp_path / DUCKDB) as one, opened(SPARK, tmp_path / SPARK) as two:
        yield one, two


def test_texts_are_read_as_the_same_items_or_as_none(tmp_path: Path) -> None:
    rows = [row for row, _ in UNREADABLE] + READABLE
    with both(tmp_path) as (one, two):
        for engine in (one, two):
            load_rows(engine, tmp_path / "items.parquet", rows)
        assert items_taken(two) == items_taken(one)


TIMES = "['2025-10-01 12:00:00.123456', '1969-12-31 23:59:59.999999', 'infinity', '-infinity', '0044-03-15', NULL]"
#: Columns of items as other programs write them, one list of items each: 'subject', 'item', 'collected_at', 'exclude'.
WRITTEN = {
    "zoned": f"SELECT 'ann' AS subject, i AS item, CAST({TIMES}[i] AS TIMESTAMPTZ) AS collected_at"
    " FROM range(1, 7) t(i)",
    "plain": f"SELECT 7::UTINYINT AS subject, i::UBIGINT + 9223372036854775807 AS item, CAST({TIMES}[i] AS TIMESTAMP)"
    " AS collected_at, i % 2 = 0 AS exclude FROM range(1, 7) t(i)",
    "nanoseconds": "SELECT 'ann' AS subject, 'i' || i AS item, make_timestamp_ns(i * 999_999_999_999_999 - 1)"
    " AS collected_at, i AS exclude, 'voice'::ENUM('voice') AS kind FROM range(0, 7) t(i)",
    "milliseconds": "SELECT 1.5 AS subject, i AS item, TIMESTAMP_MS '2025-10-01 12:00:00.123' AS collected_at,"
    " [i] AS tags FROM range(7) t(i)",
    "a day": "SELECT 'é☃' || chr(128512) AS subject, i AS item, DATE '2025-10-01' AS collected_at, true AS plan"
    " FROM range(7) t(i)",
}


def test_what_other_programs_write_is_read_as_the_same_items(tmp_path: Path) -> None:
    for name, query in WRITTEN.items():
        path = people.write_parquet(tmp_path / f"{name}.parquet", query)
        with both(tmp_path / name) as (one, two):
            assert items_read(two, path) == items_read(one, path), name


def test_many_files_keep_their_order_whatever_they_are_called_and_whichever_columns_they_have(tmp_path: Path) -> None:
    folder = tmp_path / "kind=voice, [1] %20 'x'"
    plain = tmp_path / "plain.parquet"
    folder.mkdir()
    query = "SELECT 'ann' AS subject, {} + i AS item, '2025-10-01T12:00:00Z' AS collected_at{} FROM range({}) t(i)"
    names = ["b [1].parquet", "a*.parquet", "_c.parquet", ".d.parquet", "e%20f.parquet", "g:h.parquet"]
    files = [
        people.write_parquet(
            plain, query.format(n * 1_000, f", 'x' AS exclude, {n} AS \"file name\"" if n % 2 else "", 200 + n)
        ).rename(folder / name)
        for n, name in enumerate(names)
    ]
    with both(tmp_path / "out [1] %20") as (one, two):
        expected = items_read(one, *files)
        assert items_read(two, *files) == expected
        assert [row[0] for row in expected] == list(range(1, 6 * 200 + 15 + 1))
