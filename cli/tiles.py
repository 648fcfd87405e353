"""`consent tiles`: the log as files, to be served by any file server or object store."""

from __future__ import annotations

from pathlib import Path

import click

from cli.session import Session


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--entries", "with_entries", is_flag=True, help="The entries too: personal data, for auditors only.")
@click.pass_obj
def command(session: Session, folder: Path, with_entries: bool) -> None:
    """Write the last checkpoint and the hashes below it into DIR, as tlog-tiles lays them out.

    Hashes and checkpoint may be public; the checkpoint is written last. Run again, only what is new is written.
    """
    from ledger.proving.static_log import write_tiles

    with session.ledger() as ledger, session.progress("writing tiles") as progress:
        written = write_tiles(ledger, folder, with_entries=with_entries, watch=progress.advance)
    fields = {"dir": str(folder), "size": written.size, "tiles": written.tiles, "bundles": written.bundles}
    session.result(
        fields,
        f"the log of size {written.size} is in {folder}: {written.tiles} new tiles"
        + (f", {written.bundles} new bundles of entries" if with_entries else ""),
    )
