"""One projection's tables in one PostgreSQL schema, and the row of `ledger.projection` that says where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from ledger.domain.names import TERMS_STREAM
from ledger.errors import Unavailable
from ledger.projections.fold import Published, rows_of
from ledger.projections.projection import Projection, Row
from ledger.store.database import Connection, one_line, unavailable_as_error
from ledger.store.statements import statement

#: Entries or rows that one statement reads or writes: its round trip does not count, and it fits in memory.
PAGE = 5_000


def composed(name: str, projection: Projection, schema: str) -> sql.Composed:
    """The statement `sql/name.sql` over the projection's table in that schema."""
    columns = projection.columns
    return sql.SQL(statement(name, "ledger.projections.sql")).format(
        tables=sql.Identifier(schema),
        table=sql.Identifier(schema, projection.table),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        key=sql.SQL(", ").join(map(sql.Identifier, projection.key)),
        new=sql.SQL(", ").join(sql.Identifier("excluded", column) for column in columns),
    )


@contextmanager
def unusable_as_error(projection: Projection, name: str) -> Iterator[None]:
    """What PostgreSQL says of tables that are not there, or not as this program makes them, as one sentence."""
    try:
        with unavailable_as_error(name):
            yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn) as error:
        raise Unavailable(
            f"expected the tables of {projection.name} as this program makes them, found: {one_line(error)}; "
            f"run `consent projections rebuild {projection.name}`"
        ) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise Unavailable(
            f"expected to make and fill the tables of {projection.name} as consent_projections, found: "
            f"{one_line(error)}; ask the owner for GRANT CREATE ON DATABASE"
        ) from None


class Tables:
    """The tables of `projection` in `schema`: the live ones, or others beside them."""

    def __init__(self, connection: Connection, projection: Projection, schema: str) -> None:
        self._connection = connection
        self.projection = projection
        self.schema = schema

    def lock(self) -> int:
        """Their position, locked until the transaction ends; makes them where they are missing."""
        found = self._run("lock_position").fetchone()
        if found is None:
            if self.stand_at(0):
                self.create()
                self.index()
            found = self._run("lock_position").fetchone()
        assert found is not None  # noqa: S101 - it was there, or was made, by us or by whoever we waited for
        return int(found[0])

    def position(self) -> int | None:
        """Their position, as of now; None where they were never made."""
        found = self._run("select_position").fetchone()
        return int(found[0]) if found else None

    def create(self) -> None:
        """Empty tables, which the service may read. Before they `stand_at` a position nobody takes them for filled."""
        for name in ("create_schema", self.projection.table, "grant_reading"):
            self._define(name)

    def index(self) -> None:
        """Their key and indexes: before the first batch, or after they were filled."""
        self._define("index")

    def stand_at(self, position: int) -> bool:
        """Gives tables without a position one; False where somebody else did a moment before."""
        return self._run("insert_position", position=position).rowcount == 1

    def drop(self) -> None:
        """These tables, and their position; none there is fine."""
        self._run("delete_position")
        self._define("drop_schema")

    def move(self, position: int, kept_from: int | None = None) -> None:
        """Says where the tables stand now, and from where on subscribers may go on, if that changed."""
        self._run("move_position", position=position, kept_from=kept_from)

    def apply(self, after: int, until: int) -> None:
        """Takes in the entries after one position and up to another; to be called in a transaction."""
        published = self.published(until)
        with self._connection.cursor("touched", binary=True) as entries:
            entries.itersize = PAGE
            entries.execute(
                composed("select_touched", self.projection, self.schema),
                {
                    "after": after,
                    "until": until,
                    "since": 0 if self.projection.remembers else after,
                    "topics": self.projection.topics,
                },
            )
            self.write(rows_of(self.projection, entries, published, after))

    def published(self, until: int) -> Published:
        """The terms up to a position."""
        return Published(self._run("select_terms", stream=TERMS_STREAM, until=until).fetchall())

    def write(self, rows: Iterable[Row]) -> None:
        """Puts rows in, each over the one of the same key."""
        pending = iter(rows)
        while page := list(islice(pending, PAGE)):
            self._run("write_rows", rows=msgspec.json.encode(page).decode())

    def fill(self, rows: Iterable[Row]) -> None:
        """Puts rows, each of a key of its own, into tables that have no indexes yet."""
        types = dict(self._run("select_types", table=f"{self.schema}.{self.projection.table}").fetchall())
        copying = composed("copy_rows", self.projection, self.schema)
        pending = iter(rows)
        # A COPY a page: the pages of the log come over the same connection.
        while page := list(islice(pending, PAGE)):
            with self._connection.cursor().copy(copying) as copy:
                copy.set_types([types[column] for column in self.projection.columns])
                for row in page:
                    copy.write_row(msgspec.structs.astuple(row))

    def count(self) -> tuple[int, int]:
        """How many rows stand, and how many are gone."""
        standing, gone = self._run("count_rows").fetchone() or (0, 0)
        return standing, gone

    def _run(self, name: str, **parameters: Any) -> psycopg.Cursor[Any]:
        statement_ = composed(name, self.projection, self.schema)
        return self._connection.execute(statement_, {"tables": self.schema, **parameters})

    def _define(self, name: str) -> None:
        # Several statements in one, which no prepared statement can be.
        self._connection.execute(composed(name, self.projection, self.schema), prepare=False)
