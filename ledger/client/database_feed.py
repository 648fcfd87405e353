"""A replica's rows straight from the ledger's database, by a subscription to the projection."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import replace

from ledger.application import open_ledger
from ledger.client.feed import Changes
from ledger.projections.subscription import Page, Subscription, parse_token
from ledger.projections.verdict_spans import VERDICT_SPANS
from ledger.settings import Place
from ledger.store.recorder import FOLLOW_SECONDS

#: A rebuild of the tables moves no position, and must be noticed all the same.
REREAD_SECONDS = 5.0


class DatabaseFeed:
    """Implements `Feed`. After each break the ledger is opened anew: it may be another one by then."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def changes(self, after: str | None, stopped: threading.Event) -> Generator[Changes]:
        with open_ledger(self._place) as ledger:
            position = None if after is None else parse_token(after, ledger.identity.id)
            with Subscription(ledger, VERDICT_SPANS, position) as subscription:
                yield from _follow(subscription, stopped)


def _follow(subscription: Subscription, stopped: threading.Event) -> Generator[Changes]:
    page: Page | None = None
    reread_due = 0.0
    while not stopped.is_set():
        # Before the log is asked how far it is, so that what is complete after that is as of this moment.
        as_of = time.monotonic()
        if page is not None and as_of < reread_due and not subscription.has_fallen_behind():
            yield _changes(subscription, replace(page, intent="nothing", rows=[]), as_of)
            stopped.wait(FOLLOW_SECONDS)
            continue
        while subscription.bring_up_to_date():
            if stopped.is_set():
                return
        while True:
            page = subscription.next_page()
            yield _changes(subscription, page, as_of)
            if page.complete or stopped.is_set():
                break
        reread_due = as_of + REREAD_SECONDS
        stopped.wait(FOLLOW_SECONDS)


def _changes(subscription: Subscription, page: Page, as_of: float) -> Changes:
    return Changes(
        intent=page.intent,
        rows=page.rows,
        token=subscription.token(page.position),
        position=page.position,
        complete=page.complete,
        as_of=as_of,
    )
