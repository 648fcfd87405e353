"""`--help` of everything: it answers, and it loads nothing that a database or a gate needs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from cli.main import COMMANDS
from tests.cli.conftest import ROOT, SECONDS

HEAVY = ("psycopg", "psycopg_pool", "duckdb", "eventsourcing", "rich", "ledger.store", "ledger.application")

#: Asks every command and subcommand for help in one process, and says after each what has been loaded so far.
_PROBE = """
import contextlib, io, json, sys
import click
from cli.main import consent, run

def ask(command, path):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = run([*path, "--help"])
    print(json.dumps({"path": path, "status": status, "help": out.getvalue(), "loaded": sorted(sys.modules)}))
    if isinstance(command, click.Group):
        for name in command.list_commands(None):
            ask(command.get_command(None, name), [*path, name])

ask(consent, [])
"""


@pytest.fixture(scope="module")
def answers() -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_command_and_subcommand_has_help(answers: list[dict[str, Any]]) -> None:
    asked = {tuple(answer["path"]) for answer in answers}
    assert {(name,) for name in COMMANDS} < asked
    assert {("terms", "publish"), ("record", "accepted"), ("projections", "rebuild")} < asked
    for answer in answers:
        assert answer["status"] == 0, answer["path"]
        assert answer["help"].startswith(f"Usage: {' '.join(['consent', *answer['path']])} "), answer["path"]


def test_help_loads_no_database_and_no_gate(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        loaded = [name for name in answer["loaded"] if name.startswith(HEAVY)]
        assert not loaded, f"consent {' '.join(answer['path'])} --help loads {loaded[:3]}"


def test_the_first_help_loads_no_command(answers: list[dict[str, Any]]) -> None:
    assert answers[0]["path"] == []
    assert not {module for module, _ in COMMANDS.values()} & set(answers[0]["loaded"])


def test_every_command_says_what_it_does_and_every_option_what_it_is_for(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        usage, _, rest = answer["help"].partition("\n\n")
        assert rest.strip(), usage
        assert "Options:" in rest
