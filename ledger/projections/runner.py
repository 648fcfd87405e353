"""The runner: applies the log to projections in batches, each entry exactly once (design, section 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from ledger.projections.projection import Projection
from ledger.projections.tables import PAGE, Tables, unusable_as_error
from ledger.store.database import connect, unavailable_as_error
from ledger.store.statements import statement

Told = Callable[[int], object]


def nobody(_: int) -> None:
    """Where nobody watches how far it is."""


class Runner:
    """Brings projections up to date, over one connection in the one role that may write them; for one thread.

    A batch is one transaction: it locks the projection's position, applies the entries after it and moves it. So a
    second runner waits and finds them done, and one that is killed has done nothing. A batch reads again, from
    its first entry, every stream that it touches: in memory are a page of entries, a page of rows and one record.
    """

    def __init__(self, url: str, name: str, batch: int = PAGE) -> None:
        self.name = name
        self.batch = batch
        self.connection = connect(url, name, "consent_projections")

    def behind(self, projections: Iterable[Projection]) -> list[Projection]:
        """Those that have yet to apply some of the log; for the others a batch would be a lock and a commit."""
        with unavailable_as_error(self.name):
            rows = self.connection.execute(statement("select_level", "ledger.projections.sql")).fetchall()
        level = {tables for (tables,) in rows}
        return [projection for projection in projections if projection.tables not in level]

    def advance(self, projection: Projection) -> int:
        """Applies the next batch; how many entries of the log it went on, 0 where it is up to date."""
        with unusable_as_error(projection, self.name), self.connection.transaction():
            return self.step(Tables(self.connection, projection, projection.tables), self.head())

    def step(self, tables: Tables, target: int) -> int:
        """One batch towards `target`, in the transaction that is open."""
        after = tables.lock()
        until = min(target, after + self.batch)
        if until <= after:
            return 0
        tables.apply(after, until)
        tables.move(until)
        return until - after

    def catch_up(self, projection: Projection, told: Told = nobody) -> None:
        """Applies all there is; `told` hears of each batch. While appends go on there is always more: a batch that is
        not full was the last."""
        gone_on = self.batch
        while gone_on == self.batch:
            gone_on = self.advance(projection)
            told(gone_on)

    def head(self) -> int:
        """The highest position of the log."""
        row = self.connection.execute(statement("select_head")).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
