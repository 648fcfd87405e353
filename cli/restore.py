"""`consent restore`: a whole export, byte for byte, into an empty ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.session import Session
from ledger.errors import InvalidInput

if TYPE_CHECKING:
    from ledger.restoring import Former

#: What a log does not hold, so that no restored one has it.
LEFT_BEHIND = (
    "no identities, no evidence, no idempotency keys and no memory of who was erased came along: "
    "carry the links over with `consent identities import`"
)
TAKEN_BACK = (
    "this ledger is that log now, and its next checkpoints extend the one given: the original must never run again, or "
    "the world sees two histories; its receipts are signed by a new key"
)


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--continue",
    "checkpoint",
    type=click.Path(path_type=Path),
    metavar="CHECKPOINT",
    help="After a loss: go on as the log of this checkpoint, the last one known.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --continue: the private log key that signed it. Default: $CONSENT_LOG_KEY.",
)
@click.pass_obj
def command(session: Session, file: Path, checkpoint: Path | None, key_file: Path | None) -> None:
    """Fill an empty ledger with the entries of FILE, a whole log that was exported with --format jsonl.

    The entries are stored byte for byte, so that the tree has the same root at the same size; all of them or none.
    It is a new log, with the origin, the keys and the id that `consent init` gave it. With --continue it is the old
    one: made by `consent init --origin` with the old origin, it takes the old key back, and its entries must extend
    the checkpoint.
    """
    from base64 import b64encode

    from ledger.restoring import restore

    former = _former(checkpoint, key_file)
    with session.progress("restoring entries") as progress:
        restored = restore(session.place, file, progress.advance, former)
    root = b64encode(restored.root).decode()
    session.result(
        {
            "entries": restored.entries,
            "root": root,
            "ledger": session.place.name,
            "id": restored.identity.id,
            "origin": restored.identity.origin,
            "continued": former is not None,
        },
        f"restored {restored.entries} entries, root {root}, as the log {restored.identity.origin}",
    )
    session.remark(LEFT_BEHIND)
    if former is not None:
        session.remark(TAKEN_BACK)


def _former(checkpoint: Path | None, key_file: Path | None) -> Former | None:
    from ledger.files import read_at_most
    from ledger.keyring import read_key
    from ledger.proof.note import LARGEST_NOTE
    from ledger.restoring import Former

    if checkpoint is None:
        if key_file is not None:
            raise InvalidInput("expected --continue with --key-file, found none; name the log's last checkpoint")
        return None
    note = read_at_most(checkpoint, LARGEST_NOTE)
    return Former(note, None if key_file is None else read_key(key_file))
