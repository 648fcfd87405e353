"""Every projection, in batches: each entry exactly once, and the rows that the log says."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from ledger.application import ConsentLedger
from ledger.projections import PROJECTIONS
from ledger.projections.projection import Projection
from ledger.projections.rebuild import rebuild
from ledger.projections.runner import Runner
from tests import builders
from tests.projections.population import (
    Key,
    Population,
    assert_as_the_log_says,
    rows_from_log,
    rows_in_table,
    table_of,
)


@pytest.mark.parametrize("batch", [1, 3, 1_000])
def test_incremental_equals_from_scratch_at_every_position(
    projection: Projection, ledger: ConsentLedger, batch: int
) -> None:
    Population(ledger, seed=batch, people=5).grow(10)
    before: dict[Key, Any] = {}
    with Runner(ledger.url, ledger.place.name, batch) as runner:
        while runner.advance(projection):
            position, rows = rows_in_table(projection, ledger.place)
            assert rows == rows_from_log(projection, ledger.place, position)
            assert before.keys() <= rows.keys()
            assert all(rows[key].position >= row.position for key, row in before.items())
            before = rows
    assert position == ledger.recorder.head()
    assert before


def test_a_changed_row_moves_above_every_position_it_was_read_at(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    population = Population(ledger, seed=2)
    before: dict[Key, Any] = {}
    for _ in range(6):
        population.grow(2)
        runner.catch_up(projection)
        read_at = max((row.position for row in before.values()), default=0)
        _, rows = rows_in_table(projection, ledger.place)
        changed = {key for key, row in rows.items() if before.get(key) != row}
        assert changed
        assert all(rows[key].position > read_at for key in changed)
        before = rows


def test_a_projection_is_behind_until_it_has_applied_all(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    others = [other for other in PROJECTIONS.values() if other != projection]
    assert runner.behind(PROJECTIONS.values()) == list(PROJECTIONS.values())  # without tables, in an empty log
    for other in others:
        runner.catch_up(other)
    assert runner.behind(PROJECTIONS.values()) == [projection]
    runner.catch_up(projection)
    assert runner.behind(PROJECTIONS.values()) == []
    builders.grant(ledger, "anna")
    for other in others:
        runner.catch_up(other)
    assert runner.behind(PROJECTIONS.values()) == [projection]
    rebuild(runner, projection)
    assert runner.behind(PROJECTIONS.values()) == []


def test_two_runners_at_once_apply_nothing_twice(projection: Projection, ledger: ConsentLedger) -> None:
    Population(ledger, seed=3).grow(15)
    start = threading.Barrier(2)

    def run(_: int) -> int:
        applied = 0
        with Runner(ledger.url, ledger.place.name, batch=3) as runner:
            start.wait()
            while gone_on := runner.advance(projection):
                applied += gone_on
        return applied

    with ThreadPoolExecutor(2) as threads:
        applied = list(threads.map(run, range(2)))
    assert sum(applied) == ledger.recorder.head()
    assert all(applied), "one runner did it all, so nothing was shown"
    assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())


def test_the_service_may_read_the_tables_and_not_write_them(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    runner.catch_up(projection)
    with builders.admin(ledger.place) as connection:
        connection.execute("SET ROLE consent_service")
        connection.execute(f"SELECT * FROM {table_of(projection)}")
        for writing in ("DELETE FROM {}", "UPDATE {} SET gone = true", "TRUNCATE {}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(writing.format(table_of(projection)))
