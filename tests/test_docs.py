"""What the README and the docs tell people to type is typed here, and must answer what they show."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Pages with ```console blocks: each page is one session, in a folder of its own beside a copy of `examples/`.
PAGES = ["README.md", "docs/operating.md"]

# What differs from run to run: ids and digests, the ledger's own times, and how a digest is cut short.
_VARYING = [
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "<hex>"),
    (re.compile(r"20(2[6-9]|[3-9]\d)-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "<now>"),
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


def masked(text: str) -> list[str]:
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `consent` is this checkout's, and nothing else of the user's is in the way."""
    tmp_path.chmod(0o755)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    binary = tmp_path / "bin" / "consent"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m cli.main "$@"\n', encoding="utf-8")
    binary.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONSENT_")}
    return {**kept, "PATH": f"{binary.parent}:{kept['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_answers_what_the_page_shows(page: str, shell: dict[str, str], tmp_path: Path) -> None:
    steps = steps_of(page)
    assert steps, f"{page} shows no commands"
    for step in steps:
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=tmp_path,
            env=shell,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        answered = masked(done.stdout + done.stderr)
        expected = masked("\n".join(step.shown))
        assert answered == expected, f"{page}:{step.line}: {step.command}\n{done.stdout}{done.stderr}"


def test_the_reference_of_the_commands_is_their_help() -> None:
    spec = importlib.util.spec_from_file_location("generate_cli", ROOT / "docs" / "generate_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == module.reference(), "run docs/generate_cli.py"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
