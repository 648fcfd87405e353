"""The training loader's guard: only those items pass whose use by the run is proven to be in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import duckdb

from ledger.client.proven_items import ProvenItems
from ledger.domain.times import format_time, parse_given_time
from ledger.errors import InvalidInput, NotVerified, Unavailable
from ledger.gate.duckdb_text import first_line
from ledger.gate.micros import moment_of
from ledger.gate.reading import as_micros, as_name
from ledger.gate.released import reader_of
from ledger.proof.manifests import Leaf, leaf_of
from ledger.store.statements import statement

#: `raise`: the loop ends with the first item that is not proven. `drop`: it goes on without, and they are counted.
Unproven = Literal["raise", "drop"]

T = TypeVar("T")
#: Rows fetched at once.
FETCH = 1_000
#: What the engine may hold of a file on its way through, beside the rows that are fetched.
MEMORY = "256MB"
_NEEDED = ("item", "collected_at", "kind")
_MOMENTS = "TIMESTAMP WITH TIME ZONE"


def leaf_in(row: Mapping[str, Any]) -> Leaf:
    """Which item a row with the gate's columns is: `item`, `collected_at`, `kind`."""
    name, collected = row["item"], row["collected_at"]
    if isinstance(collected, datetime):
        if collected.tzinfo is None:
            raise InvalidInput("expected a time with an offset, found one without")
    else:
        collected = parse_given_time(collected)
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise InvalidInput("expected an item's name, found another value")
    return str(name), format_time(collected), row["kind"]


class Guard:
    """One run's guard. It proves the use of an item by its name, time and kind: what the item's content is, the log
    does not know. For one thread; any number of guards may share what was proven."""

    def __init__(self, proven: ProvenItems, *, unproven: Unproven) -> None:
        if unproven not in ("raise", "drop"):
            raise InvalidInput(f"expected raise or drop for items that are not proven, found {unproven!r}")
        self._proven = proven
        self._unproven = unproven
        self.passed = 0
        self.dropped = 0

    def items(self, items: Iterable[T], leaf: Callable[[Any], Leaf] = leaf_in) -> Iterator[T]:
        """The proven ones, in their order, as they are asked for.

        `leaf` says which item one is: its name, its time as entries write it, its kind.
        """
        for one in items:
            try:
                found = leaf_of(leaf(one))
            except (ValueError, TypeError, LookupError, AttributeError, InvalidInput):
                found = None  # what has no leaf is in no manifest
            if self._passes(found):
                yield one

    def rows(self, *files: Path) -> Iterator[dict[str, Any]]:
        """The proven rows of Parquet files, or of folders of them, in their order; moments in UTC."""
        with _reading(files) as (rows, names, moments):
            for leaf, *values in rows:
                if self._passes(None if leaf is None else leaf.encode()):
                    row = dict(zip(names, values, strict=True))
                    for name in moments:
                        row[name] = None if row[name] is None else moment_of(row[name])
                    yield row

    def _passes(self, leaf: bytes | None) -> bool:
        if leaf is not None and self._proven.has(leaf):
            self.passed += 1
            return True
        if self._unproven == "raise":
            what = "one without a name, time and kind" if leaf is None else leaf.decode()
            raise NotVerified(
                f"expected items whose use by run {self._proven.run} is in the log, found {what}; "
                "train on what `consent filter` released, and on nothing else"
            )
        self.dropped += 1
        return False


@contextmanager
def _reading(files: Iterable[Path]) -> Iterator[tuple[Iterator[tuple[Any, ...]], list[str], list[str]]]:
    """The rows, each with its leaf before it; the names of the columns, and of those that hold moments."""
    try:
        with duckdb.connect(config={"memory_limit": MEMORY, "autoinstall_known_extensions": False}) as engine:
            engine.execute("SET TimeZone = 'UTC'")
            engine.execute("SET enable_progress_bar = false")
            engine.execute(statement("macros", "ledger.gate.sql"))
            reader, types = reader_of(engine, *files)
            if missing := [name for name in _NEEDED if name not in types]:
                raise InvalidInput(
                    f"expected the columns {', '.join(_NEEDED)}, found no {', '.join(missing)}: without them no item "
                    "is proven"
                )
            moments = [name for name, kind in types.items() if kind == _MOMENTS]
            engine.execute(_query(reader, types))
            yield _fetched(engine), list(types), moments
    except duckdb.Error as error:
        raise Unavailable(f"expected to read the items of the training loop, found: {first_line(error)}") from None


def _query(reader: str, types: dict[str, str]) -> str:
    # By numbers, for a column of a loop's may be called as one of those that the leaf is made of.
    columns = ", ".join(f'{_column(name, kind)} AS "{number}"' for number, (name, kind) in enumerate(types.items()))
    return statement("given", "ledger.client.sql").format(
        item=as_name(types, "item"), collected=as_micros(types["collected_at"]), columns=columns, reader=reader
    )


def _column(name: str, kind: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    # The engine hands moments out only where a package for time zones is installed.
    return f"epoch_us({column})" if kind == _MOMENTS else column


def _fetched(engine: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := engine.fetchmany(FETCH):
        yield from rows
