"""The named SQL files of a package, each one statement, read once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str, package: str = "ledger.store.sql") -> str:
    """The text of `name`.sql; literal, as far as psycopg is concerned: it is part of the program."""
    return files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
