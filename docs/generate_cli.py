"""Writes docs/cli.md from the commands' own help. Usage: python docs/generate_cli.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from cli.main import consent

TARGET = Path(__file__).with_name("cli.md")


def reference() -> str:
    """The whole page."""
    head = "# Commands\n\nGenerated from the commands' own help by `python docs/generate_cli.py`; a test compares.\n"
    return head + "".join(_sections(consent, "consent", None))


def _sections(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    width = {"terminal_width": 110}
    with click.Context(
        command, info_name=name.split()[-1], parent=parent, **{**command.context_settings, **width}
    ) as context:
        title = "#" * (name.count(" ") + 2)
        yield f"\n{title} {name}\n\n```text\n{command.get_help(context).strip()}\n```\n"
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                if found is not None:
                    yield from _sections(found, f"{name} {inner}", context)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
