"""What the README and the docs tell people to type is typed here, and must answer what they show."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate_cli import reference
from docs.pages import PAGES, ROOT, answer, masked, session, steps_of
from docs.worked_example import PAGE, page_with_example


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a page is typed. Not pytest's own: that is closed to the account which runs root's embedded server."""
    with tempfile.TemporaryDirectory(prefix="consent-page-") as name:
        yield Path(name)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_answers_what_the_page_shows(page: str, folder: Path) -> None:
    steps = steps_of(page)
    assert steps, f"{page} shows no commands"
    environment = session(folder)
    for step in steps:
        answered = answer(step, folder, environment)
        assert masked(answered) == masked("\n".join(step.shown)), f"{page}:{step.line}: {step.command}\n{answered}"


def test_the_reference_of_the_commands_is_their_help() -> None:
    shown = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert shown == reference(), "expected docs/cli.md as the commands' help is now; run python docs/generate_cli.py"


def test_the_worked_example_of_the_formats_is_computed() -> None:
    shown = PAGE.read_text(encoding="utf-8")
    assert shown == page_with_example(), "expected the example as it comes out now; run python -m docs.worked_example"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_what_differs_from_run_to_run_is_masked_and_nothing_else_is() -> None:
    assert masked(f"stream {'ab' * 32} at 2026-11-23T15:57:08.995039Z") == masked(
        f"stream {'cd' * 32} at 2027-01-01T00:00:00.000001Z"
    )
    assert masked("on since 2025-09-03T09:00:20.000000Z") != masked("on since 2025-09-03T09:00:21.000000Z")
    assert masked("2 permitted") != masked("3 permitted")
