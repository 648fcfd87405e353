"""`consent import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.session import Session
from cli.types import FREE
from ledger.domain.names import is_free
from ledger.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from ledger.importing.events import Imported


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--source", type=FREE, metavar="NAME", help="Where the events come from. Default: the file's name.")
@click.pass_obj
def command(session: Session, files: tuple[Path, ...], source: str | None) -> int:
    """Import events from JSON Lines FILEs, validated line by line.

    Lines that cannot be taken in go to FILE.rejects.jsonl with their number, the reason and the text; then the exit
    status is 1. The same file can be imported again: what was stored is not stored twice.
    """
    from ledger.importing.events import import_events

    sources = [source or _named(file) for file in files]
    rejected = 0
    with session.ledger() as ledger:
        for file, of in zip(files, sources, strict=True):
            with session.progress(f"importing {file.name}") as progress:
                imported = import_events(ledger, file, of, progress)
            rejected += imported.rejected
            _tell(session, of, imported)
    return 1 if rejected else 0


def _named(file: Path) -> str:
    """The file's name as a source; that the file can be read is seen before anything is imported."""
    try:
        if not file.is_fifo():  # what was written into a pipe is lost once its reader has closed it
            file.open("rb").close()
    except (OSError, ValueError) as error:
        raise Unavailable(f"expected a file of events at {file}, found: {getattr(error, 'strerror', error)}") from None
    if not is_free(file.name):
        raise InvalidInput("expected a file name that can name the source, found another; give one with --source")
    return file.name


def _tell(session: Session, source: str, imported: Imported) -> None:
    rejects = imported.rejects_file
    session.result(
        {
            "source": source,
            "lines": imported.lines,
            "stored": imported.stored,
            "repeated": imported.repeated,
            "rejected": imported.rejected,
            "rejects_file": str(rejects) if rejects else None,
        },
        f"{source}: {imported.lines} lines, {imported.stored} stored, {imported.repeated} there before, "
        f"{imported.rejected} rejected" + (f", which are in {rejects}" if rejects else ""),
    )
