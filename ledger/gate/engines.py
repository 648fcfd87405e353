"""The engines by their names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

from ledger.gate.engine import Engine

DUCKDB, SPARK = ENGINES = ("duckdb", "spark")
#: Opens an engine that works in a folder of its own.
Opening = Callable[[Path], AbstractContextManager[Engine]]


def opening(name: str) -> Opening:
    """How the engine of this name is opened; what it needs is imported only now."""
    if name == SPARK:
        from ledger.gate.spark_engine import SparkEngine
        from ledger.gate.spark_session import check_installed

        check_installed()
        return lambda folder: closing(SparkEngine(folder))
    from ledger.gate.duckdb_engine import Engine as DuckDBEngine

    return lambda folder: closing(DuckDBEngine(folder))
