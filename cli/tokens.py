"""`consent tokens`: who may ask the service for what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cli.session import Session
from cli.types import NAME, SPAN
from ledger.domain.times import add_duration, format_time
from ledger.service.scopes import SCOPES

if TYPE_CHECKING:
    from ledger.store.database import Connection

#: Long enough for a release, short enough that one which nobody misses ends by itself.
USUAL_SPAN = "P90D"

_WIDEST = max(map(len, SCOPES))
_CREATE_HELP = """Make a token of this NAME, and print it: it is shown this once, and stored nowhere.

Up to its first dot the NAME says which service it is for: search.2 may be made while search still lets in, and moves
the same named subscriptions, search and those that begin with search and a dot.

\b
""" + "\n".join(f"{scope:{_WIDEST}}  {opens}" for scope, opens in SCOPES.items())


@click.group()
def command() -> None:
    """Make, list and revoke the tokens by which programs ask the service; as a database role of its own."""


@command.command(help=_CREATE_HELP)
@click.argument("name", type=NAME)
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(SCOPES)),
    multiple=True,
    required=True,
    help="What it may be asked for; may be repeated.",
)
@click.option(
    "--expires",
    type=SPAN,
    default=USUAL_SPAN,
    show_default=True,
    metavar="DURATION",
    help="How long it lets somebody in.",
)
@click.pass_obj
def create(session: Session, name: str, scopes: tuple[str, ...], expires: str) -> None:
    from ledger.service.tokens import digest_of, new_token
    from ledger.store.tokens import add_token

    until = add_duration(datetime.now(UTC), expires)
    token = new_token()
    with _as_keeper(session) as connection:
        add_token(connection, digest_of(token), name, scopes, until)
    fields = {"name": name, "token": token, "scopes": sorted(set(scopes)), "expires_at": until}
    session.result(fields, token)
    session.remark(f"made the token {name}, which lets somebody in until {format_time(until)}; it is not shown again")


@command.command(name="list")
@click.pass_obj
def list_(session: Session) -> None:
    """Every token by its name, with what it may and until when; never the token itself."""
    from ledger.store.tokens import all_tokens

    with _as_keeper(session) as connection:
        tokens = all_tokens(connection)
    if session.as_json:
        session.lines(
            {
                "name": token.name,
                "scopes": sorted(token.scopes),
                "created_at": token.created,
                "expires_at": token.expires,
                "revoked_at": token.revoked,
            }
            for token in tokens
        )
        return
    rows = [
        (
            token.name,
            " ".join(sorted(token.scopes)),
            format_time(token.created),
            format_time(token.expires),
            format_time(token.revoked) if token.revoked else None,
        )
        for token in tokens
    ]
    session.table(("name", "scopes", "created", "expires", "revoked"), rows)


@command.command()
@click.argument("name", type=NAME)
@click.pass_obj
def revoke(session: Session, name: str) -> None:
    """End the token of this NAME; a running service lets it in for one second more at most."""
    from ledger.store.tokens import revoke_token

    with _as_keeper(session) as connection:
        revoke_token(connection, name)
    session.result({"name": name, "revoked": True}, f"revoked the token {name}")


@contextmanager
def _as_keeper(session: Session) -> Iterator[Connection]:
    """A connection in the role that may make and revoke tokens."""
    from ledger.store.database import connect, unavailable_as_error
    from ledger.store.location import served
    from ledger.store.schema import identity

    place = session.place
    with (
        served(place) as url,
        connect(url, place.name, "consent_tokens") as connection,
        unavailable_as_error(place.name),
    ):
        identity(connection, place.name)
        yield connection
