"""Filling a projection's tables anew, beside those that go on being read and updated: to swap, or to compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import IsolationLevel, sql

from ledger.projections.fold import rows_of
from ledger.projections.projection import Projection
from ledger.projections.runner import Runner, Told, nobody
from ledger.projections.tables import PAGE, Tables, unusable_as_error
from ledger.store.statements import statement

#: Differences that are named; whoever has more rebuilds, and needs no list.
MOST_NAMED = 100

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One row as the live table has it, and as the log says it is; none where that side has no such row."""

    key: Fields
    live: Fields | None
    rebuilt: Fields | None


@dataclass(frozen=True, slots=True)
class Verified:
    """What was compared, at which position: `differing` rows in all, the first of them named."""

    position: int
    rows: int
    differing: int
    named: tuple[Difference, ...]


def rebuild(runner: Runner, projection: Projection, told: Told = nobody) -> int:
    """Makes the projection's tables anew from the log and puts them in the place of the live ones; the position.

    Killed anywhere, it can be started again: nothing is kept of a rebuild but the swap, which is one transaction.
    `told` hears how many entries each page had.
    """
    live = Tables(runner.connection, projection, projection.tables)
    replaced = Tables(runner.connection, projection, f"{projection.tables}_replaced")
    with _beside(runner, projection) as rebuilt:
        _fill(runner, rebuilt, runner.head(), told)
        # What is less than a batch is left to be applied under the lock: while appends go on there is always more.
        while (gone_on := _step(runner, rebuilt)) == runner.batch:
            told(gone_on)
        replaced.drop()
        with runner.connection.transaction():
            position = _level(runner, rebuilt, live.lock())
            _swap(runner, live, rebuilt, replaced)
            live.move(position, kept_from=position + 1)
        # Whoever still reads the replaced tables holds up this, and nothing else.
        replaced.drop()
    return position


def verify(runner: Runner, projection: Projection, told: Told = nobody) -> Verified:
    """Makes the tables anew beside the live ones, to the same position, and compares all rows both ways."""
    live = Tables(runner.connection, projection, projection.tables)
    with _beside(runner, projection) as rebuilt:
        with runner.connection.transaction():
            position = live.lock()
        _fill(runner, rebuilt, position, told)
        # One snapshot holds the live rows and the position that they belong to, without holding anybody up.
        runner.connection.isolation_level = IsolationLevel.REPEATABLE_READ
        try:
            with runner.connection.transaction():
                return _compare(runner, projection, live, rebuilt)
        finally:
            runner.connection.isolation_level = None


@contextmanager
def _beside(runner: Runner, projection: Projection) -> Iterator[Tables]:
    """Empty tables beside the live ones, dropped at the end if they still are beside; for one at a time."""
    rebuilt = Tables(runner.connection, projection, f"{projection.tables}_next")
    with unusable_as_error(projection, runner.name):
        runner.connection.execute(statement("lock_rebuild", "ledger.projections.sql"))
        try:
            with runner.connection.transaction():
                rebuilt.drop()
                rebuilt.create()
            yield rebuilt
            rebuilt.drop()
        finally:
            if not runner.connection.closed:
                runner.connection.execute(statement("unlock_rebuild", "ledger.projections.sql"))


def _fill(runner: Runner, rebuilt: Tables, until: int, told: Told) -> None:
    """All rows as of `until`, stream by stream, so that each entry is read once however often its stream changed."""
    projection = rebuilt.projection
    entries = _by_stream(runner, projection, until, told)
    rebuilt.fill(rows_of(projection, entries, rebuilt.published(until), after=0))
    rebuilt.index()
    rebuilt.stand_at(until)


def _by_stream(runner: Runner, projection: Projection, until: int, told: Told) -> Iterator[tuple[str, int, bytes]]:
    """The log up to a position in the order of its streams, page by page, each read in a moment of its own."""
    select = statement("select_by_stream", "ledger.projections.sql")
    parameters: dict[str, Any] = {"until": until, "topics": projection.topics, "limit": PAGE}
    parameters |= {"stream": "", "version": 0}
    cursor = runner.connection.cursor(binary=True)
    while page := cursor.execute(select, parameters).fetchall():
        for stream, _, position, stored in page:
            yield stream, position, stored
        parameters |= {"stream": page[-1][0], "version": page[-1][1]}
        told(len(page))


def _step(runner: Runner, rebuilt: Tables) -> int:
    """One batch towards the end of the log, while the live tables go their own way."""
    with runner.connection.transaction():
        return runner.step(rebuilt, runner.head())


def _level(runner: Runner, rebuilt: Tables, target: int) -> int:
    """Takes the rebuilt tables to where the live ones stand, if those are further; where they stand then."""
    while runner.step(rebuilt, target):
        pass
    return rebuilt.lock()


def _swap(runner: Runner, live: Tables, rebuilt: Tables, replaced: Tables) -> None:
    swap = sql.SQL(statement("swap_schemas", "ledger.projections.sql")).format(
        live=sql.Identifier(live.schema),
        rebuilt=sql.Identifier(rebuilt.schema),
        replaced=sql.Identifier(replaced.schema),
    )
    runner.connection.execute(swap, prepare=False)


def _compare(runner: Runner, projection: Projection, live: Tables, rebuilt: Tables) -> Verified:
    position = live.position() or 0
    _level(runner, rebuilt, position)
    select = sql.SQL(statement("select_differences", "ledger.projections.sql")).format(
        live=sql.Identifier(live.schema, projection.table),
        rebuilt=sql.Identifier(rebuilt.schema, projection.table),
        key=sql.SQL(", ").join(map(sql.Identifier, projection.key)),
        order=sql.SQL(", ").join(
            sql.SQL("coalesce({}, {})").format(sql.Identifier("live", column), sql.Identifier("rebuilt", column))
            for column in projection.key
        ),
        of_live=sql.SQL(", ").join(sql.Identifier("live", column) for column in projection.columns),
        of_rebuilt=sql.SQL(", ").join(sql.Identifier("rebuilt", column) for column in projection.columns),
    )
    named: list[Difference] = []
    differing = 0
    with runner.connection.cursor("differences") as rows:
        rows.itersize = PAGE
        for row in rows.execute(select):
            differing += 1
            if len(named) < MOST_NAMED:
                named.append(_difference(projection, row))
    return Verified(position, sum(rebuilt.count()), differing, tuple(named))


def _difference(projection: Projection, row: tuple[Any, ...]) -> Difference:
    columns = projection.columns
    live, rebuilt = (
        dict(zip(columns, side, strict=True)) if side[columns.index("stream")] is not None else None
        for side in (row[: len(columns)], row[len(columns) :])
    )
    one = rebuilt or live or {}
    return Difference({column: one[column] for column in projection.key}, live, rebuilt)
