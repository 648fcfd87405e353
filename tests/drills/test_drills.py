"""The tamper drills, through the command line: each refused with one sentence, and its twin accepted."""

from __future__ import annotations

import filecmp
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import RunCli
from tests.drills.make import CASES, make

NAMES = sorted(path.name for path in CASES.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_drill_is_answered_in_one_sentence(name: str, run_here: RunCli) -> None:
    folder = CASES / name
    case = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
    arguments = [str(folder / word) if (folder / word).is_file() else word for word in case["arguments"]]
    done = run_here("verify", *arguments)
    said = done.stdout + done.stderr
    assert done.returncode == case["status"], said
    assert case["says"] in said, said
    assert "Traceback" not in said
    if name.endswith("_fail") and not done.stdout:
        assert done.stderr.count("\n") == 1


def test_there_are_enough_of_them() -> None:
    assert sum(name.endswith("_fail") for name in NAMES) >= 50


def test_the_drills_are_those_that_are_made(tmp_path: Path) -> None:
    make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES
    for name in NAMES:
        files = sorted(path.name for path in (tmp_path / name).iterdir())
        assert files == sorted(path.name for path in (CASES / name).iterdir())
        _, differing, unreadable = filecmp.cmpfiles(tmp_path / name, CASES / name, files, shallow=False)
        assert not differing, f"{name}: make the drills again"
        assert not unreadable
