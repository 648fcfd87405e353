"""The default engine: DuckDB in a working folder, spilling to disk what memory does not hold."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ledger.errors import Unavailable
from ledger.store.statements import statement

#: Rows fetched at once: a round trip into the engine costs more than holding these.
FETCH = 10_000
_STEPS = ("items", "decisions", "intervals", "spans", "records", "verdicts")


class Engine:
    """One run's tables. `folder` holds the database and what is spilled; it is thrown away afterwards."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.connection = duckdb.connect(str(folder / "gate.duckdb"))
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET preserve_insertion_order = true")
        self.connection.execute("SET temp_directory = ?", [str(folder / "spilled")])
        self.script("macros")
        self.script("tables")

    def close(self) -> None:
        self.connection.close()

    def script(self, name: str) -> None:
        """Runs one of the gate's SQL files."""
        try:
            self.connection.execute(statement(name, "ledger.gate.sql"))
        except duckdb.Error as error:
            raise Unavailable(f"expected the engine to finish {name}, found: {str(error).splitlines()[0]}") from error

    def decide(self) -> Iterator[str]:
        """Runs the steps from items to verdicts, naming each as it begins."""
        for step in _STEPS:
            yield step
            self.script(step)

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Fills a table through a file, which the engine reads far faster than it takes parameters."""
        path = self._folder / f"{table}.csv"
        count = 0
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for row in rows:
                writer.writerow(["\\N" if value is None else value for value in row])
                count += 1
        if count:
            self.copy_in(table, path)
        path.unlink()

    def copy_in(self, table: str, path: Path) -> None:
        self.connection.execute(
            f"COPY {table} FROM '{_escaped(path)}' "
            "(FORMAT csv, HEADER false, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR '\\N', AUTO_DETECT false)"
        )

    def stream(self, query: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, fetched as they are asked for, on a cursor of its own."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(query, parameters)
            while rows := cursor.fetchmany(FETCH):
                yield from rows
        finally:
            cursor.close()

    def one(self, query: str) -> tuple[Any, ...]:
        row = self.connection.execute(query).fetchone()
        assert row is not None  # noqa: S101 - aggregates without groups have one row
        return tuple(row)

    def write_parquet(self, query: str, path: Path) -> None:
        """One whole file, the same bytes for the same rows."""
        self.connection.execute(f"COPY ({query}) TO '{_escaped(path)}' (FORMAT parquet, COMPRESSION zstd)")


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
