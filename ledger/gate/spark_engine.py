"""The engine for more items than one machine takes: Apache Spark, with the same SQL text (design, section 8).

The items are read where they lie; what is not in them goes through the working folder, which this process and Spark's
workers see by the same path. Parquet is how rows go either way, with DuckDB at this end: no row passes through a
Python process of Spark's, and the workers need nothing of this package.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ledger.errors import Unavailable
from ledger.gate import engine
from ledger.gate.duckdb_engine import Engine as Courier
from ledger.gate.duckdb_engine import write_csv
from ledger.gate.duckdb_text import file_literal, first_line, quoted
from ledger.gate.inputs import Items
from ledger.gate.reading import columns_of
from ledger.gate.spark_reading import check_columns, check_readable, given, kept, spelled
from ledger.gate.spark_session import open_session, told
from ledger.store.statements import statement

#: For the rows on their way, which are streamed; most of the machine is for Spark.
MEMORY = "1GB"
#: What a pattern of Hadoop's would take for more than a letter.
_PATTERN = str.maketrans({letter: f"\\{letter}" for letter in "\\*?[]{}"})
#: Spark's word for the only type of `tables.sql` that the two call differently.
_TYPES = {"VARCHAR": "STRING"}
#: Where a row of the items comes from; no column of an input has such names.
_FILE, _INDEX = "consent: file", "consent: index"


class SparkEngine(engine.Engine):
    """One run's tables, in a database of their own that lies in the working folder."""

    def __init__(self, folder: Path) -> None:
        # Workers know nothing of where this process was started.
        self.folder = folder.resolve()
        self._number = 0
        self._items: tuple[Items, list[tuple[int, int]]] | None = None
        self._columns: dict[str, str] = {}
        self._courier = Courier(self._fresh("courier"), MEMORY)
        self._session, self._is_mine = open_session(self.folder)
        self._database = f"consent_{uuid.uuid4().hex}"
        with told("expected a database in the working folder"):
            self._session.sql(f"CREATE DATABASE {self._database} LOCATION :at", {"at": self._fresh("tables").as_uri()})
            self._session.sql(f"USE {self._database}")
        self.script("macros_spark")
        for (table,) in self._courier.stream("SELECT table_name FROM duckdb_tables()"):
            self.insert(table, [])

    def close(self) -> None:
        self._courier.close()
        with told("expected Spark to end"):
            self._session.sql("USE default")
            self._session.sql(f"DROP DATABASE {self._database} CASCADE")
            if self._is_mine:
                self._session.stop()

    def load(self, items: Items) -> None:
        """Both as views of the files: nothing is copied."""
        check_readable(items)
        self._items = items, items.state()
        self._columns = columns_of(self._courier.connection, items)
        check_columns(self._columns)
        folder = self._fresh("items")
        files = [folder / f"{number:09}.parquet" for number in range(len(items.files))]
        for link, path in zip(files, items.files, strict=True):
            # A name that is no pattern, and that tells which file a row is from.
            link.symlink_to(path.resolve())
        self._view_of_rows("item_file", [("file", "STRING"), ("before", "BIGINT")], self._rows_before(files))
        with told("expected to read the items as parquet", "; put the file right"):
            frame = self._session.read.option("mergeSchema", True).parquet(str(folder).translate(_PATTERN))
            own = [spelled(name) for name in self._columns]
            where = f"_metadata.file_name AS {spelled(_FILE)}", f"_metadata.row_index AS {spelled(_INDEX)}"
            frame.selectExpr(*own, *where).createOrReplaceTempView("item_row")
            row = f'f.before + s.{spelled(_INDEX)} + 1 AS "row"'
            joined = f"item_row s JOIN item_file f ON f.file = s.{spelled(_FILE)}"
            self._view("source", [row, *(f"s.{name}" for name in own)], joined)
            self._view("given", ['"row"', given(self._columns), f"struct({', '.join(own)}) AS own"], "source")

    def _rows_before(self, files: Sequence[Path]) -> Iterator[tuple[str, int]]:
        """Each file's name with the number of rows in those before it, from the files' footers."""
        literals = ", ".join(map(file_literal, files))
        counted = self._courier.stream(f"SELECT file_name, num_rows FROM parquet_file_metadata([{literals}])")  # noqa: S608
        rows = {Path(name).name: int(count) for name, count in counted}
        before = 0
        for file in files:
            yield file.name, before
            before += rows[file.name]

    def columns(self) -> list[str]:
        return [kept(name, kind) for name, kind in self._columns.items() if name != "kind"]

    def script(self, name: str) -> None:
        with told(f"expected the engine to finish {name}"):
            for text in statement(name, "ledger.gate.sql").split(";\n"):
                if text.strip():
                    # Over the files there are temporary views, over which no other kind may be.
                    self._session.sql(text.replace("CREATE VIEW", "CREATE TEMPORARY VIEW"))
        self._check_items()

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        path = self._fresh("rows") / "rows.csv"
        write_csv(path, rows)
        self.copy_in(table, path)
        shutil.rmtree(path.parent)

    def copy_in(self, table: str, path: Path) -> None:
        described = self._courier.connection.execute(f"DESCRIBE {table}").fetchall()
        columns = ", ".join(f"{quoted(str(row[0]))}: {quoted(str(row[1]))}" for row in described)
        rows = f"SELECT * FROM {table}"  # noqa: S608 - the name of a table of ours
        if path.stat().st_size:
            rows = (
                f"SELECT * FROM read_csv({file_literal(path)}, columns = {{{columns}}}, header = false, delim = ',', "  # noqa: S608
                "quote = '\"', escape = '\"', nullstr = '', auto_detect = false)"
            )
        # Under a name of its own each time: a view that was read keeps its files.
        place = self._fresh(table) / "rows.parquet"
        try:
            self._courier.write_parquet(rows, place)
        except duckdb.Error as error:
            raise Unavailable(f"expected the rows of {table}, found: {first_line(error)}") from error
        schema = ", ".join(f"{spelled(str(row[0]))} {_TYPES.get(row[1], row[1])}" for row in described)
        with told(f"expected the rows of {table}"):
            self._session.read.schema(schema).parquet(str(place).translate(_PATTERN)).createOrReplaceTempView(table)

    def stream(self, query: str) -> Iterator[Any]:
        folder = self._fresh("answer")
        try:
            if files := self._write(query, folder):
                yield from self._courier.stream(f"FROM read_parquet([{', '.join(map(file_literal, files))}])")
        finally:
            shutil.rmtree(folder)

    def one(self, query: str) -> tuple[Any, ...]:
        with told("expected an answer from Spark"):
            return tuple(self._session.sql(query).collect()[0])

    def write_parquet(self, query: str, path: Path) -> None:
        folder = self._fresh("written")
        path.mkdir()
        for number, file in enumerate(self._write(query, folder)):
            file.rename(path / f"part-{number:05}.parquet")
        shutil.rmtree(folder)
        self._check_items()

    def _write(self, query: str, folder: Path) -> list[Path]:
        """The rows of a query as files, in the order of their names."""
        with told("expected Spark to write rows"):
            self._session.sql(query).write.mode("overwrite").parquet(str(folder))
        return sorted(folder.glob("part-*.parquet"))

    def _view_of_rows(self, name: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> None:
        spelled_columns = ", ".join(" ".join(column) for column in columns)
        self._courier.connection.execute(f"CREATE TABLE {name} ({spelled_columns})")
        self.insert(name, rows)

    def _view(self, name: str, columns: Sequence[str], rows: str) -> None:
        self._session.sql(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT {', '.join(columns)} FROM {rows}")  # noqa: S608

    def _check_items(self) -> None:
        """What was read again and again must be what was hashed."""
        if self._items is not None:
            items, state = self._items
            items.demand_state(state)

    def _fresh(self, name: str) -> Path:
        """A folder that nobody had before."""
        self._number += 1
        folder = self.folder / f"{self._number}-{name}"
        folder.mkdir()
        return folder
