"""The released items read back: of each use the leaves of its manifest (FORMATS.md, section 6)."""

from __future__ import annotations

from pathlib import Path

import duckdb

from ledger.domain.times import format_time
from ledger.errors import InvalidInput, Unavailable
from ledger.gate.duckdb_text import file_literal, first_line
from ledger.gate.micros import moment_of
from ledger.gate.reading import as_micros, as_name
from ledger.proof.manifests import Leaf, leaf_of

_COLUMNS = ("item", "collected_at", "kind", "stream", "use")


def released_leaves(file: Path, stream: str) -> dict[int, list[Leaf]]:
    """Of one subject's items in a `permitted.parquet`: version of the use → its leaves, each once, in their order."""
    by_use: dict[int, set[Leaf]] = {}
    try:
        with duckdb.connect() as engine:
            engine.execute("SET TimeZone = 'UTC'")
            rows = engine.execute(
                f"SELECT item, collected, kind, use FROM ({picked_items(engine, file)}) WHERE stream = ?",  # noqa: S608
                [stream],
            )
            for item, collected, kind, use in rows.fetchall():
                by_use.setdefault(int(use), set()).add((item, format_time(moment_of(collected)), kind))
    except duckdb.Error as error:
        raise Unavailable(f"expected to read released items at {file}, found: {first_line(error)}") from None
    return {use: sorted(leaves, key=leaf_of) for use, leaves in sorted(by_use.items())}


def picked_items(engine: duckdb.DuckDBPyConnection, file: Path) -> str:
    """The query for the items in a `permitted.parquet`, each with its stream and use; `collected` in microseconds."""
    reader, types = reader_of(engine, file)
    if missing := [name for name in _COLUMNS if name not in types]:
        raise InvalidInput(
            f"expected a permitted.parquet at {file}, found no column {', '.join(missing)}; "
            "name the file that `consent filter` wrote"
        )
    collected = f"{as_micros(types['collected_at'])} AS collected"
    return f"SELECT {as_name(types, 'item')}, {collected}, kind, stream, use FROM {reader}"  # noqa: S608 - our text


def reader_of(engine: duckdb.DuckDBPyConnection, *files: Path) -> tuple[str, dict[str, str]]:
    """The table function that reads Parquet files, or folders of them, and the columns it gives with their types."""
    parts = ", ".join(file_literal(part) for file in files for part in _parts(file))
    reader = f"read_parquet([{parts}], hive_partitioning = false)"
    return reader, {str(row[0]): str(row[1]) for row in engine.execute(f"DESCRIBE FROM {reader}").fetchall()}


def _parts(file: Path) -> list[Path]:
    """The files that the engine wrote: Spark writes a folder of them."""
    return (sorted(file.glob("*.parquet")) if file.is_dir() else []) or [file]
