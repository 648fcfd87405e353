"""`consent restore`: a whole export, byte for byte, into an empty ledger."""

from __future__ import annotations

from pathlib import Path

import click

from cli.session import Session

#: What a log does not hold, so that no restored one has it.
LEFT_BEHIND = (
    "no identities, no evidence, no idempotency keys and no memory of who was erased came along: "
    "carry the links over with `consent identities import`"
)


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.pass_obj
def command(session: Session, file: Path) -> None:
    """Fill an empty ledger with the entries of FILE, a whole log that was exported with --format jsonl.

    The entries are stored byte for byte, so that the tree has the same root at the same size; all of them or none.
    It is a new log, with the origin, the keys and the id that `consent init` gave it.
    """
    from base64 import b64encode

    from ledger.restoring import restore

    with session.progress("restoring entries") as progress:
        restored = restore(session.place, file, progress.advance)
    root = b64encode(restored.root).decode()
    session.result(
        {
            "entries": restored.entries,
            "root": root,
            "ledger": session.place.name,
            "id": restored.identity.id,
            "origin": restored.identity.origin,
        },
        f"restored {restored.entries} entries, root {root}, as the log {restored.identity.origin}",
    )
    session.remark(LEFT_BEHIND)
