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
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

WARM_SECONDS = 0.5
#: Until callers that do not answer are given up.
PATIENCE_SECONDS = 180.0


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


def called(commands: Sequence[Sequence[str]], environment: dict[str, str] | None = None) -> Calls:
    """What processes of callers did that began together; latencies are those of the slowest of them."""
    processes = [
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    try:
        for process in processes:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            if process.stdout.readline().strip() != "ready":
                _, complaint = process.communicate(timeout=PATIENCE_SECONDS)
                raise RuntimeError(complaint.strip().splitlines()[-1] if complaint.strip() else "it ended at once")
        begun = [process for process in processes if process.stdin is not None and process.stdin.write("\n")]
        for process in begun:
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            process.stdin.flush()
        answers = [process.communicate(timeout=PATIENCE_SECONDS) for process in processes]
        for process, (_, complaint) in zip(processes, answers, strict=True):
            if process.returncode != 0:
                raise RuntimeError(complaint.strip().splitlines()[-1] if complaint.strip() else "it failed")
        found = [Calls(**json.loads(said.strip().splitlines()[-1])) for said, _ in answers]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    return Calls(
        sum(calls.appends for calls in found),
        max(calls.seconds for calls in found),
        max(calls.median for calls in found),
        max(calls.p99 or 0 for calls in found),
    )
