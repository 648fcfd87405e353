"""The default engine: DuckDB in a working folder, spilling to disk what memory does not hold."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ledger.errors import Unavailable
from ledger.gate import engine
from ledger.gate.duckdb_text import first_line, quoted
from ledger.gate.inputs import Items
from ledger.gate.reading import kept, load
from ledger.store.statements import statement

#: Rows fetched at once: a round trip into the engine costs more than holding these.
FETCH = 10_000
#: Of the machine's or the container's memory: the ledger's own server, and the files it reads through the system's
#: cache, want the rest. What does not fit is spilled.
MEMORY = "50%"


class Engine(engine.Engine):
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

    def load(self, items: Items) -> None:
        load(self.connection, items)

    def columns(self) -> list[str]:
        described = self.connection.execute("DESCRIBE source").fetchall()
        return [kept(str(row[0]), str(row[1])) for row in described if row[0] not in ("row", "kind")]

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Through a file, which the engine reads far faster than it takes parameters."""
        path = self.folder / f"{table}.csv"
        write_csv(path, rows)
        self.copy_in(table, path)
        path.unlink()

    def copy_in(self, table: str, path: Path) -> None:
        self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - the name of a table of ours
        if path.stat().st_size:
            self.connection.execute(
                f"COPY {table} FROM {quoted(str(path))} "
                "(FORMAT csv, HEADER false, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR '', AUTO_DETECT false)"
            )

    def stream(self, query: str) -> Iterator[Any]:
        """Fetched as they are asked for, on a cursor of its own."""
        cursor = self.connection.cursor()
        try:
            cursor.execute(query)
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
        self.connection.execute(f"COPY ({query}) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)")


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Rows as `copy_in` takes them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
