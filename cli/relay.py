"""`consent relay`: projections published to NATS JetStream."""

from __future__ import annotations

import click

from cli.session import Session
from cli.stopping import until_stopped
from ledger.errors import Unavailable
from ledger.projections import PROJECTIONS


@click.command()
@click.argument("url", metavar="nats://HOST:PORT")
@click.argument("names", metavar="PROJECTION...", nargs=-1, required=True, type=click.Choice(list(PROJECTIONS)))
@click.pass_obj
def command(session: Session, url: str, names: tuple[str, ...]) -> None:
    """Publish each PROJECTION to a stream of its own on a NATS server with JetStream, until interrupted.

    The stream is consent-PROJECTION, made where it is missing; the messages are CloudEvents: consent-ledger.snapshot,
    at which a subscriber forgets its rows, consent-ledger.row, and consent-ledger.token once all rows so far are of one
    moment of the log. The relay goes on from the last message of the stream, and waits while the server is away.
    """
    try:
        from ledger.relay.relay import checked_url, relay
    except ModuleNotFoundError:
        raise Unavailable("expected the client of NATS, found none; install consent-ledger[nats]") from None

    server = checked_url(url)
    projections = [PROJECTIONS[name] for name in dict.fromkeys(names)]
    with until_stopped() as stopped, session.ledger() as ledger:
        relay(ledger, server, projections, stopped, session.remark)
