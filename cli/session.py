"""What every command is given: where the ledger is, and how to speak."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ledger.settings import Place, place_of

if TYPE_CHECKING:
    from ledger.application import ConsentLedger


class Session:
    """One run of the program. Results go to standard output; progress and remarks to standard error."""

    def __init__(self, ledger: str | None, as_json: bool) -> None:
        self.place: Place = place_of(ledger)
        self.as_json = as_json

    @contextmanager
    def ledger(self) -> Iterator[ConsentLedger]:
        """The ledger, open while the command works; imported only now, so that help stays fast."""
        from ledger.application import open_ledger

        with open_ledger(self.place) as ledger:
            yield ledger

    def result(self, fields: dict[str, Any], sentence: str) -> None:
        """The one result of a command: an object for programs, a sentence for people."""
        click.echo(to_json(fields) if self.as_json else sentence)

    def lines(self, objects: Iterable[dict[str, Any]]) -> None:
        """Many results for programs: JSON Lines, each written as it comes."""
        for fields in objects:
            click.echo(to_json(fields))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
        """A table for people. With `--json` nothing: `result` or `lines` say it all."""
        if self.as_json:
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(*columns, title=title, title_justify="left")
        for row in rows:
            table.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
        # Piped, a table is as wide as it needs to be: no reader should get cells that were cut.
        width = None if sys.stdout.isatty() else 200
        Console(width=width).print(table)

    def remark(self, sentence: str) -> None:
        """Something worth knowing that is not the result."""
        click.echo(sentence, err=True)

    @contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Progress]:
        """A bar on standard error while something long goes on, if anybody is there to see it."""
        if not sys.stderr.isatty():
            yield Progress(None, None)
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        # Left to itself, the bar takes over standard output too, and results would go where the bar is.
        with Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
            yield Progress(bar, bar.add_task(what, total=total))


class Progress:
    """How far something is; silent where nobody watches."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar = bar
        self._task = task

    def advance(self, by: int = 1) -> None:
        if self._bar is not None:
            self._bar.advance(self._task, by)

    def now(self, what: str, total: int | None = None) -> None:
        """The next part of the work."""
        if self._bar is not None:
            self._bar.reset(self._task, description=what, total=total)


def to_json(fields: dict[str, Any]) -> str:
    """One line of JSON; times as entries write them, bytes as hex."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        from ledger.domain.times import format_time

        return format_time(value)
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "__struct_fields__"):
        import msgspec

        return msgspec.to_builtins(value)
    raise TypeError(f"{type(value).__name__} has no JSON")
