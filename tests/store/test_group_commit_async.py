"""Tasks of event loops in the group commit: the batches of everybody, an answer each, and no loop that stands still."""

from __future__ import annotations

import asyncio
import random
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from ledger.application import ConsentLedger, open_ledger
from ledger.errors import OutcomeUnknown, Unavailable
from ledger.settings import Place
from ledger.store.writer import Append, Outcome
from tests import builders as b
from tests.store.proxy import Proxy

T = TypeVar("T")
#: Until a test gives up on a caller that was never answered; none needs a tenth of it.
SECONDS = 120


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def within_time() -> T:
        return await asyncio.wait_for(work(), SECONDS)

    return asyncio.run(within_time())


async def told(ledger: ConsentLedger, append: Append) -> str:
    try:
        return (await ledger.writer.append_async(append)).name
    except Exception as error:
        return type(error).__name__


@contextmanager
def commits_held_up(place: Place) -> Iterator[Callable[[], bool]]:
    """Nothing is committed inside; the function says whether a commit waits."""
    with b.admin(place) as admin:
        admin.execute("SELECT pg_advisory_lock('ledger.log_entry'::regclass::oid::bigint)")
        waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        yield lambda: admin.execute(waiting).fetchone() is not None


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_tasks_and_threads_race(ledger: ConsentLedger, ledger_place: Place) -> None:
    """Two loops and eight threads on the same streams, some in bulk: everyone told the truth, nothing is lost."""
    now = b.now_of(ledger)

    def append_of(number: int, turn: int) -> Append:
        nonce = 1_000 * number + turn
        # Every third goes for a stream of everybody's, at its first version: one of them gets it.
        stream = b.stream_of(turn) if turn % 3 == 0 else b.stream_of(1_000_000 + nonce)
        return b.append_of(stream, 1, now, nonce=nonce)

    async def task(number: int) -> list[tuple[int, Outcome]]:
        answers = []
        for turn in range(15):
            answers.append((1_000 * number + turn, await ledger.writer.append_async(append_of(number, turn))))
            if turn % 4 == 0:
                await asyncio.sleep(0)
        return answers

    async def tasks(first: int) -> list[tuple[int, Outcome]]:
        return [answer for answers in await asyncio.gather(*(task(first + n) for n in range(20))) for answer in answers]

    def thread(number: int) -> list[tuple[int, Outcome]]:
        answers = []
        for turn in range(15):
            answers.append((1_000 * number + turn, ledger.writer.append(append_of(number, turn))))
            if turn % 5 == 0:
                bulk = [
                    b.append_of(
                        b.stream_of(2_000_000 + 1_000 * number + turn), 1, now, nonce=10**6 + number * 100 + turn
                    )
                ]
                assert [a.name for a in ledger.writer.append_all(bulk) if isinstance(a, Outcome)] == ["stored"]
        return answers

    with ThreadPoolExecutor(10) as pool:
        racing = [pool.submit(run, lambda first=first: tasks(first)) for first in (100, 200)]
        racing += [pool.submit(thread, number) for number in range(8)]
        answers = [answer for future in racing for answer in future.result(SECONDS)]

    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    stored = [(nonce, answer.position) for nonce, answer in answers if answer.name == "stored"]
    assert {answer.name for _, answer in answers} == {"stored", "conflict"}
    assert len(log) == len(stored) + 8 * 3
    for nonce, position in stored:
        assert f'"nonce":"{nonce:032x}"'.encode() in log[(position or 0) - 1][3]
    assert ledger.writer._leader is None
    assert not ledger.writer._queue


def test_what_gathers_is_one_batch_of_threads_and_tasks(ledger: ConsentLedger, ledger_place: Place) -> None:
    """And a conflict of one, or what the database refuses of one, fails no other."""
    now = b.now_of(ledger)
    commits: list[int] = []
    commit = ledger.writer._commit_batch

    def counted(appends: list[Append]) -> list[Outcome | Exception]:
        commits.append(len(appends))
        return commit(appends)

    async def work() -> list[str]:
        with commits_held_up(ledger_place) as waits:
            first = asyncio.create_task(told(ledger, b.append_of(b.stream_of(0), 1, now)))
            await until(waits)
            tasks = [
                asyncio.create_task(told(ledger, b.append_of(b.stream_of(n), 1 + n % 2, now, nonce=n)))
                for n in range(1, 7)
            ]
            await asyncio.sleep(0)
            thread = threading.Thread(target=ledger.writer.append, args=[b.append_of(b.stream_of(9), 1, now, nonce=9)])
            thread.start()
            await until(lambda: len(ledger.writer._queue) == 7)
        answers = await asyncio.gather(first, *tasks)
        await asyncio.to_thread(thread.join, SECONDS)
        return [*answers, await told(ledger, Append(b.stream_of(50), 1, [b"no JSON"]))]

    ledger.writer._commit_batch = counted  # type: ignore[method-assign, assignment]
    answers = run(work)
    assert answers == ["stored", *["conflict", "stored"] * 3, "InvalidTextRepresentation"]
    assert commits == [1, 7, 1]
    assert [stream for _, stream, *_ in b.whole_log(ledger_place)] == [b.stream_of(n) for n in (0, 2, 4, 6, 9)]


def test_one_wake_up_of_the_loop_for_a_batch(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)

    async def work() -> int:
        loop = asyncio.get_running_loop()
        wake_ups = 0
        call_soon = loop.call_soon_threadsafe

        def counted(*asked: object, **more: object) -> object:
            nonlocal wake_ups
            wake_ups += 1
            return call_soon(*asked, **more)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]
        with commits_held_up(ledger_place) as waits:
            first = asyncio.create_task(told(ledger, b.append_of(b.stream_of(0), 1, now)))
            await until(waits)
            tasks = [
                asyncio.create_task(told(ledger, b.append_of(b.stream_of(n), 1, now, nonce=n))) for n in range(1, 100)
            ]
            await until(lambda: len(ledger.writer._queue) == 99)
        assert set(await asyncio.gather(first, *tasks)) == {"stored"}
        return wake_ups

    assert run(work) == 2


def test_cancelled_before_its_batch_nothing_is_stored(ledger: ConsentLedger, ledger_place: Place) -> None:
    """Cancelled later it is; and whoever waits beside or behind it does not notice."""
    now = b.now_of(ledger)

    async def work() -> list[str]:
        with commits_held_up(ledger_place) as waits:
            tasks = [asyncio.create_task(told(ledger, b.append_of(b.stream_of(0), 1, now)))]
            await until(waits)
            for number in range(1, 6):
                append = b.append_of(b.stream_of(number), 1, now, nonce=number)
                tasks.append(asyncio.create_task(told(ledger, append)))
            await until(lambda: len(ledger.writer._queue) == 5)
            cancelled = [tasks[0], tasks[1], tasks[4]]  # the leader, the one to lead next, and one among others
            for task in cancelled:
                task.cancel()
            await asyncio.wait(cancelled)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        return [answer if isinstance(answer, str) else type(answer).__name__ for answer in answers]

    assert run(work) == ["CancelledError", "CancelledError", "stored", "stored", "CancelledError", "stored"]
    assert [stream for _, stream, *_ in b.whole_log(ledger_place)] == [b.stream_of(n) for n in (0, 2, 3, 5)]


def test_all_that_wait_are_cancelled(ledger: ConsentLedger, ledger_place: Place) -> None:
    """Their batch is empty, and the lead is free again."""
    now = b.now_of(ledger)

    async def work() -> list[str]:
        with commits_held_up(ledger_place) as waits:
            taken = asyncio.create_task(told(ledger, b.append_of(b.stream_of(0), 1, now)))
            await until(waits)
            waiting = asyncio.create_task(told(ledger, b.append_of(b.stream_of(1), 1, now, nonce=1)))
            await until(lambda: len(ledger.writer._queue) == 1)
            waiting.cancel()
            await asyncio.wait([waiting])
        return [await taken, await told(ledger, b.append_of(b.stream_of(2), 1, now, nonce=2))]

    assert run(work) == ["stored", "stored"]
    assert [stream for _, stream, *_ in b.whole_log(ledger_place)] == [b.stream_of(0), b.stream_of(2)]


def test_cancelled_at_random(ledger: ConsentLedger, ledger_place: Place) -> None:
    """Whoever got an answer got the right one, and nobody waits for ever."""
    now = b.now_of(ledger)
    dice = random.Random(3)

    async def task(number: int) -> list[tuple[int, Outcome]]:
        answers = []
        for turn in range(20):
            nonce = 1_000 * number + turn
            append = b.append_of(b.stream_of(nonce), 1, now, nonce=nonce)
            try:
                answer = await asyncio.wait_for(ledger.writer.append_async(append), dice.choice([60, 0, 0.002]))
            except TimeoutError:
                continue
            answers.append((nonce, answer))
        return answers

    async def work() -> list[tuple[int, Outcome]]:
        return [answer for answers in await asyncio.gather(*map(task, range(30))) for answer in answers]

    answers = run(work)
    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    assert len(answers) <= len(log) <= 600
    for nonce, answer in answers:
        assert (answer.name, log[(answer.position or 0) - 1][1]) == ("stored", b.stream_of(nonce))
    assert ledger.writer.append(b.append_of(b.stream_of(10**6), 1, now, nonce=10**6)).name == "stored"


def test_a_loop_that_ends_in_the_middle(ledger: ConsentLedger, ledger_place: Place) -> None:
    """What it had under way is committed, and the next loop appends as if nothing had happened."""
    now = b.now_of(ledger)
    with commits_held_up(ledger_place) as waits:

        async def left_behind() -> None:
            task = asyncio.create_task(told(ledger, b.append_of(b.stream_of(0), 1, now)))
            await until(waits)
            task.cancel()
            await asyncio.wait([task])

        run(left_behind)
    assert run(lambda: told(ledger, b.append_of(b.stream_of(1), 1, now, nonce=1))) == "stored"
    assert [stream for _, stream, *_ in b.whole_log(ledger_place)] == [b.stream_of(0), b.stream_of(1)]


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_commit_that_is_cut_off(ledger_place: Place, cut: str) -> None:
    """Looked up, and each task told what became of its own; with the same key it may ask again."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:  # short: a socket's path has at most 107 bytes
        proxy = Proxy(ledger_place.url or "", Path(folder))
        with open_ledger(replace(ledger_place, url=proxy.url)) as ledger:
            now = b.now_of(ledger)

            async def work() -> list[str]:
                with commits_held_up(ledger_place) as waits:
                    first = asyncio.create_task(told(ledger, b.append_of(b.stream_of(0), 1, now)))
                    await until(waits)
                    appends = [b.append_of(b.stream_of(n), 1, now, nonce=n) for n in range(1, 6)]
                    tasks = [asyncio.create_task(told(ledger, append)) for append in appends]
                    await until(lambda: len(ledger.writer._queue) == 5)
                    # The first commit's question has passed the proxy; the next one is cut.
                    proxy.cut = "before" if cut == "before" else "after"
                return await asyncio.gather(first, *tasks)

            answers = run(work)
            told_of_cut = [OutcomeUnknown.__name__ if cut == "before" else "stored"] * 5
            assert answers == ["stored", *told_of_cut]
            assert proxy.cuts == 1
            again = [b.append_of(b.stream_of(n), 1, now, nonce=n) for n in range(1, 6)]
            assert [run(partial(told, ledger, append)) for append in again] == [
                "stored" if cut == "before" else "conflict"
            ] * 5
        proxy.close()
    b.assert_whole(b.whole_log(ledger_place))


def test_a_server_that_cannot_be_reached_is_told_to_each(ledger: ConsentLedger, ledger_place: Place) -> None:
    def refuse() -> psycopg.Connection[object]:
        raise Unavailable("expected the ledger to answer, found nobody")

    ledger.writer.close()
    ledger.writer._open_connection = refuse
    now = ledger.clock.now()

    async def work() -> list[str]:
        return await asyncio.gather(*(told(ledger, b.append_of(b.stream_of(n), 1, now)) for n in range(4)))

    assert run(work) == ["Unavailable"] * 4
    assert b.whole_log(ledger_place) == []


def test_a_writer_that_is_closed_answers_whoever_waits(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)

    async def work() -> list[str]:
        with commits_held_up(ledger_place) as waits:
            first = asyncio.create_task(told(ledger, b.append_of(b.stream_of(0), 1, now)))
            await until(waits)
            second = asyncio.create_task(told(ledger, b.append_of(b.stream_of(1), 1, now, nonce=1)))
            await until(lambda: len(ledger.writer._queue) == 1)
            closing = threading.Thread(target=ledger.writer.close)
            closing.start()
            await until(lambda: ledger.writer._for_tasks._shutdown)
        answers = list(await asyncio.gather(first, second))
        await asyncio.to_thread(closing.join, SECONDS)
        return answers

    assert run(work) == ["stored", "stored"]
    b.assert_whole(b.whole_log(ledger_place))
