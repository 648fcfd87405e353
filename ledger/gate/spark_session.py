"""A Spark session for the gate: the one that is running, else a new one as Spark itself is configured.

Where the work is done is Spark's own configuration, as `spark-submit` reads it: `PYSPARK_SUBMIT_ARGS`, or
`spark-defaults.conf` in `SPARK_CONF_DIR`. Without any it is this machine, and then nothing listens but on loopback.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger.errors import Unavailable

#: What the SQL text of the gate means: of the session, so that a session that others use keeps its own.
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    # A pattern's backslashes are the pattern's, as in standard SQL.
    "spark.sql.parser.escapedStringLiterals": "true",
    # `Exclude` is not `exclude`.
    "spark.sql.caseSensitive": "true",
    # Each CREATE TABLE is Parquet.
    "spark.sql.sources.default": "parquet",
    "spark.sql.parquet.compression.codec": "zstd",
    # Times as they stand in the files, whatever the year.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    # Spark refuses nanoseconds otherwise.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
}
#: Whoever set one of these has a Spark of their own, and its log where they want it.
_CONFIGURED = ("SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "SPARK_SUBMIT_OPTS")
#: Of a driver that also does the work. Whatever else sets it comes before this: it is the lowest of all settings.
_MEMORY = ("SPARK_DRIVER_MEMORY", "2g")
#: For Spark on this machine: who listens there needs no name, and nobody watches its pages.
_ALONE = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def check_installed() -> None:
    """Says in one sentence what is missing, if anything is."""
    try:
        import pyspark  # noqa: F401
    except ImportError:
        raise Unavailable(
            "expected pyspark for --engine spark, found none; install the extra `spark` of consent-ledger, or leave "
            "out --engine"
        ) from None
    home = os.environ.get("JAVA_HOME")
    if shutil.which(str(Path(home) / "bin" / "java") if home else "java") is None:
        raise Unavailable(
            f"expected Java 17 or newer for --engine spark, found none{f' in {home}' if home else ''}; install it "
            "(Debian and Ubuntu: apt-get install openjdk-17-jre-headless), or leave out --engine"
        )


def open_session(folder: Path) -> tuple[Any, bool]:
    """A session with the gate's settings, and whether its context was started for it, and so is to be stopped.

    Unless Spark is configured, what it says to its user goes into a file in `folder`.
    """
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    is_new = SparkContext._active_spark_context is None
    if is_new:
        _start(folder)
    session = SparkSession.builder.getOrCreate().newSession()
    for name, value in SETTINGS.items():
        session.conf.set(name, value)
    return session, is_new


def _start(folder: Path) -> None:
    from pyspark import SparkConf, SparkContext

    if SparkContext._gateway is None:
        os.environ.setdefault(*_MEMORY)
        _launch(folder)
    conf = SparkConf()
    master = conf.get("spark.master", "local[*]")
    conf.set("spark.master", master).setIfMissing("spark.app.name", "consent filter")
    if str(master).startswith("local"):
        for name, value in _ALONE.items():
            conf.setIfMissing(name, value)
    with told(f"expected a Spark session at {master}"):
        SparkContext(conf=conf)


def _launch(folder: Path) -> None:
    """The Java process, whose standard error is this one's only where somebody configured Spark."""
    from pyspark import SparkContext
    from pyspark.java_gateway import launch_gateway

    with told("expected Java 17 or newer to start for --engine spark", "; check `java -version`"):
        if any(name in os.environ for name in _CONFIGURED):
            gateway = launch_gateway()
        else:
            with (folder / "spark.log").open("wb") as log:
                gateway = launch_gateway(popen_kwargs={"stderr": log})
        SparkContext._ensure_initialized(gateway=gateway)


@contextmanager
def told(expected: str, advice: str = "") -> Iterator[None]:
    """Turns what Spark, or Java behind it, throws into a sentence that begins as `expected` does."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("pyspark", "py4j"):
            raise
        raise Unavailable(f"{expected}, found: {_first_line(error)}{advice}") from error


def _first_line(error: Exception) -> str:
    """What was thrown, as part of a sentence: of a Java exception its message, and neither query nor stack."""
    java = getattr(error, "java_exception", None)
    said = str(java.getMessage() if java is not None else error).strip()
    return (said.splitlines() or [type(error).__name__])[0].strip()
