"""Group commit: whoever waits to append is stored in one transaction, and gets an answer of their own.

There is no thread of the writer's. The first caller who finds nobody writing takes all that wait, commits them and
hands on; so a lone caller pays for no other thread, and under load the batch is what gathered during the last commit.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import psycopg

from ledger.errors import OutcomeUnknown, Unavailable
from ledger.store.database import Connection, one_line
from ledger.store.keys import Key
from ledger.store.statements import statement

#: Enough to spread one commit over; more would only make the first of them wait.
MOST_APPENDS = 1_000

OutcomeName = Literal["stored", "conflict", "repeated", "key-reused", "out-of-time"]


@dataclass(frozen=True, slots=True)
class Append:
    """Entries of one stream at following versions, as bytes, stored together or not at all."""

    stream: str
    first_version: int
    entries: Sequence[bytes]
    keys: Sequence[Key] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """`stored` and `repeated` with the position of the first entry; `clock` is the ledger's, read under the lock."""

    name: OutcomeName
    position: int | None
    clock: datetime | None


@dataclass(slots=True)
class _Waiting:
    append: Append
    woken: threading.Lock = field(default_factory=threading.Lock)
    answer: Outcome | BaseException | None = None

    def __post_init__(self) -> None:
        self.woken.acquire()


class Writer:
    """Appends for all threads of this process, over one connection that `open_connection` makes when needed."""

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self._open_connection = open_connection
        self._connection: Connection | None = None
        self._mutex = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._leading = False

    def append(self, append: Append) -> Outcome:
        """Stores `append`, or says why not; raises `Unavailable`, or `OutcomeUnknown` if the commit was cut off."""
        waiting = _Waiting(append)
        with self._mutex:
            self._queue.append(waiting)
            lead, self._leading = not self._leading, True
        if not lead:
            waiting.woken.acquire()
        if waiting.answer is None:
            self._lead(waiting)
        if isinstance(waiting.answer, BaseException):
            raise waiting.answer
        assert waiting.answer is not None  # noqa: S101 - whoever leads answers its own batch
        return waiting.answer

    def append_all(self, appends: Sequence[Append]) -> list[Outcome | OutcomeUnknown]:
        """Stores many appends, of streams that differ, in one transaction; outcomes in the order of `appends`."""
        with self._mutex:
            lead, self._leading = not self._leading, True
            turn = _Waiting(Append("", 0, ()))
            if not lead:
                self._queue.appendleft(turn)
        if not lead:
            turn.woken.acquire()
        try:
            return self._commit(appends)
        finally:
            self._hand_on()

    def close(self) -> None:
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _lead(self, own: _Waiting) -> None:
        batch = [own]
        try:
            batch = self._take_batch()
            for waiting, answer in zip(batch, self._commit([w.append for w in batch]), strict=True):
                waiting.answer = answer
        except BaseException as error:
            # The others did not ask for what stopped this thread, a Ctrl-C say; what became of theirs nobody knows.
            told = error if isinstance(error, Exception) else _unknown(own.append.stream, error)
            for waiting in batch:
                waiting.answer = error if waiting is own else told
        finally:
            self._hand_on()
            for waiting in batch:
                if waiting is not own:
                    waiting.woken.release()

    def _take_batch(self) -> list[_Waiting]:
        """All that wait, but the second of a stream or key: it would only conflict, and may do better after."""
        batch: list[_Waiting] = []
        postponed: list[_Waiting] = []
        taken: set[str | bytes] = set()
        with self._mutex:
            while self._queue and len(batch) < MOST_APPENDS:
                waiting = self._queue.popleft()
                claims: set[str | bytes] = {waiting.append.stream, *(key.key for key in waiting.append.keys)}
                if not waiting.append.entries or not taken.isdisjoint(claims):
                    postponed.append(waiting)
                else:
                    taken |= claims
                    batch.append(waiting)
            self._queue.extendleft(reversed(postponed))
        return batch

    def _hand_on(self) -> None:
        with self._mutex:
            if self._queue:
                following = self._queue[0]
                if not following.append.entries:
                    self._queue.popleft()
                following.woken.release()
            else:
                self._leading = False

    def _commit(self, appends: Sequence[Append]) -> list[Outcome | OutcomeUnknown]:
        connection = self._usable_connection()
        try:
            rows = connection.execute(statement("append"), parameters_of(appends), prepare=True).fetchall()
        except psycopg.OperationalError as error:
            # The connection is gone, and with it the answer: neither stored nor a conflict until looked up.
            self._drop_connection()
            return [self._look_up(append, error) for append in appends]
        except BaseException:
            self._drop_connection()
            raise
        outcomes = {number: Outcome(name, position, clock) for number, name, position, clock in rows}
        return [outcomes[number] for number in range(len(appends))]

    def _usable_connection(self) -> Connection:
        if self._connection is not None and _was_closed(self._connection):
            self._drop_connection()
        if self._connection is None:
            self._connection = self._open_connection()
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _look_up(self, append: Append, cause: psycopg.OperationalError) -> Outcome | OutcomeUnknown:
        """What became of a commit that was cut off, by the bytes at its place."""
        place = {"stream": append.stream, "version": append.first_version}
        try:
            row = self._usable_connection().execute(statement("select_place"), place).fetchone()
        except (psycopg.Error, Unavailable):
            return _unknown(append.stream, cause)
        if row is None:
            return _unknown(append.stream, cause)
        position, stored = row
        return Outcome("stored" if bytes(stored) == append.entries[0] else "conflict", position, None)


def _unknown(stream: str, cause: BaseException) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"expected an answer to an append to stream {stream}, found the connection lost ({one_line(cause)}); "
        "ask again with the same key"
    )


def _was_closed(connection: Connection) -> bool:
    """Whether the server hung up while nothing was asked: an idle connection has nothing to read but its end."""
    if connection.closed:
        return True
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return bool(readable)


def parameters_of(appends: Sequence[Append]) -> dict[str, list[object]]:
    numbered = [(number, entry) for number, append in enumerate(appends) for entry in append.entries]
    keyed = [(number, key) for number, append in enumerate(appends) for key in append.keys]
    return {
        "appends": [number for number, _ in numbered],
        "entries": [entry for _, entry in numbered],
        "key_appends": [number for number, _ in keyed],
        "keys": [key.key for _, key in keyed],
        "requests": [key.request for _, key in keyed],
        "fences": [key.fence for _, key in keyed],
    }
