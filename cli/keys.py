"""`consent keys`: the log's keys, shown, rotated and retired."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.session import Session

if TYPE_CHECKING:
    from ledger.keyring import Keyring
    from ledger.proof.note import VerifierKey


@click.group()
def command() -> None:
    """Show the log's keys, rotate and retire them; make a key for a witness or an auditor."""


@command.command()
@click.argument("name")
@click.option("-o", "output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where it is kept.")
@click.pass_obj
def new(session: Session, name: str, output: Path) -> None:
    """Make a key that cosigns checkpoints, for a witness or an auditor called NAME; print its verifier key.

    A witness's name is its own, such as witness.example; an auditor's ends in /consent-ledger-audit-v1.
    """
    from ledger.keyring import new_cosigner, write_new_key

    key = new_cosigner(name)
    write_new_key(output, key)
    session.result({"key": key.verifier.text, "file": str(output)}, key.verifier.text)


@command.command()
@click.option("--all", "show_all", is_flag=True, help="Every key, with its role; first those that sign.")
@click.pass_obj
def show(session: Session, show_all: bool) -> None:
    """Print the log's verifier key, one line, to be given to whoever verifies; after a rotation the newer one."""
    from ledger.errors import Unavailable
    from ledger.keyring import keys_folder, read_keyring

    with session.ledger() as ledger:
        ring = read_keyring(ledger.place.state, ledger.identity.id, ledger.identity.origin)
        folder = keys_folder(ledger.place.state, ledger.identity.id)
    if not ring.log:
        raise Unavailable(f"expected the log's key in {folder}, found none; set CONSENT_STATE to where it lies")
    keys = _all(ring) if show_all else [("log", ring.log[-1].verifier)]
    if session.as_json:
        session.lines({"role": role, "key": key.text} for role, key in keys)
        return
    for role, key in keys:
        click.echo(f"{role:8} {key.text}" if show_all else key.text)


def _all(ring: Keyring) -> list[tuple[str, VerifierKey]]:
    receipts = [] if ring.receipts is None else [("receipts", ring.receipts.verifier)]
    retired = [("retired", key) for key in ring.retired]
    return [*(("log", key.verifier) for key in ring.log), *receipts, *retired]


@command.command()
@click.pass_obj
def rotate(session: Session) -> None:
    """Make a second log key, which signs beside the first until that is retired; and a note of it, signed by both.

    Publish the note, so that those who trust the old key learn of the new one by it.
    """
    from ledger.sequencer.rotation import rotate

    with session.ledger() as ledger:
        rotated = rotate(ledger)
    session.result(
        {
            "old": rotated.old.text,
            "new": rotated.new.text,
            "from": rotated.size,
            "file": str(rotated.path),
            "note": rotated.note.decode(),
        },
        f"made the log key {rotated.new.text}, which signs after size {rotated.size}; publish {rotated.path}",
    )


@command.command()
@click.pass_obj
def retire(session: Session) -> None:
    """Destroy the older of two log keys; its verifier key is kept, for what it signed goes on being true."""
    from ledger.sequencer.rotation import retire

    with session.ledger() as ledger:
        retired = retire(ledger)
    session.result({"retired": retired.text}, f"retired the log key {retired.text}, its private part is destroyed")
