"""What the gate asks of an engine: tables, the steps of `sql/` over them, and the rows that come out.

Two have it, and one suite of tests holds both to the same verdicts: DuckDB, in this process, and Spark, for more items
than one machine takes. Whatever decides is SQL text that both run unchanged; what they spell differently is named once
in `macros.sql` and `macros_spark.sql`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ledger.gate.inputs import Items

#: The steps from the items, and the people's entries, to the verdicts; each a file of `sql/`.
STEPS = ("decisions", "intervals", "records", "spans", "verdicts")


class Engine(Protocol):
    """One run's tables, in a working folder that is thrown away afterwards."""

    folder: Path

    def load(self, items: Items) -> None:
        """Makes `given`: a row's number, from 1 in input order, what the gate reads, and all columns as `own`."""

    def columns(self) -> list[str]:
        """The input's own columns but `kind`, each as SQL that takes it from `own`, by its name."""

    def script(self, name: str) -> None:
        """Runs one of the gate's SQL files, whose statements give no rows."""

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Makes rows all that a table of `tables.sql` holds."""

    def copy_in(self, table: str, path: Path) -> None:
        """The same with the rows of a CSV file; what is empty there is NULL."""

    def stream(self, query: str) -> Iterator[Any]:
        """The rows of a query in their order, with few of them in this process's memory."""

    def decide(self) -> Iterator[str]:
        """Runs the steps from items to verdicts, naming each as it begins."""
        for step in STEPS:
            yield step
            self.script(step)

    def one(self, query: str) -> tuple[Any, ...]:
        """The only row of a query."""

    def write_parquet(self, query: str, path: Path) -> None:
        """The rows of a query, in their order: as one file, or as a folder of files whose names are in this order."""
