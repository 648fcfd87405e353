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
#: Of the machine's or the container's memory: the ledger's own server, and the files it reads through the system's
#: cache, want the rest. What does not fit is spilled.
MEMORY = "50%"
_STEPS = ("decisions", "intervals", "spans", "records", "verdicts")


class Engine:
    """One run's tables. `folder` takes what is spilled, and files on their way; it is thrown away afterwards."""

    def __init__(self, folder: Path, memory: str = MEMORY) -> None:
        self.folder = folder
        self.connection = duckdb.connect(
            # In memory, which spills just as well: tables that nobody opens again need no log and no compression.
            ":memory:",
            config={
                "memory_limit": memory,
                "preserve_insertion_order": True,
                "temp_directory": str(folder / "spilled"),
                # What a file holds must never make the gate fetch code from somewhere.
                "autoinstall_known_extensions": False,
            },
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        # It would be drawn on standard output, whether or not that is a terminal.
        self.connection.execute("SET enable_progress_bar = false")
        self.script("macros")
        self.script("tables")

    def close(self) -> None:
        self.connection.close()

    def script(self, name: str) -> None:
        """Runs one of the gate's SQL files."""
        try:
            self.connection.execute(statement(name, "ledger.gate.sql"))
        except duckdb.Error as error:
            raise Unavailable(f"expected the engine to finish {name}, found: {first_line(error)}") from error

    def decide(self) -> Iterator[str]:
        """Runs the steps from items to verdicts, naming each as it begins."""
        for step in _STEPS:
            yield step
            self.script(step)

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Fills a table through a file, which the engine reads far faster than it takes parameters."""
        path = self.folder / f"{table}.csv"
        count = 0
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for row in rows:
                writer.writerow(row)
                count += 1
        if count:
            self.copy_in(table, path)
        path.unlink()

    def copy_in(self, table: str, path: Path) -> None:
        """Fills a table from CSV; what is empty there is NULL."""
        self.connection.execute(
            f"COPY {table} FROM '{_escaped(path)}' "
            "(FORMAT csv, HEADER false, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR '', AUTO_DETECT false)"
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


def first_line(error: duckdb.Error) -> str:
    """What the engine says, as part of a sentence; after its first line it shows the query."""
    said = str(error).splitlines()[0].strip()
    return said.partition("Error: ")[2] or said


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
