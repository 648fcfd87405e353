"""`consent subscribe`: a projection as JSON Lines, a snapshot and then its tail."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cli.session import Session
from cli.stopping import until_stopped
from cli.types import NAME
from ledger.projections import PROJECTIONS

if TYPE_CHECKING:
    from ledger.application import ConsentLedger
    from ledger.projections.subscription import Subscription

#: Less than what proxies and people take for silence.
HEARTBEAT_SECONDS = 15


@click.command()
@click.argument("projection", metavar="PROJECTION", type=click.Choice(list(PROJECTIONS)))
@click.option("--after", metavar="TOKEN", help="Go on from the last token (or a bare position); else from a snapshot.")
@click.option("--follow", is_flag=True, help="Go on until interrupted, with a heartbeat every 15 s.")
@click.option(
    "--as",
    "name",
    type=NAME,
    help="Go on from where this name stands, unless --after says from where; it stands at each token that was written.",
)
@click.pass_obj
def command(session: Session, projection: str, after: str | None, follow: bool, name: str | None) -> None:
    """Follow PROJECTION: JSON Lines, whatever --json says.

    First {"intent":...,"token":...}: nothing, changes, or a snapshot, at which a subscriber forgets the rows it has
    (with --follow it may come again, after a rebuild); the token is where the subscriber stands before the rows. Then
    {"position":...,"row":{...},"gone":...}, and {"token":...} for all rows so far: keep the last one, and give it
    as --after. Or take a name, by --as: `consent projections list` says how far each is behind.
    """
    from ledger.projections.subscription import Subscription, parse_token
    from ledger.projections.telling import to_line

    with until_stopped(follow) as stopped, session.ledger() as ledger:
        start = None if after is None else parse_token(after, ledger.identity.id)
        standing = _standing(ledger, name, projection)
        with Subscription(ledger, PROJECTIONS[projection], standing if start is None else start) as subscription:
            for line in _lines(subscription, follow, stopped):
                sys.stdout.write(to_line(line) + "\n")
                sys.stdout.flush()
                if name is not None and line.keys() == {"token"}:
                    # Only what was taken: whoever dies before it is told again.
                    _acknowledge(ledger, name, projection, parse_token(line["token"], ledger.identity.id))


def _standing(ledger: ConsentLedger, name: str | None, projection: str) -> int | None:
    from ledger.store.subscriptions import find_subscription

    if name is None:
        return None
    with ledger.connection() as connection:
        found = find_subscription(connection, name, projection)
    return None if found is None else found.position


def _acknowledge(ledger: ConsentLedger, name: str, projection: str, position: int) -> None:
    from ledger.store.subscriptions import acknowledge

    with ledger.connection() as connection:
        acknowledge(connection, name, projection, position)


def _lines(subscription: Subscription, follow: bool, stopped: threading.Event) -> Iterator[dict[str, Any]]:
    from ledger.projections.telling import intent_told, row_told, token_told

    is_first, heartbeat_due = True, 0.0
    while not stopped.is_set():
        while subscription.bring_up_to_date() and not stopped.is_set():
            pass
        page = subscription.next_page()
        if is_first or page.intent == "snapshot":
            yield intent_told(page.intent, subscription.token(page.after))
        yield from map(row_told, page.rows)
        is_first = False
        if not page.complete:
            continue
        if page.rows or time.monotonic() >= heartbeat_due:
            yield token_told(subscription.token(page.position))
            heartbeat_due = time.monotonic() + HEARTBEAT_SECONDS
        if not follow:
            return
        _wait(subscription, stopped, heartbeat_due)


def _wait(subscription: Subscription, stopped: threading.Event, heartbeat_due: float) -> None:
    """Until the log has gone on or a heartbeat is due; a pause at least, in which entries gather to a batch."""
    from ledger.store.recorder import FOLLOW_SECONDS

    while not stopped.wait(FOLLOW_SECONDS):
        if subscription.has_fallen_behind() or time.monotonic() >= heartbeat_due:
            return
