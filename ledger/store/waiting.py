"""Who waits for the writer: a thread, or a task of an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal

from msgspec import Struct, field

from ledger.store.evidence import Evidence
from ledger.store.keys import Key

OutcomeName = Literal["stored", "conflict", "repeated", "key-reused", "out-of-time"]


class Append(Struct, frozen=True):
    """Entries of one stream at following versions, as bytes, stored with all that belongs to them or not at all."""

    stream: str
    first_version: int
    entries: Sequence[bytes]
    keys: Sequence[Key] = ()
    evidence: Sequence[Evidence] = ()


class Outcome(Struct, frozen=True, gc=False):
    """`stored` and `repeated` with the position of the first entry; `clock` is the ledger's, read under the lock."""

    name: OutcomeName
    position: int | None
    clock: datetime | None


Answer = Outcome | Exception


class Waiting(Struct, eq=False):
    """A thread that waits, asleep on its lock until it is answered or has the lead."""

    append: Append
    woken: threading.Lock = field(default_factory=threading.Lock)
    answer: Answer | None = None
    #: Whom to wake after this one: the next of its batch.
    following: Waiting | None = None
    #: A thread stays until it is answered.
    is_withdrawn: Literal[False] = False

    def __post_init__(self) -> None:
        self.woken.acquire()

    def sleep(self) -> None:
        """Until it is answered or has the lead; then wakes the next, whatever comes to this thread itself."""
        try:
            self.woken.acquire()
        finally:
            if self.following is not None:
                self.following.woken.release()


class WaitingTask(Struct, eq=False):
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


def wake(batch: Iterable[Waiting | WaitingTask], leader: Waiting | WaitingTask | None) -> None:
    """Tells all of a batch that their answer is there: a loop once for all its tasks, a thread each by the one before.

    Woken at once, the threads of a batch would all stand in line for the interpreter's lock, and go to sleep again.
    """
    tasks: dict[asyncio.AbstractEventLoop, list[WaitingTask]] = {}
    first: Waiting | None = None
    last: Waiting | None = None
    for waiting in batch:
        if isinstance(waiting, WaitingTask):
            tasks.setdefault(waiting.future.get_loop(), []).append(waiting)
        elif waiting is leader:
            continue  # a thread that leads is awake
        elif last is None:
            first = last = waiting
        else:
            last.following = waiting
            last = waiting
    if first is not None:
        first.woken.release()
    for loop, waiting_tasks in tasks.items():
        with suppress(RuntimeError):  # the loop was closed: there is nobody left to tell
            loop.call_soon_threadsafe(_tell_all, waiting_tasks)


def _tell_all(tasks: list[WaitingTask]) -> None:
    for task in tasks:
        task.tell()
