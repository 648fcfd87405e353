"""What a bench finds: comparisons of two sides measured in turn, latencies, peaks of memory, room on disk."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

Verdict = Literal["met", "not met", "reported"]


class Limits(Struct, frozen=True, kw_only=True):
    """Of a goal that is not met, or may not be: for whoever reads that it was missed."""

    #: What bounds it.
    bound: str
    #: What was tried, and did not help.
    tried: str
    #: What can be reached at most, as far as we know.
    limit: str


class Comparison(Struct, frozen=True, kw_only=True):
    """One row of the report; `ours` and `theirs` are rates a second, a round each, measured side by side."""

    work: str
    against: str
    size: str
    unit: str
    ours: list[float]
    theirs: list[float]
    goal: float | None = None
    limits: Limits | None = None

    @property
    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def verdict(self) -> Verdict:
        if self.goal is None:
            return "reported"
        return "met" if self.ratio >= self.goal else "not met"


class Latency(Struct, frozen=True, kw_only=True):
    """Milliseconds from a call to its acknowledgement, the median of the rounds."""

    who: str
    rate: float
    median: float
    #: None where the caller does not tell.
    p99: float | None


class Peak(Struct, frozen=True, kw_only=True):
    """The largest resident memory of a process that did `work`, in MiB."""

    work: str
    size: str
    mebibytes: float


class Room(Struct, frozen=True, kw_only=True):
    """Bytes on disk for so many entries about so many people."""

    what: str
    entries: int
    people: int
    bytes: int


class Findings(Struct, kw_only=True):
    """What one section found; `absent` names what could not be compared, and why."""

    comparisons: list[Comparison] = []
    latencies: list[Latency] = []
    peaks: list[Peak] = []
    rooms: list[Room] = []
    absent: dict[str, str] = {}
    notes: list[str] = []


def in_turn(rounds: int, sides: Sequence[Callable[[], float]]) -> list[list[float]]:
    """What each side measures, round by round, each once a round; the order turns round after each."""
    found: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        order = list(range(len(sides)))
        for side in order if number % 2 == 0 else reversed(order):
            found[side].append(sides[side]())
    return found


def seconds_of(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that some work takes by a clock: `time.process_time` for those of this process alone."""
    begun = clock()
    work()
    return clock() - begun
