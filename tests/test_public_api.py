"""`import ledger` is the public API, and loads nothing before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ledger


def test_every_public_name_is_there() -> None:
    for name in ledger.__all__:
        assert getattr(ledger, name).__name__ == name


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ledger.nothing  # noqa: B018 - to look is the test


def test_the_rules_load_no_database() -> None:
    program = "import sys, ledger; ledger.judge_item; print([m for m in ('psycopg', 'duckdb') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
