"""`consent export`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import click

from cli.session import Progress, Session
from cli.types import MOMENT
from ledger.domain.entry import TOPICS
from ledger.domain.names import LARGEST_INTEGER
from ledger.exports import FORMATS
from ledger.exports.selection import Exported, Selection, select

_POSITION = click.IntRange(0, LARGEST_INTEGER)


@click.command()
@click.option("--format", "format_", type=click.Choice(list(FORMATS)), required=True, help="The form of the file.")
@click.option("-o", "output", type=click.Path(path_type=Path), metavar="FILE", help="Default: standard output.")
@click.option("--subject", "subjects", multiple=True, metavar="SUBJECT", help="Only of this person; may be repeated.")
@click.option(
    "--event", "events", multiple=True, type=click.Choice(sorted(TOPICS)), help="Only these; may be repeated."
)
@click.option("--from", "recorded_from", type=MOMENT, help="Only what was recorded at this time or later.")
@click.option("--until", "recorded_until", type=MOMENT, help="Only what was recorded at this time or before.")
@click.option("--after", type=_POSITION, default=0, metavar="POSITION", help="Only what lies after this position.")
@click.option("--position", type=_POSITION, metavar="N", help="Only the positions 1 to N. Default: to the end.")
@click.pass_obj
def command(
    session: Session,
    format_: str,
    output: Path | None,
    subjects: tuple[str, ...],
    events: tuple[str, ...],
    recorded_from: datetime | None,
    recorded_until: datetime | None,
    after: int,
    position: int | None,
) -> None:
    """Export the trail of events, in the order of the log; the same range gives the same bytes.

    People appear under their stream keys; no identity is in an export.
    """
    with session.ledger() as ledger:
        streams = tuple(ledger.subject(named).stream or "" for named in subjects)
        selection = Selection(streams or None, events or None, recorded_from, recorded_until, after, position)
        with session.progress("exporting entries") as progress:
            entries = _Counted(select(ledger, selection), progress)
            _write(FORMATS[format_](entries), output)
    if output is not None:
        session.result(
            {"format": format_, "entries": entries.count, "file": str(output)},
            f"{entries.count} entries exported to {output}",
        )


class _Counted:
    """The entries, counted as they go by."""

    def __init__(self, entries: Iterable[Exported], progress: Progress) -> None:
        self._entries = entries
        self._progress = progress
        self.count = 0

    def __iter__(self) -> Iterator[Exported]:
        for entry in self._entries:
            self.count += 1
            self._progress.advance()
            yield entry


def _write(parts: Iterable[bytes], output: Path | None) -> None:
    from ledger.files import whole_file

    if output is None:
        for part in parts:
            sys.stdout.buffer.write(part)
        return
    with whole_file(output) as file:
        for part in parts:
            file.write(part)
