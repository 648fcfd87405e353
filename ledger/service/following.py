"""One subscriber's way through a projection over HTTP: pages of its own until it reaches the tail, then the tail."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from ledger.projections import PROJECTIONS
from ledger.projections.subscription import Intent, Page, Reader, Standing, token_of
from ledger.projections.telling import intent_told, token_told
from ledger.service.problems import Problem
from ledger.service.serving import Service
from ledger.service.streams import Slow
from ledger.service.tails import Tail, chunks_of, event_of, pieces_of
from ledger.store.recorder import FOLLOW_SECONDS

#: Half of what is promised; so often, too, it is asked whether the token still lets anybody in.
HEARTBEAT_SECONDS = 1.0
#: Rows of a page that a subscriber reads alone: what of it waits to be taken is in memory, for each of them.
OWN_PAGE = 500
#: A comment, where nothing can be said yet: whoever waits knows that we are there.
_STILL_HERE = b":\n\n"

#: Raises `Problem` where the subscriber may no longer follow.
Demand = Callable[[], Awaitable[object]]


class Subscriber:
    """One; `events` is what it is sent."""

    def __init__(self, service: Service, projection: str, tail: Tail, after: int | None, head: int) -> None:
        self._service = service
        self._projection = projection
        self._tail = tail
        self._standing = Standing(after)
        #: Where the log ended when it came. It may have been cut off in the middle of rows that were read as of then,
        #: from a process whose tail was ahead of this one's: until then they are of no one moment.
        self._head = head
        self._is_first = True
        #: Whether the tail is where it was served from last.
        self._is_at_tail = False
        #: Whether there may be rows that it was not yet told to be all.
        self._owes_token = True
        #: Whether there was no more, when it was looked at last.
        self._is_complete = False
        self._due = 0.0

    async def events(self, demand: Demand, follows: bool) -> AsyncGenerator[bytes]:
        """Server-sent events until the service ends, or without `follows` until it has all there is. `demand` is asked
        now and then. `Slow` where the tail went on without it."""
        counted = self._service.metrics.subscribers
        counted[self._projection] += 1
        try:
            async with aclosing(self._portions(demand, follows)) as portions:
                async for portion in portions:
                    yield portion
        except Problem as problem:
            # One that ends with the service says nothing: elsewhere it goes on.
            if not self._service.tails.has_ended:
                yield b"event: problem\ndata: " + problem.body() + b"\n\n"
        finally:
            counted[self._projection] -= 1

    async def _portions(self, demand: Demand, follows: bool) -> AsyncGenerator[bytes]:
        while True:
            if self._is_due:
                await demand()
            # Before the tail is looked at, so that nothing is missed of what comes meanwhile.
            news = self._tail.news
            if self._tail.failure is not None:
                raise self._tail.failure
            # In the middle of its own pages it goes on with them: what the tail keeps may be older.
            at_tail = self._tail.reaches(self._standing) and (self._is_first or self._is_complete or self._is_at_tail)
            part = self._at_tail() if at_tail else self._by_page()
            async with aclosing(part) as portions:
                async for portion in portions:
                    yield portion
            is_whole = self._is_complete and (self._standing.after or 0) >= self._head
            if is_whole and (self._owes_token or self._is_due):
                self._owes_token = False
                self._due = time.monotonic() + HEARTBEAT_SECONDS
                token = self._token(self._standing.after or 0)
                yield event_of("token", token_told(token), token)
            if not follows and not self._owes_token:
                return
            if self._is_complete:
                await self._pause(news)

    async def _at_tail(self) -> AsyncGenerator[bytes]:
        """The next portion of what the tail keeps."""
        tail, after = self._tail, self._standing.after or 0
        portion, reached = tail.after(after)
        if not portion:
            reached = max(reached, tail.position)
        # Before anything is sent: while it is, the tail may go on, and be another's.
        self._standing = Standing(reached, tail.kept_from)
        self._is_at_tail = True
        self._is_complete = not portion and tail.is_settled
        if self._is_first:
            yield self._intent("changes" if portion else "nothing", after)
        if portion:
            self._owes_token = True
            yield portion

    async def _by_page(self) -> AsyncGenerator[bytes]:
        """A page of its own; `Slow` where only the tail's bound makes one necessary."""
        kept_from = self._tail.kept_from
        if self._is_at_tail and kept_from is not None and not self._standing.starts_over(kept_from):
            raise Slow
        reading = asyncio.ensure_future(self._service.following.in_turn(self._read, self._standing))
        try:
            while not (await asyncio.wait({reading}, timeout=HEARTBEAT_SECONDS))[0]:
                yield _STILL_HERE
            page, self._standing, portions = reading.result()
        finally:
            reading.cancel()
        self._is_at_tail = False
        self._is_complete = page.complete
        if self._is_first or page.intent == "snapshot":
            self._owes_token = True
            yield self._intent(page.intent, page.after)
        for portion in portions:
            self._owes_token = True
            yield portion

    def _read(self, standing: Standing) -> tuple[Page, Standing, list[bytes]]:
        ledger = self._service.ledger
        with ledger.connection() as connection:
            reader = Reader(connection, PROJECTIONS[self._projection], ledger.place.name)
            page, standing = reader.page(standing, OWN_PAGE)
        return page, standing, chunks_of(pieces_of(page.rows, ledger.identity.id))

    async def _pause(self, news: asyncio.Event) -> None:
        """Until the tail has something new, or a heartbeat is due."""
        if not self._tail.reaches(self._standing):
            # A rebuild was seen by one of the two alone; the other sees it within a moment.
            await asyncio.sleep(FOLLOW_SECONDS)
            return
        if not self._is_at_tail:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(FOLLOW_SECONDS, self._due - time.monotonic())):
                await news.wait()

    def _intent(self, intent: Intent, after: int) -> bytes:
        self._is_first = False
        token = self._token(after)
        return event_of("intent", intent_told(intent, token), token)

    def _token(self, position: int) -> str:
        return token_of(self._service.ledger.identity.id, position)

    @property
    def _is_due(self) -> bool:
        return time.monotonic() >= self._due
