"""Plots as geometry, which a template draws; each has the same numbers as a table beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 12, 28
#: Of a plot whose bars lie: what stands on their left, and one bar.
NAMES, ROW = 230, 26
#: Days whose name stands below the axis, at most: more would run into each other.
MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of bar: `style` is its class in the style sheet, `values` one for each place."""

    name: str
    style: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    style: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Words in the plot, `style` says how they stand to their place; a `line` across goes with some."""

    x: float
    y: float
    words: str
    style: str
    line: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """Bars on one scale, stacked where a place has several; `summary` says in a sentence what is to be seen."""

    id: str
    title: str
    summary: str
    height: float
    series: Sequence[Series]
    bars: Sequence[Bar]
    marks: Sequence[Mark]
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def over_days(id: str, title: str, summary: str, days: Sequence[str], series: Sequence[Series]) -> Plot:
    """Standing bars, a day each; the table leaves out days on which there was nothing."""
    top = _round_up(max(map(sum, _by_place(series)), default=0))
    width = (WIDTH - LEFT - RIGHT) / len(days)
    bars = []
    for number, values in enumerate(_by_place(series)):
        below = 0.0
        for one, value in zip(series, values, strict=True):
            y = _height_of(below + value, top)
            bars.append(Bar(LEFT + (number + 0.1) * width, y, 0.8 * width, _height_of(below, top) - y, one.style))
            below += value
    marks = [
        Mark(LEFT + (number + 0.5) * width, HEIGHT - 8, day, "across")
        for number, day in enumerate(days)
        if number % math.ceil(len(days) / MOST_NAMES) == 0
    ]
    marks += [Mark(LEFT - 6, _height_of(share * top, top), f"{share * top:g}", "up", True) for share in (0, 0.5, 1)]
    rows = [row for row, values in zip(_rows(days, series), _by_place(series), strict=True) if any(values)]
    return Plot(id, title, summary, HEIGHT, series, bars, marks, ["Day", *_names(series)], rows)


def over_names(id: str, title: str, summary: str, head: str, names: Sequence[str], series: Sequence[Series]) -> Plot:
    """Lying bars, a name each, with the number at the end."""
    most = max(map(sum, _by_place(series)), default=0) or 1
    bars, marks = [], []
    for number, (name, values) in enumerate(zip(names, _by_place(series), strict=True)):
        y, x = TOP + number * ROW, float(NAMES)
        for one, value in zip(series, values, strict=True):
            width = value / most * (WIDTH - NAMES - LEFT)
            bars.append(Bar(x, y, width, 0.7 * ROW, one.style))
            x += width
        marks += [Mark(NAMES - 8, y + 0.5 * ROW, name, "up"), Mark(x + 6, y + 0.5 * ROW, f"{sum(values):g}", "after")]
    height = TOP + len(names) * ROW
    return Plot(id, title, summary, height, series, bars, marks, [head, *_names(series)], _rows(names, series))


def _by_place(series: Sequence[Series]) -> list[tuple[float, ...]]:
    return list(zip(*(one.values for one in series), strict=True))


def _names(series: Sequence[Series]) -> list[str]:
    return [one.name for one in series]


def _rows(places: Sequence[str], series: Sequence[Series]) -> list[list[str]]:
    return [
        [place, *(f"{value:g}" for value in values)] for place, values in zip(places, _by_place(series), strict=True)
    ]


def _height_of(value: float, top: float) -> float:
    return TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM)


def _round_up(most: float) -> float:
    """The least of 1, 2, 4, 10, 20, 40 … that holds it: halves of those are short to write."""
    size = 10 ** math.floor(math.log10(max(most, 1)))
    return float(next(step * size for step in (1, 2, 4, 10) if step * size >= most))
