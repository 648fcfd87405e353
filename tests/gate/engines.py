"""The gate's engines side by side: what one suite of tests asks of each, and a Spark of the tests' own."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from ledger.gate.duckdb_text import file_literal
from ledger.gate.engine import Engine
from ledger.gate.engines import SPARK, opening
from tests.needed import leave_out

#: For a Spark of seconds the better compiler, and more threads that collect garbage, cost more than they save.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: Rows that make a test say something need no more.
_CONF = {
    "spark.master": "local[2]",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": QUICK_JAVA,
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.log.level": "ERROR",
}


def missing() -> str | None:
    """What Spark lacks here."""
    if importlib.util.find_spec("pyspark") is None:
        return "no pyspark: run `make spark`"
    return None if shutil.which("java") else "no Java: install `openjdk-17-jre-headless`"


def demand_spark() -> None:
    """Leaves a test out where Spark lacks something."""
    if (reason := missing()) is not None:
        leave_out(reason)


@cache
def spark() -> None:
    """Starts Spark once for the whole process; the engines take what runs. It ends with the process."""
    demand_spark()
    from pyspark import SparkConf, SparkContext

    SparkContext(conf=SparkConf().setAll(list(_CONF.items())))


@contextmanager
def opened(name: str, folder: Path) -> Iterator[Engine]:
    """An engine in a folder of its own."""
    if name == SPARK:
        spark()
    folder.mkdir(parents=True)
    with opening(name)(folder) as engine:
        yield engine


def files_of(out: Path) -> list[Path]:
    """The files of one output, in their order: DuckDB writes one, Spark a folder."""
    return sorted(out.glob("*.parquet")) if out.is_dir() else [out]


def checksum(out: Path, leave_out: str = "use") -> tuple[int, str]:
    """The rows of an output, and one hash over them in their order; of all columns but one.

    A run's uses lie where the run before has put none: their versions are what two runs differ in.
    """
    reader = f"read_parquet([{', '.join(map(file_literal, files_of(out)))}])"
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        columns = [row[0] for row in engine.execute(f"DESCRIBE FROM {reader}").fetchall() if row[0] != leave_out]
        row = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
        query = f"SELECT count(*), md5(string_agg(md5(CAST(({row}) AS VARCHAR)), '' ORDER BY n))"
        found: Any = engine.execute(f"{query} FROM (SELECT *, row_number() OVER () AS n FROM {reader})").fetchone()
    return int(found[0]), str(found[1])
