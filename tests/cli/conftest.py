"""The command line, as its users run it: a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ledger.settings import Place

ROOT = Path(__file__).parents[2]
#: Until a test gives up on a command; none needs a tenth of it.
SECONDS = 120

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


def run(
    *arguments: str | Path,
    place: Place | None = None,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """`consent ARGUMENTS…` on the ledger at `place`, with `env` over this process's environment."""
    environment = {**os.environ, **(env or {})}
    if place is not None:
        environment |= {"CONSENT_LEDGER": place.url or str(place.directory), "CONSENT_STATE": str(place.state)}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture
def run_cli() -> RunCli:
    return run


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> RunCli:
    """The same in this process: for tests that ask much, of what a process of its own cannot change."""

    def run(*arguments: str | Path, place: Place | None = None) -> subprocess.CompletedProcess[str]:
        from cli.main import run as consent

        if place is not None:
            monkeypatch.setenv("CONSENT_LEDGER", place.url or str(place.directory))
            monkeypatch.setenv("CONSENT_STATE", str(place.state))
        # As strict about text as the streams of a process.
        out, err = (
            io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=how) for how in ("strict", "backslashreplace")
        )
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = consent([str(argument) for argument in arguments])
        written = []
        for stream in (out, err):
            stream.seek(0)
            written.append(stream.read())
        return subprocess.CompletedProcess(arguments, status, *written)

    return run
