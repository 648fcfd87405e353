"""`consent identities`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.session import Session, to_json

if TYPE_CHECKING:
    from ledger.store.database import Connection
    from ledger.store.schema import Identity


@click.group()
def command() -> None:
    """Export and import who the subjects are, to move a ledger; as a database role of its own."""


@command.command()
@click.option("-o", "output", type=click.Path(path_type=Path), metavar="FILE", help="Default: standard output.")
@click.pass_obj
def export(session: Session, output: Path | None) -> None:
    """All links from an identity to a subject id, as JSON Lines.

    Keep the file as you keep passwords: it names the people, and whoever is erased later is still in it.
    """
    from ledger.files import PRIVATE, whole_file
    from ledger.store.identities import export_links

    with _as_carrier(session) as (connection, _):
        lines = (
            to_json({"identity": identity, "id": id_}).encode() + b"\n" for identity, id_ in export_links(connection)
        )
        if output is None:
            for line in lines:
                sys.stdout.buffer.write(line)
            return
        count = 0
        with session.progress("exporting links") as progress, whole_file(output, PRIVATE) as file:
            for line in lines:
                file.write(line)
                count += 1
                progress.advance()
    session.result({"links": count, "file": str(output)}, f"{count} links exported to {output}")


@command.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def import_(session: Session, file: Path) -> int:
    """Add the links of a JSON Lines FILE; those that contradict the ledger's go to FILE.rejects.jsonl."""
    from ledger.importing.links import import_links
    from ledger.store.secret import read_secret

    with _as_carrier(session) as (connection, identity), session.progress(f"importing {file.name}") as progress:
        linked = import_links(connection, read_secret(session.place.state, identity.id), file, progress)
    rejects = linked.rejects_file
    session.result(
        {
            "lines": linked.lines,
            "new": linked.new,
            "known": linked.known,
            "rejected": linked.rejected,
            "rejects_file": str(rejects) if rejects else None,
        },
        f"{linked.lines} links, {linked.new} new, {linked.known} there before, {linked.rejected} rejected"
        + (f", which are in {rejects}" if rejects else ""),
    )
    return 1 if linked.rejected else 0


@contextmanager
def _as_carrier(session: Session) -> Iterator[tuple[Connection, Identity]]:
    """A connection in the role that may carry the links, and which ledger it leads to."""
    from ledger.store.database import connect, unavailable_as_error
    from ledger.store.location import served
    from ledger.store.schema import identity

    place = session.place
    named = place.name
    with served(place) as url, connect(url, named, "consent_identities") as connection, unavailable_as_error(named):
        yield connection, identity(connection, named)
