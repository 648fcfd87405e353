"""The newest rows of a projection, read once for all who follow it over this process, and encoded once.

One thread a projection reads the database, however many subscribers there are; what it finds is kept in memory up to a
bound, and everybody who stands inside of that is served from there.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, TypeVarTuple

from ledger.application import ConsentLedger
from ledger.errors import ConsentLedgerError
from ledger.projections import PROJECTIONS
from ledger.projections.projection import Projection
from ledger.projections.subscription import Page, Standing, Subscription, token_of
from ledger.projections.telling import row_told, to_line
from ledger.service.logs import error_fields, tell
from ledger.service.problems import Problem, problem_of, unexpected
from ledger.store.recorder import FOLLOW_SECONDS

#: Of each projection: at 100 rows a second of 300 bytes, minutes in which a subscriber may be away.
MOST_KEPT = 8 * 1024 * 1024
#: What is handed to a connection at once, as much as uvicorn lets wait for the network; one row may be more.
CHUNK = 64 * 1024
#: A rebuild of the tables moves no position, and must be noticed all the same.
REREAD_SECONDS = 2.0

#: What whoever follows is told of a service that is told to stop.
_ENDING = Problem(503, "ending", "expected a service that goes on, found one that ends; connect again")

Ts = TypeVarTuple("Ts")
#: The rows of one position, as server-sent events.
Piece = tuple[int, bytes]


def event_of(kind: str, told: dict[str, Any], token: str | None = None) -> bytes:
    """One server-sent event; `token` is what the subscriber resumes from once it has it."""
    told_id = "" if token is None else f"id: {token}\n"
    return f"event: {kind}\n{told_id}data: {to_line(told)}\n\n".encode()


def pieces_of(rows: Iterable[dict[str, Any]], ledger_id: bytes) -> list[Piece]:
    """Rows, position by position: only the last of one position has a token, so that no other is lost in a break."""
    pieces = []
    for position, together in groupby(rows, lambda row: int(row["position"])):
        *others, last = together
        events = [event_of("row", row_told(row)) for row in others]
        events.append(event_of("row", row_told(last), token_of(ledger_id, position)))
        pieces.append((position, b"".join(events)))
    return pieces


def chunks_of(pieces: Iterable[Piece]) -> list[bytes]:
    """The same in portions to send."""
    chunks = [bytearray()]
    for _, piece in pieces:
        if len(chunks[-1]) + len(piece) > CHUNK and chunks[-1]:
            chunks.append(bytearray())
        chunks[-1] += piece
    return [bytes(chunk) for chunk in chunks if chunk]


class Tail:
    """One projection's. Its thread reads; everything that others see is the event loop's alone."""

    def __init__(self, ledger: ConsentLedger, projection: Projection) -> None:
        self._ledger = ledger
        self._projection = projection
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._pieces: deque[Piece] = deque()
        self._kept = 0
        #: Where what is kept begins, how far it goes, and of which tables it is: None before the first look.
        self._base = 0
        self.position = 0
        self.kept_from: int | None = None
        #: Whether there was no more when it was read; until then the rows are of no one moment of the log.
        self.is_settled = False
        #: Why it has ended.
        self.failure: Problem | None = None
        #: Set once something changes; then another takes its place.
        self.news = asyncio.Event()
        self._thread = threading.Thread(target=self._follow, name=f"tail of {projection.name}")
        self._thread.start()

    def reaches(self, standing: Standing) -> bool:
        """Whether who stands there goes on from what is kept."""
        if self.kept_from is None or standing.after is None or standing.starts_over(self.kept_from):
            return False
        return standing.after >= self._base

    def after(self, position: int) -> tuple[bytes, int]:
        """The next portion of the rows above a position that it reaches, and up to where that goes; none at the end."""
        begin = bisect.bisect_right(self._pieces, position, key=lambda piece: piece[0])
        chunk = bytearray()
        for index in range(begin, len(self._pieces)):
            reached, piece = self._pieces[index]
            if chunk and len(chunk) + len(piece) > CHUNK:
                break
            chunk += piece
            position = reached
        return bytes(chunk), position

    def stop(self) -> None:
        """Wakes everybody, for the last time; the thread ends soon after."""
        self._stop.set()
        self._fail(_ENDING)

    def join(self) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        try:
            with Subscription(self._ledger, self._projection) as subscription:
                self._in_loop(self._begin, subscription.skip())
                reread_due = time.monotonic()
                while not self._stop.is_set():
                    if time.monotonic() >= reread_due or subscription.has_fallen_behind():
                        self._read(subscription)
                        reread_due = time.monotonic() + REREAD_SECONDS
                    self._stop.wait(FOLLOW_SECONDS)
        except ConsentLedgerError as error:
            tell("tail ended", logging.WARNING, projection=self._projection.name, **error_fields(error))
            self._in_loop(self._fail, problem_of(error))
        except Exception as error:
            tell("tail ended", logging.ERROR, projection=self._projection.name, **error_fields(error))
            self._in_loop(self._fail, unexpected())

    def _read(self, subscription: Subscription) -> None:
        while subscription.bring_up_to_date() and not self._stop.is_set():
            pass
        is_complete = False
        while not is_complete and not self._stop.is_set():
            page = subscription.next_page()
            is_complete = page.complete
            if page.intent == "snapshot":
                # Everybody reads it alone, at a pace of their own.
                self._in_loop(self._begin, subscription.skip())
                return
            self._in_loop(self._take, page, pieces_of(page.rows, self._ledger.identity.id))

    def _in_loop(self, take: Callable[[*Ts], None], *given: *Ts) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody listens
            self._loop.call_soon_threadsafe(take, *given)

    def _begin(self, standing: Standing) -> None:
        assert standing.after is not None  # noqa: S101 - it says where the tables stand
        self._pieces.clear()
        self._kept = 0
        self._base = self.position = standing.after
        self.kept_from = standing.kept_from
        self.is_settled = True
        self._wake()

    def _take(self, page: Page, pieces: list[Piece]) -> None:
        is_news = page.position != self.position or page.complete != self.is_settled
        self._pieces += pieces
        self._kept += sum(len(piece) for _, piece in pieces)
        while self._kept > MOST_KEPT:
            self._base, dropped = self._pieces.popleft()
            self._kept -= len(dropped)
        self.position, self.is_settled = page.position, page.complete
        if is_news:
            self._wake()

    def _fail(self, problem: Problem) -> None:
        self.failure = self.failure or problem
        self._wake()

    def _wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()


class Tails:
    """The tails that somebody asked for, one a projection, until the service ends."""

    def __init__(self, ledger: ConsentLedger) -> None:
        self._ledger = ledger
        self._tails: dict[str, Tail] = {}
        self.has_ended = False

    def of(self, projection: str) -> Tail:
        """The projection's; another one where the last has failed. `Problem` once the service ends."""
        if self.has_ended:
            raise _ENDING
        tail = self._tails.get(projection)
        if tail is None or tail.failure is not None:
            tail = self._tails[projection] = Tail(self._ledger, PROJECTIONS[projection])
        return tail

    def end(self) -> None:
        """Ends every stream; from the event loop."""
        self.has_ended = True
        for tail in self._tails.values():
            tail.stop()

    def close(self) -> None:
        """Waits for the threads."""
        for tail in self._tails.values():
            tail.join()
