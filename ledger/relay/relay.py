"""Publishes projections to NATS JetStream: each state of a row once, in the order of the log.

Nothing is kept here: a projection's stream says by its last message how far it is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from ledger.application import ConsentLedger
from ledger.errors import InvalidInput
from ledger.projections.projection import Projection
from ledger.projections.subscription import Page, Subscription
from ledger.relay.cloud_event import CloudEvent, event_of, source_of
from ledger.relay.stream import Stream
from ledger.store.recorder import FOLLOW_SECONDS

#: Until a server that did not take a message is asked again; doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0

Trouble = Callable[[str], object]


def checked_url(url: str) -> str:
    """The URL of a server; the sentence does not repeat it, for it may hold a password."""
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("nats", "tls") and parts.hostname and parts.port != 0
    except ValueError:
        is_server = False
    if not is_server or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidInput("expected the URL of a NATS server like nats://127.0.0.1:4222, found something else")
    return url


def relay(
    ledger: ConsentLedger, url: str, projections: list[Projection], stopped: threading.Event, trouble: Trouble
) -> None:
    """Publishes until `stopped` is set; what was sent then is answered first. `trouble` hears why it waits."""
    asyncio.run(_relay_all(ledger, url, projections, stopped, trouble))


async def _relay_all(
    ledger: ConsentLedger, url: str, projections: list[Projection], stopped: threading.Event, trouble: Trouble
) -> None:
    pause, now = FIRST_PAUSE / 2, asyncio.get_running_loop().time
    while not stopped.is_set():
        began = now()
        try:
            server = await nats.connect(url, allow_reconnect=False, error_cb=_quietly)
            try:
                await _together(ledger, server, projections, stopped)
            finally:
                await server.close()
        except (NatsError, OSError, TimeoutError) as error:
            trouble(
                f"the NATS server did not take a message ({type(error).__name__}): it must run, with JetStream; "
                "it is asked again"
            )
            # A server that went well for a while is asked at once; one that takes connections and no messages is not.
            pause = FIRST_PAUSE if now() - began > LONGEST_PAUSE else min(2 * pause, LONGEST_PAUSE)
            await _wait(stopped.is_set, pause)


async def _together(
    ledger: ConsentLedger, server: Client, projections: list[Projection], stopped: threading.Event
) -> None:
    """Each projection in a task; where one of them ends, the others do too, each with what it sent answered."""
    tasks: list[asyncio.Task[None]] = []

    def is_over() -> bool:
        return stopped.is_set() or any(task.done() for task in tasks)

    tasks += [asyncio.create_task(_Relay(ledger, server, one, is_over).run()) for one in projections]
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if error is not None:
            raise error


async def _quietly(_: Exception) -> None:
    """What the client would log by itself is said by whoever asked it."""


async def _wait(is_over: Callable[[], bool], seconds: float) -> None:
    until = asyncio.get_running_loop().time() + seconds
    while not is_over() and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(FOLLOW_SECONDS)


class _Relay:
    """One projection on its way to its stream, over one connection."""

    def __init__(
        self, ledger: ConsentLedger, server: Client, projection: Projection, is_over: Callable[[], bool]
    ) -> None:
        self._ledger = ledger
        self._projection = projection
        self._is_over = is_over
        self._source = source_of(ledger.identity.id, projection.name)
        self._stream = Stream(server, projection.name, self._source)
        #: The number of the stream's last snapshot.
        self._snapshot = 0

    async def run(self) -> None:
        last = await self._stream.standing()
        self._snapshot = 0 if last is None else last.data["snapshot"]
        after = None if last is None else last.place[0] - (last.kind == "row")
        # Of the rows of one position some may be there: they come in the order of their ids.
        done = last.place if last is not None and last.kind == "row" else (0, "")
        subscription = await asyncio.to_thread(Subscription, self._ledger, self._projection, after)
        with subscription:
            while not self._is_over():
                while await asyncio.to_thread(subscription.bring_up_to_date) and not self._is_over():
                    pass
                page = await asyncio.to_thread(subscription.next_page)
                if page.intent == "snapshot":
                    self._snapshot = self._stream.next
                await self._stream.append(self._events(page, done), self._is_over)
                if page.complete:
                    await _wait(self._is_over, FOLLOW_SECONDS)

    def _events(self, page: Page, done: tuple[int, str]) -> Iterator[CloudEvent]:
        if page.intent == "snapshot":
            yield event_of(self._source, "snapshot", self._snapshot, 0)
            done = (0, "")
        rows = [self._row(row) for row in page.rows]
        pending = [event for event in sorted(rows, key=lambda event: event.place) if event.place > done]
        yield from pending
        if page.complete and (page.rows or page.intent == "snapshot"):
            yield event_of(self._source, "token", self._snapshot, page.position)

    def _row(self, row: dict[str, Any]) -> CloudEvent:
        position, gone = row.pop("position"), row.pop("gone")
        key = [row[column] for column in self._projection.key]
        return event_of(self._source, "row", self._snapshot, position, *key, row=row, gone=gone)
