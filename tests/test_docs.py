"""What the README and the docs tell people to type is typed here, and must answer what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate_cli import reference
from docs.pages import PAGES, ROOT, answer, masked, session, steps_of


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_answers_what_the_page_shows(page: str, tmp_path: Path) -> None:
    steps = steps_of(page)
    assert steps, f"{page} shows no commands"
    environment = session(tmp_path)
    for step in steps:
        answered = answer(step, tmp_path, environment)
        assert masked(answered) == masked("\n".join(step.shown)), f"{page}:{step.line}: {step.command}\n{answered}"


def test_the_reference_of_the_commands_is_their_help() -> None:
    shown = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert shown == reference(), "expected docs/cli.md as the commands' help is now; run python docs/generate_cli.py"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_a_page_whose_answer_is_stale_is_found(tmp_path: Path) -> None:
    environment = session(tmp_path)
    step = steps_of(PAGES[0])[0]
    assert masked(answer(step, tmp_path, environment)) != masked("something else entirely")
