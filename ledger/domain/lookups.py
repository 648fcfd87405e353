"""Answers about many decisions that are looked up, not searched for: whoever toggles all day slows nobody down."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Generic, Protocol, TypeVar

#: A moment with a version, which orders what is of one moment.
Moment = tuple[datetime, int]


class Earliest:
    """Of pairs, each a key and a value: the least value among those of some key or a higher one."""

    def __init__(self, pairs: Iterable[tuple[Moment, Moment]], never: Moment) -> None:
        """`never` stands for the least of none."""
        ordered = sorted(pairs, reverse=True)
        self._keys = [key for key, _ in reversed(ordered)]
        self._least = list(accumulate((value for _, value in ordered), min, initial=never))

    def since(self, key: Moment) -> Moment:
        return self._least[len(self._keys) - bisect_left(self._keys, key)]


class Covers(Protocol):
    """A span of time `[start, end)`, without an end where `end` is none."""

    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime | None: ...
    def covers(self, moment: datetime, until: datetime) -> bool: ...


Span = TypeVar("Span", bound=Covers)


class Covering(Generic[Span]):
    """Of spans that start one after another: the last that covers some moment."""

    def __init__(self, spans: Sequence[Span]) -> None:
        edges = {edge for span in spans for edge in (span.start, span.end) if edge is not None}
        self._edges = sorted(edges)
        #: From each edge on, and before the first.
        self._last: list[Span | None] = [None]
        to_come, begun = list(reversed(spans)), list[Span]()
        for edge in self._edges:
            while to_come and to_come[-1].start <= edge:
                begun.append(to_come.pop())
            # What has begun and covers this edge no more covers none after it.
            while begun and not begun[-1].covers(edge, edge):
                begun.pop()
            self._last.append(begun[-1] if begun else None)

    def at(self, moment: datetime) -> Span | None:
        return self._last[bisect_right(self._edges, moment)]
