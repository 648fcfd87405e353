"""`consent init`."""

from __future__ import annotations

import click

from cli.session import Session


@click.command()
@click.option("--origin", metavar="NAME", help="What keys and checkpoints are named by: a URL without its scheme.")
@click.pass_obj
def command(session: Session, origin: str | None) -> None:
    """Create the ledger; an existing one is left as it is."""
    from ledger.store.location import create_ledger

    identity, is_new = create_ledger(session.place, origin)
    fields = {"ledger": session.place.name, "id": identity.id, "origin": identity.origin, "created": is_new}
    what = "created the ledger" if is_new else "nothing to do: there is a ledger"
    session.result(fields, f"{what} at {session.place.name}, origin {identity.origin}")
