"""Named SQL: each file one statement that PostgreSQL understands, and that somebody asks for."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

import ledger
from ledger.settings import Place
from ledger.store.statements import statement
from tests import builders as b

NAMES = sorted(path.name.removesuffix(".sql") for path in files("ledger.store.sql").iterdir() if ".sql" in path.name)


@pytest.mark.parametrize("name", NAMES)
def test_somebody_asks_for_it(name: str) -> None:
    sources = Path(ledger.__file__).parent.rglob("*.py")
    assert any(f'"{name}"' in source.read_text() for source in sources)
    assert statement(name).startswith("-- "), "a statement says what it is for"


def test_the_database_understands_them(ledger_place: Place) -> None:
    with b.admin(ledger_place) as admin:
        for name in NAMES:
            text = re.sub(r"%\(\w+\)[bs]", "NULL", re.sub(r"^--.*$", "", statement(name), flags=re.MULTILINE)).strip()
            assert ";" not in text
            # What is composed, and COPY, which nothing prepares, their own tests run.
            if "{" not in text and not text.startswith("COPY"):
                admin.execute(f"PREPARE s AS {text}")
                admin.execute("DEALLOCATE s")
