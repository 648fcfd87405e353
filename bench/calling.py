"""Callers that append one event each, again and again: the loop that ours and every Python peer's run in.

A process of callers says `ready` once it is warm, waits for a line, calls for so many seconds, and prints one line of
JSON: `appends`, `seconds`, and the milliseconds that one call took, `median` and `p99`.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

WARM_SECONDS = 0.5
#: Until callers that do not answer are given up; they are asked for a few seconds of work.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Calls:
    """What callers did together: appends acknowledged, seconds, and milliseconds that one call took."""

    appends: int
    seconds: float
    median: float
    #: None where it is not told.
    p99: float | None

    @property
    def rate(self) -> float:
        return self.appends / self.seconds


def by_threads(call: Callable[[], object], callers: int, seconds: float) -> Calls:
    """So many threads that call one after the other."""
    took: list[list[float]] = [[] for _ in range(callers)]
    failed: list[BaseException] = []
    begun = time.perf_counter()
    end = begun + seconds

    def work(mine: list[float]) -> None:
        try:
            while (before := time.perf_counter()) < end:
                call()
                mine.append(time.perf_counter() - before)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=[mine]) for mine in took]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return _calls(took, time.perf_counter() - begun)


def by_tasks(call: Callable[[], Awaitable[object]], callers: int, seconds: float) -> Calls:
    """So many tasks of one event loop."""

    async def work(end: float) -> list[float]:
        mine = []
        while (before := time.perf_counter()) < end:
            await call()
            mine.append(time.perf_counter() - before)
        return mine

    async def all_of_them() -> list[list[float]]:
        end = time.perf_counter() + seconds
        return await asyncio.gather(*(work(end) for _ in range(callers)))

    begun = time.perf_counter()
    took = asyncio.run(all_of_them())
    return _calls(took, time.perf_counter() - begun)


def _calls(took: Sequence[Sequence[float]], seconds: float) -> Calls:
    all_of_them = [1_000 * one for mine in took for one in mine]
    percent = statistics.quantiles(all_of_them, n=100) if len(all_of_them) > 1 else [0.0] * 99
    return Calls(len(all_of_them), seconds, percent[49], percent[98])


def when_told(run: Callable[[float], Calls], seconds: float) -> None:
    """Warms up, says so, runs when told, and says what was done."""
    run(min(WARM_SECONDS, seconds))
    print("ready", flush=True)
    sys.stdin.readline()
    calls = run(seconds)
    fields = {"appends": calls.appends, "seconds": calls.seconds, "median": calls.median, "p99": calls.p99}
    print(json.dumps(fields), flush=True)


@contextmanager
def patience(processes: Sequence[subprocess.Popen[str]]) -> Iterator[None]:
    """Ends processes that are not done in time, whatever they hang in: before they are ready, or with a full pipe."""
    is_late = threading.Event()

    def give_up() -> None:
        is_late.set()
        for process in processes:
            process.kill()

    watch = threading.Timer(PATIENCE_SECONDS, give_up)
    watch.start()
    try:
        yield
    except (RuntimeError, OSError):
        if not is_late.is_set():
            raise
    finally:
        watch.cancel()
    if is_late.is_set():
        raise RuntimeError(f"it did not answer within {PATIENCE_SECONDS:g} s")


def begun_together(processes: Sequence[subprocess.Popen[str]]) -> Sequence[subprocess.Popen[str]]:
    """Waits until each is ready, then tells all."""
    for process in processes:
        if pipe(process.stdout).readline().strip() != "ready":
            _, complaint = process.communicate()
            raise RuntimeError(_last_line(complaint) or "it ended at once")
    for process in processes:
        pipe(process.stdin).write("\n")
        pipe(process.stdin).flush()
    return processes


def pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise TypeError("expected a process with pipes")
    return stream


def _last_line(said: str) -> str:
    return said.strip().rpartition("\n")[2]


def called(commands: Sequence[Sequence[str]], environment: dict[str, str] | None = None) -> Calls:
    """What processes of callers did that began together; latencies are those of the slowest of them."""
    processes = [
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    try:
        with patience(processes):
            answers = [one.communicate() for one in begun_together(processes)]
        for process, (_, complaint) in zip(processes, answers, strict=True):
            if process.returncode != 0:
                raise RuntimeError(_last_line(complaint) or "it failed")
        found = [Calls(**json.loads(_last_line(said))) for said, _ in answers]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return Calls(
        sum(calls.appends for calls in found),
        max(calls.seconds for calls in found),
        max(calls.median for calls in found),
        max(calls.p99 or 0 for calls in found),
    )
