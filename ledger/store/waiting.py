"""Who waits for the writer: a thread, or a task of an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ledger.store.evidence import Evidence
from ledger.store.keys import Key

OutcomeName = Literal["stored", "conflict", "repeated", "key-reused", "out-of-time"]


@dataclass(frozen=True, slots=True)
class Append:
    """Entries of one stream at following versions, as bytes, stored with all that belongs to them or not at all."""

    stream: str
    first_version: int
    entries: Sequence[bytes]
    keys: Sequence[Key] = ()
    evidence: Sequence[Evidence] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """`stored` and `repeated` with the position of the first entry; `clock` is the ledger's, read under the lock."""

    name: OutcomeName
    position: int | None
    clock: datetime | None


Answer = Outcome | Exception


@dataclass(slots=True, eq=False)
class Waiting:
    """A thread that waits, asleep on its lock until it is answered or has the lead."""

    append: Append
    woken: threading.Lock = field(default_factory=threading.Lock)
    answer: Answer | None = None
    #: A thread stays until it is answered.
    is_withdrawn: Literal[False] = False

    def __post_init__(self) -> None:
        self.woken.acquire()


@dataclass(slots=True, eq=False)
class WaitingTask:
    """A task that waits; whatever happens to it meanwhile, its future is touched in its own loop alone."""

    append: Append
    future: asyncio.Future[Outcome]
    answer: Answer | None = None
    #: Cancelled before anybody took it: it is stored by nobody.
    is_withdrawn: bool = False

    def tell(self) -> None:
        if self.future.done():
            return  # cancelled meanwhile
        if isinstance(self.answer, Outcome):
            self.future.set_result(self.answer)
        elif self.answer is not None:
            self.future.set_exception(self.answer)


def wake(batch: Iterable[Waiting | WaitingTask]) -> None:
    """Tells all of a batch that their answer is there: a thread each, but a loop only once for all its tasks."""
    tasks: dict[asyncio.AbstractEventLoop, list[WaitingTask]] = {}
    for waiting in batch:
        if isinstance(waiting, Waiting):
            waiting.woken.release()
        else:
            tasks.setdefault(waiting.future.get_loop(), []).append(waiting)
    for loop, waiting_tasks in tasks.items():
        with suppress(RuntimeError):  # the loop was closed: there is nobody left to tell
            loop.call_soon_threadsafe(_tell_all, waiting_tasks)


def _tell_all(tasks: list[WaitingTask]) -> None:
    for task in tasks:
        task.tell()
