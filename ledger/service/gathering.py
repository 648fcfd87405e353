"""Requests that read share one reading: all that wait when a thread is free are answered by it together.

As appends do (docs/decisions/0004): whoever comes first is taken at once, and what gathers meanwhile is the next
turn's. Each is read for after it came, so it sees all that was committed before it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ledger.errors import Unavailable
from ledger.service.limits import Work, busy

A = TypeVar("A")
B = TypeVar("B")

#: Of one turn: enough to spread its statements over; more would only make the first of them wait.
MOST_TOGETHER = 64
#: That wait for a turn; past it the answer is 503.
MOST_WAITING = 4 * MOST_TOGETHER


class Gathering(Generic[A, B]):
    """Answers what is asked one turn after the other, each in a thread. All but that is the event loop's alone."""

    def __init__(self, work: Work, answer: Callable[[Sequence[A]], Sequence[B | Exception]]) -> None:
        """`answer` has an answer for each, in their order, or why there is none."""
        self._work = work
        self._answer = answer
        self._waiting: list[tuple[A, asyncio.Future[B]]] = []
        self._turns: asyncio.Task[None] | None = None

    async def ask(self, asked: A) -> B:
        """The answer to this one; `Problem` where too many wait already."""
        if len(self._waiting) >= MOST_WAITING:
            raise busy()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[B] = loop.create_future()
        self._waiting.append((asked, answer))
        if self._turns is None:
            self._turns = loop.create_task(self._take_turns())
        return await answer

    async def _take_turns(self) -> None:
        try:
            while self._waiting:
                turn, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                await self._take([one for one in turn if not one[1].done()])  # the others have left
        finally:
            self._turns = None

    async def _take(self, turn: Sequence[tuple[A, asyncio.Future[B]]]) -> None:
        answers: Sequence[B | Exception]
        try:
            answers = await self._work.run(self._answers, [asked for asked, _ in turn])
        except Exception as error:
            answers = [error] * len(turn)
        for (_, waiting), answer in zip(turn, answers, strict=True):
            if waiting.done():
                continue  # left meanwhile
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    def _answers(self, asked: Sequence[A]) -> Sequence[B | Exception]:
        """Together; where one of them fails it as nobody foresaw, each by itself, and the others are answered."""
        try:
            return self._answer(asked)
        except Unavailable as error:
            return [error] * len(asked)
        except Exception as error:
            return [error] if len(asked) == 1 else [self._answers([one])[0] for one in asked]
