"""How much is served: requests a second for each caller, connections, and work that waits for a thread."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from ledger.service.problems import Problem

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process of the service takes on."""

    #: Requests a second for each token, and for each address without one; twice as many at once.
    rate: float = 500.0
    #: Open at a time: each costs a file and some 50 KiB, and most of them sleep.
    connections: int = 1_000
    #: Until a request's head and body have come: a caller on any network that can be used sends them in one.
    receive_seconds: float = 10.0


#: Of one address: whoever mistypes a token is let off, and whoever guesses asks the database no more than this.
REFUSALS_A_SECOND = 10.0
#: Callers that are kept account of; whoever was heard of last longest ago is forgotten, and begins anew.
MOST_CALLERS = 10_000
#: Requests that wait for a thread, for each that has one: at a millisecond each, a fraction of a second.
WAITING_FOR_EACH = 64

#: For what takes milliseconds, most of it waiting for the database. More would fight for the interpreter's lock: with
#: twelve a request cost a fourth more processor time than with four, and fewer were answered.
QUICK_THREADS = 4
#: For bundles, which take seconds and open a connection each: they never keep a check waiting.
SLOW_THREADS = 2
#: For the pages that subscribers read before they reach what all of them are served from.
FOLLOWING_THREADS = 2
#: Subscribers of all projections: half of the connections are left for requests.
MOST_STREAMS = 500


class Rate:
    """So many a second for each name, twice as many at once: a bucket of tokens, refilled as time goes by."""

    def __init__(self, a_second: float) -> None:
        self._a_second = a_second
        self._most = 2 * a_second
        #: By name: what is left, and when that was.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Takes one; `Problem` where none is left."""
        left = self._now_left(name)
        if left < 1:
            raise too_many()
        self._keep(name, left - 1)

    def demand(self, name: str) -> None:
        """`Problem` where none is left; takes none."""
        if self._now_left(name) < 1:
            raise too_many()

    def _now_left(self, name: str) -> float:
        left, since = self._left.get(name, (self._most, 0.0))
        return min(self._most, left + (time.monotonic() - since) * self._a_second)

    def _keep(self, name: str, left: float) -> None:
        self._left[name] = left, time.monotonic()
        self._left.move_to_end(name)
        if len(self._left) > MOST_CALLERS:
            self._left.popitem(last=False)


def too_many() -> Problem:
    return Problem(429, "too-many", "expected fewer requests a second, found more than this caller may; slow down")


def busy() -> Problem:
    return Problem(503, "busy", "expected a free thread, found all busy and too many waiting; try again in a moment")


class Work:
    """Threads for what blocks, and a line in front of them that is never long."""

    def __init__(self, name: str, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._most = threads * (1 + WAITING_FOR_EACH)
        self._pending = 0
        self._turns = asyncio.Semaphore(threads)

    async def run(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """What `work` answers, in a thread; `Problem` where too many wait already."""
        if self._pending >= self._most:
            raise busy()
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._pending -= 1

    async def in_turn(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """The same for those whose number has a bound of its own: who has no thread yet waits for it."""
        async with self._turns:
            return await self.run(work, *arguments)

    def close(self) -> None:
        """Waits for what is being done; nothing more is taken."""
        self._threads.shutdown(cancel_futures=True)
