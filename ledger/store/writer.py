"""Group commit: whoever waits to append is stored in one transaction, and gets an answer of their own.

The first caller who finds nobody writing takes all that wait, commits them and hands on; so under load the batch is
what gathered during the last commit, and there is no thread that must be started, stopped or waited for. Two kinds of
caller never lead. A Ctrl-C comes to the main thread wherever it is, also with others' appends in its hands; and an
event loop must not stand still for a commit. For either, a thread of the writer's leads.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psycopg

from ledger.errors import OutcomeUnknown, Unavailable
from ledger.store import arrays
from ledger.store.database import ONLY_READS, Connection, one_line, was_closed
from ledger.store.parameters import arrays_of, parameters_of
from ledger.store.statements import statement
from ledger.store.waiting import Answer, Append, Outcome, Waiting, WaitingTask, wake

__all__ = ["Append", "Outcome", "Writer", "outcome_unknown"]

#: Enough to spread one commit over; more would only make the first of them wait.
MOST_APPENDS = 1_000
#: Batches whose appends are judged each for itself, after one in which something was in the way of one: where callers
#: race for streams or repeat keys there is more of it.
CAREFUL_BATCHES = 16

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C", Waiting, WaitingTask)


class Writer:
    """Appends for all threads and event loops of this process, over one connection that is made when needed."""

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self._open_connection = open_connection
        self._connection: Connection | None = None
        self._mutex = threading.Lock()
        self._queue: deque[Waiting | WaitingTask] = deque()
        #: Who commits now, and for whom.
        self._leader: Waiting | WaitingTask | None = None
        self._batch: list[Waiting | WaitingTask] = []
        self._careful_batches = 0
        self._for_main = ThreadPoolExecutor(1, "append")
        self._for_tasks = ThreadPoolExecutor(1, "append")

    def append(self, append: Append) -> Outcome:
        """Stores `append`, or says why not; raises `Unavailable`, or `OutcomeUnknown` if the commit was cut off."""
        return self._uninterrupted(self._append, append)

    async def append_async(self, append: Append) -> Outcome:
        """`append` for a task of an event loop, in the same batches as everybody's, and one wake-up a batch.

        Cancelled while it waits for its batch, nothing of it is stored; after that the commit goes on without its
        caller, who asks again with the same key to hear what became of it.
        """
        waiting = WaitingTask(append, asyncio.get_running_loop().create_future())
        if self._leads_at_once(waiting, self._queue.append):
            self._give_lead(waiting)
        try:
            return await waiting.future
        except asyncio.CancelledError:
            with self._mutex:
                waiting.is_withdrawn = True  # of no effect on a batch that was taken already
            raise

    def append_all(self, appends: Sequence[Append]) -> list[Answer]:
        """Stores many appends, of streams and keys that differ, in one transaction; answers in their order."""
        return self._uninterrupted(self._append_all, appends)

    def _uninterrupted(self, work: Callable[[A], B], asked: A) -> B:
        if threading.current_thread() is not threading.main_thread():
            return work(asked)
        return self._for_main.submit(work, asked).result()

    def _append(self, append: Append) -> Outcome:
        waiting = Waiting(append)
        if not self._leads_at_once(waiting, self._queue.append):
            waiting.sleep()
        if waiting.answer is None:
            self._lead(waiting)
        if isinstance(waiting.answer, Exception):
            raise waiting.answer
        assert waiting.answer is not None  # noqa: S101 - whoever leads answers its own batch
        return waiting.answer

    def _lead(self, leader: Waiting | WaitingTask) -> None:
        """Commits all that wait, and hands on."""
        try:
            batch = self._take_batch(leader)
            for waiting, answer in zip(batch, self._commit_batch([w.append for w in batch]), strict=True):
                waiting.answer = answer
        finally:
            self._hand_on()

    def _append_all(self, appends: Sequence[Append]) -> list[Answer]:
        turn = Waiting(Append("", 0, ()))
        if not self._leads_at_once(turn, self._queue.appendleft):
            turn.sleep()
        try:
            self._take_batch(turn)
            return self._commit_together(appends)
        finally:
            self._hand_on()

    def close(self) -> None:
        self._for_main.shutdown()
        self._for_tasks.shutdown()
        with self._mutex:
            self._drop_connection()

    def _leads_at_once(self, waiting: C, queue_up: Callable[[C], None]) -> bool:
        with self._mutex:
            queue_up(waiting)
            if self._leader is None:
                self._leader = waiting
            return self._leader is waiting

    def _take_batch(self, leader: Waiting | WaitingTask) -> list[Waiting | WaitingTask]:
        """All that wait, but the second of a stream or key: it would only conflict, and may do better after."""
        postponed: list[Waiting | WaitingTask] = []
        taken: set[str | bytes] = set()
        with self._mutex:
            if not leader.append.entries:  # a turn of `append_all`, which brings its own
                self._queue.remove(leader)
                return self._batch
            while self._queue and len(self._batch) < MOST_APPENDS:
                waiting = self._queue.popleft()
                if waiting.is_withdrawn:
                    continue
                append = waiting.append
                keys = [key.key for key in append.keys]
                if not append.entries or append.stream in taken or not taken.isdisjoint(keys):
                    postponed.append(waiting)
                else:
                    taken.add(append.stream)
                    taken.update(keys)
                    self._batch.append(waiting)
            self._queue.extendleft(reversed(postponed))
            return self._batch

    def _hand_on(self) -> None:
        """Gives the lead to the next who waits, and wakes the batch, which has its answers."""
        with self._mutex:
            batch, leader, following = self._batch, self._leader, self._queue[0] if self._queue else None
            self._batch, self._leader = [], following
        for waiting in batch:
            if waiting.answer is None:
                # Whatever stopped this thread is no answer to them; what became of theirs nobody knows.
                waiting.answer = outcome_unknown(waiting.append.stream, "its thread failed")
        if following is not None:
            self._give_lead(following)
        wake(batch, leader)

    def _give_lead(self, leader: Waiting | WaitingTask) -> None:
        if isinstance(leader, Waiting):
            leader.woken.release()
            return
        try:
            self._for_tasks.submit(self._lead, leader)
        except RuntimeError:
            self._lead(leader)  # the writer was closed, and its thread with it: whoever still waits is answered here

    def _commit_batch(self, appends: Sequence[Append]) -> list[Answer]:
        """Together, as long as that mostly goes well: a batch that fails together is paid for twice."""
        if self._careful_batches or not appends:
            self._careful_batches = max(0, self._careful_batches - 1)
            return self._commit(appends)
        answers = self._commit_together(appends)
        if not all(isinstance(answer, Outcome) and answer.name == "stored" for answer in answers):
            self._careful_batches = CAREFUL_BATCHES
        return answers

    def _commit_together(self, appends: Sequence[Append]) -> list[Answer]:
        """All or none, faster than each for itself; where one has something in its way, each for itself."""
        if any(append.evidence for append in appends):
            return self._commit(appends)
        try:
            connection = self._usable_connection()
        except Unavailable as error:
            return [error for _ in appends]
        try:
            row = connection.execute(statement("append_together"), arrays_of(appends), prepare=True).fetchone()
        except psycopg.Error as error:
            if not _was_undone(connection, error):
                self._drop_connection()
                return self._look_up(appends, error)
            if len(appends) == 1 and isinstance(error, psycopg.OperationalError):
                return [_refusal(appends[0].stream, error)]
            return self._commit(appends)
        except BaseException:
            self._drop_connection()
            raise
        assert row is not None  # noqa: S101 - a function of one row
        position, clock = row
        outcomes: list[Answer] = []
        for append in appends:
            outcomes.append(Outcome("stored", position, clock))
            position += len(append.entries)
        return outcomes

    def _commit(self, appends: Sequence[Append]) -> list[Answer]:
        if not appends:
            return []
        try:
            connection = self._usable_connection()
        except Unavailable as error:
            return [error for _ in appends]
        try:
            rows = connection.execute(statement("append"), parameters_of(appends), prepare=True).fetchall()
        except psycopg.Error as error:
            if not _was_undone(connection, error):
                # The connection is gone, and with it the answer: neither stored nor a conflict until looked up.
                self._drop_connection()
                return self._look_up(appends, error)
            if len(appends) > 1:
                # What the database refuses of one must not fail the others.
                return [answer for append in appends for answer in self._commit([append])]
            return [_refusal(appends[0].stream, error)]
        except BaseException:
            self._drop_connection()
            raise
        outcomes = {number: Outcome(name, position, clock) for number, name, position, clock in rows}
        return [outcomes[number] for number in range(len(appends))]

    def _usable_connection(self) -> Connection:
        if self._connection is not None and was_closed(self._connection):
            self._drop_connection()
        if self._connection is None:
            self._connection = self._open_connection()
            arrays.register(self._connection)
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _look_up(self, appends: Sequence[Append], cause: psycopg.Error) -> list[Answer]:
        """What became of a commit that was cut off, by the bytes at the place of each append."""
        unknown: list[Answer] = [outcome_unknown(append.stream, one_line(cause)) for append in appends]
        try:
            connection = self._usable_connection()
            found = [_found(connection, append) for append in appends]
        except (psycopg.Error, Unavailable):
            return unknown
        return [outcome or not_found for outcome, not_found in zip(found, unknown, strict=True)]


def _found(connection: Connection, append: Append) -> Outcome | None:
    place = {"stream": append.stream, "version": append.first_version}
    row = connection.execute(statement("select_place"), place).fetchone()
    if row is None:
        return None
    position, stored = row
    return Outcome("stored" if bytes(stored) == append.entries[0] else "conflict", position, None)


def _was_undone(connection: Connection, error: psycopg.Error) -> bool:
    """Whether the server itself says that the statement failed, and stays: then nothing of it was stored."""
    return not connection.closed and error.diag.severity_nonlocalized == "ERROR"


def _refusal(stream: str, error: psycopg.Error) -> Exception:
    if isinstance(error, psycopg.OperationalError):
        return Unavailable(f"expected to append to stream {stream}, found: {one_line(error)}; try again")
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return Unavailable(f"expected to append to stream {stream}, found {ONLY_READS}")
    return error


def outcome_unknown(stream: str, cause: str) -> OutcomeUnknown:
    """What a caller is told whose commit was cut off and could not be looked up."""
    return OutcomeUnknown(
        f"expected an answer to an append to stream {stream}, found the connection lost ({cause}); "
        "ask again, with the same key if there was one"
    )
