"""Every projection, made anew beside the live tables: to swap, and to compare."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.application import ConsentLedger
from ledger.errors import Unavailable
from ledger.projections.projection import Projection
from ledger.projections.rebuild import rebuild, verify
from ledger.projections.runner import Runner
from ledger.projections.subscription import Subscription
from tests import builders
from tests.projections.population import (
    Population,
    assert_as_the_log_says,
    rows_in_table,
    schemas,
    table_of,
)


def test_a_rebuild_while_appends_and_batches_go_on_ends_with_the_same_tables(
    projection: Projection, ledger: ConsentLedger
) -> None:
    population = Population(ledger, seed=6)
    population.grow(4)
    stopped = threading.Event()

    def keep_on_appending() -> None:
        while not stopped.is_set():
            population.grow(1)

    def keep_up_to_date() -> None:
        with Runner(ledger.url, ledger.place.name, batch=5) as runner:
            while not stopped.is_set():
                runner.advance(projection)

    with ThreadPoolExecutor(2) as threads, Runner(ledger.url, ledger.place.name) as runner:
        others = [threads.submit(keep_on_appending), threads.submit(keep_up_to_date)]
        try:
            heads = [ledger.recorder.head()]
            for _ in range(3):
                rebuild(runner, projection)
                heads.append(ledger.recorder.head())
                assert not any(other.done() for other in others)
                assert verify(runner, projection).differing == 0
        finally:
            stopped.set()
        for other in others:
            other.result()
        assert sorted(set(heads)) == heads, "nothing was appended meanwhile, so nothing was shown"
        runner.catch_up(projection)
    assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())


def test_a_rebuild_repairs_whatever_became_of_the_tables(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    Population(ledger, seed=7).grow(4)
    runner.catch_up(projection)
    for damage in ("DROP TABLE {table}", "ALTER TABLE {table} DROP COLUMN gone", "DROP SCHEMA {schema} CASCADE"):
        with builders.admin(ledger.place) as connection:
            connection.execute(damage.format(table=table_of(projection), schema=projection.tables))
        with (
            pytest.raises(Unavailable, match=f"projections rebuild {projection.name}"),
            Subscription(ledger, projection) as subscription,
        ):
            subscription.next_page()
        rebuild(runner, projection)
        assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())


def test_verify_finds_no_difference_where_there_is_none_and_leaves_nothing_behind(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    Population(ledger, seed=8).grow(5)
    runner.catch_up(projection)
    position, rows = rows_in_table(projection, ledger.place)
    verified = verify(runner, projection)
    assert (verified.position, verified.rows, verified.differing, verified.named) == (position, len(rows), 0, ())
    assert rows_in_table(projection, ledger.place) == (position, rows)
    assert schemas(ledger.place) == {projection.tables}


TAMPERED = {
    "changed": ("UPDATE {table} SET gone = NOT gone WHERE {this}", True, True),
    "moved": ("UPDATE {table} SET position = position + 1 WHERE {this}", True, True),
    "deleted": ("DELETE FROM {table} WHERE {this}", False, True),
    "added": ("UPDATE {table} SET stream = 'x' || stream WHERE {this}", True, False),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_verify_names_a_row_that_was_tampered_with(
    projection: Projection, ledger: ConsentLedger, runner: Runner, how: str
) -> None:
    Population(ledger, seed=9).grow(5)
    runner.catch_up(projection)
    _, rows = rows_in_table(projection, ledger.place)
    key = sorted(rows)[len(rows) // 2]
    tampering, is_live, is_rebuilt = TAMPERED[how]
    this = " AND ".join(f"{column} = %s" for column in projection.key)
    with builders.admin(ledger.place) as connection:
        assert connection.execute(tampering.format(table=table_of(projection), this=this), key).rowcount == 1
    verified = verify(runner, projection)
    found = [one for one in verified.named if (one.live is not None, one.rebuilt is not None) == (is_live, is_rebuilt)]
    assert verified.differing == len(verified.named) == (2 if how == "added" else 1)
    named = dict(zip(projection.key, key, strict=True))
    assert [one.key for one in found] == [named | ({"stream": "x" + key[0]} if how == "added" else {})]


def test_verify_counts_every_difference_and_names_the_first(
    projection: Projection, ledger: ConsentLedger, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.projections.rebuild.MOST_NAMED", 3)
    Population(ledger, seed=10).grow(5)
    runner.catch_up(projection)
    with builders.admin(ledger.place) as connection:
        rows = connection.execute(f"DELETE FROM {table_of(projection)}").rowcount
    verified = verify(runner, projection)
    assert (verified.differing, len(verified.named)) == (rows, 3)


def test_a_rebuilt_table_has_the_columns_keys_and_indexes_of_a_fresh_one(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    Population(ledger, seed=11).grow(2)
    runner.catch_up(projection)
    fresh = definition(projection, ledger)
    rebuild(runner, projection)
    assert definition(projection, ledger) == fresh
    assert len(fresh) == len(projection.columns) + 3


def definition(projection: Projection, ledger: ConsentLedger) -> set[tuple[object, ...]]:
    """The columns, the indexes and the owner of the live table, and who may do what with it."""
    with builders.admin(ledger.place) as connection:
        columns = connection.execute(
            "SELECT attname, atttypid, attcollation, attnotnull, attnum FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0",
            [table_of(projection)],
        ).fetchall()
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = %s", [projection.tables]
        ).fetchall()
        rights = connection.execute(
            "SELECT relowner, relacl::text, relpersistence FROM pg_class WHERE oid = %s::regclass",
            [table_of(projection)],
        ).fetchall()
    return {*columns, *indexes, *rights}
