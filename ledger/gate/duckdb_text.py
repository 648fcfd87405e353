"""What is said to DuckDB and what it says, as text: names of files in its SQL, and its errors in a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

_PATTERN = re.compile(r"[*?\[]")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def file_literal(path: Path) -> str:
    """A file to read.

    The engine takes every name for a pattern: `a[1].csv` must not be read as `a1.csv`, which nobody named.
    """
    return quoted(_PATTERN.sub(r"[\g<0>]", str(path)))


def first_line(error: duckdb.Error) -> str:
    """What the engine says, as part of a sentence; after its first line it shows the query."""
    said = str(error).splitlines()[0].strip()
    return said.partition("Error: ")[2] or said
