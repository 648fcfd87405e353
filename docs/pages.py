"""The pages whose commands are run: `python docs/pages.py` types them and writes down the answers; a test compares.

A page is one session: its ```console blocks are typed in order, in a folder with a copy of `examples/`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/operating.md", "docs/integrating.md")
SECONDS_A_COMMAND = 120

# What differs from run to run: ids and digests, the ledger's own times, places, and how wide a table came out.
_VARYING = [
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "<hex>"),
    (re.compile(r"\bconsent_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"), "<token>"),
    (re.compile(r"20(2[6-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d\.\d*[1-9]\d*Z"), "<now>"),
    (re.compile(r"[A-Za-z0-9+/]{43,}={0,2}"), "<base64>"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "<key>"),
    (re.compile(r"[─━]+"), "-"),
    (re.compile(r" +"), " "),
]


@dataclass
class Step:
    """One command of a page, and what stands below it."""

    line: int
    command: str
    shown: list[str] = field(default_factory=list)


def steps_of(page: str) -> list[Step]:
    """The commands of a page, in order."""
    steps: list[Step] = []
    inside = False
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            steps.append(Step(number, line[2:]))
        elif inside and steps:
            steps[-1].shown.append(line)
    return steps


def session(folder: Path) -> dict[str, str]:
    """An environment in which `consent` and `python` are this checkout's; nothing else of the user's is in the way."""
    folder.chmod(0o755)
    shutil.copytree(ROOT / "examples", folder / "examples")
    binaries = folder / "bin"
    binaries.mkdir()
    for name, module in (("consent", " -m cli.main"), ("python", "")):
        binary = binaries / name
        binary.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{module} "$@"\n', encoding="utf-8")
        binary.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONSENT_")}
    return {**kept, "PATH": f"{binaries}:{kept['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def answer(step: Step, folder: Path, environment: dict[str, str]) -> str:
    """What a command says, on both channels."""
    done = subprocess.run(
        ["bash", "-c", f"{step.command} 2>&1"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS_A_COMMAND,
        check=False,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip("\n")


def masked(text: str) -> list[str]:
    """The lines of an answer, without what differs from run to run."""
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def rewritten(page: str) -> Iterator[str]:
    """A page's lines, with today's answers below its commands."""
    with tempfile.TemporaryDirectory(prefix="consent-page-") as name:
        folder = Path(name)
        environment = session(folder)
        answers = {step.line: answer(step, folder, environment) for step in steps_of(page)}
    inside = False
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
        if not inside or line.startswith(("```", "$ ")):
            yield line
        if answers.get(number):
            yield answers[number]


if __name__ == "__main__":
    for written in PAGES:
        lines = list(rewritten(written))
        (ROOT / written).write_text("\n".join(lines) + "\n", encoding="utf-8")
