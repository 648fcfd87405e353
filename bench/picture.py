"""What was found as dots on logarithmic scales, as plain SVG: first on which side of its goal each ratio lies, then
what is reported, and how it grows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from html import escape

from bench.figures import Comparison

WIDTH, LEFT, RIGHT, MARGIN = 1_000, 440, 210, 16
#: Of a goal, of a heading, and of one size below it.
TALL, HEADING, ROW = 42, 36, 20
COLOURS = {"met": "#2f7d4f", "not met": "#b3541e", "reported": "#5b6b7b"}
#: Characters of 12 and of 11 points that the left column holds.
LABEL, DETAIL = 62, 70

Scale = Callable[[float], float]


def svg(rows: Sequence[Comparison]) -> str:
    goals = [row for row in rows if row.goal is not None]
    reported = {
        (row.work, row.against): [other for other in rows if (other.work, other.against) == (row.work, row.against)]
        for row in rows
        if row.goal is None
    }
    first = MARGIN + 48
    second = first + TALL * len(goals) + 88
    height = second + sum(HEADING + ROW * len(several) for several in reported.values()) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12" role="img" aria-label="Ratios of the bench, and their goals">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *goals_part(goals, first),
        *reported_part(reported, second),
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def goals_part(rows: Sequence[Comparison], top: float) -> Iterator[str]:
    """On a scale of shares of the goal: what is met stands on the right of one line."""
    met = sum(row.verdict == "met" for row in rows)
    yield title(f"{met} of {len(rows)} goals met", "Each dot is our rate by theirs, as a share of the goal", top)
    shares = {id(row): [ratio / (row.goal or 1) for ratio in row.ratios] for row in rows}
    low, high, x = scale([value for values in shares.values() for value in values], 0.1, 10)
    bottom = top + TALL * len(rows)
    for start, end, verdict in ((x(low), x(1), "not met"), (x(1), x(high), "met")):
        yield (
            f'<rect x="{start:.1f}" y="{top}" width="{end - start:.1f}" height="{bottom - top}" '
            f'fill="{COLOURS[verdict]}" opacity="0.10"/>'
        )
    yield from ticks(low, high, x, top, bottom, lambda value: "goal" if value == 1 else f"{value:g} × goal")
    yield f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{top}" y2="{bottom}" stroke="#111" stroke-width="2"/>'
    for number, row in enumerate(rows):
        middle = top + TALL * (number + 0.5)
        yield text(MARGIN, middle - 3, cut(row.work, LABEL), "font-weight='bold'")
        yield text(MARGIN, middle + 13, cut(f"against {row.against}; {row.size}", DETAIL), "font-size='11' fill='#444'")
        yield from dot(row, shares[id(row)], middle, x)
        yield text(WIDTH - RIGHT + 16, middle - 3, f"{row.ratio:.2f} ×, goal ≥ {row.goal:g} ×")
        yield text(WIDTH - RIGHT + 16, middle + 13, row.verdict, f"font-weight='bold' fill='{COLOURS[row.verdict]}'")


def reported_part(groups: dict[tuple[str, str], list[Comparison]], top: float) -> Iterator[str]:
    """Our rate by theirs, at each size."""
    rows = [row for several in groups.values() for row in several]
    if not rows:
        return
    yield title("Reported, and growth", "Each dot is our rate by theirs, at one size", top)
    low, high, x = scale([ratio for row in rows for ratio in row.ratios], 0.1, 10)
    bottom = top + sum(HEADING + ROW * len(several) for several in groups.values())
    yield from ticks(low, high, x, top, bottom, lambda value: f"{value:g} ×")
    at = top
    for (work, against), several in groups.items():
        yield text(MARGIN, at + 16, cut(work, LABEL), "font-weight='bold'")
        yield text(MARGIN, at + 31, cut(f"against {against}", DETAIL), "font-size='11' fill='#444'")
        at += HEADING
        for row in several:
            middle = at + ROW / 2
            yield text(LEFT - 16, middle + 4, row.size, "font-size='11' text-anchor='end'")
            yield from dot(row, row.ratios, middle, x)
            yield text(WIDTH - RIGHT + 16, middle + 4, f"{row.ratio:.2f} ×")
            at += ROW


def scale(values: Sequence[float], least: float, most: float) -> tuple[float, float, Scale]:
    """The ends of a scale in whole powers of ten, and the place of a value on it."""
    seen = [value for value in values if math.isfinite(value) and value > 0]
    first, last = math.floor(math.log10(min([*seen, least]))), math.ceil(math.log10(max([*seen, most])))
    step = (WIDTH - LEFT - RIGHT) / (last - first)

    def x(value: float) -> float:
        return LEFT + (math.log10(min(max(value, 10**first), 10**last)) - first) * step

    return 10**first, 10**last, x


def ticks(low: float, high: float, x: Scale, top: float, bottom: float, name: Callable[[float], str]) -> Iterator[str]:
    value = low
    while value <= high * 1.001:
        yield f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{top}" y2="{bottom}" stroke="#ccc"/>'
        yield text(x(value), bottom + 16, name(float(f"{value:.6g}")), "text-anchor='middle' fill='#444'")
        value *= 10


def dot(row: Comparison, values: Sequence[float], middle: float, x: Scale) -> Iterator[str]:
    """The median, on a line from the smallest round to the largest."""
    at = x(statistics.median(values))
    yield (
        f'<line x1="{x(min(values)):.1f}" x2="{x(max(values)):.1f}" y1="{middle:.1f}" y2="{middle:.1f}" '
        f'stroke="{COLOURS[row.verdict]}" stroke-width="3"/>'
    )
    yield f'<circle cx="{at:.1f}" cy="{middle:.1f}" r="6" fill="{COLOURS[row.verdict]}"/>'


def title(words: str, below: str, top: float) -> str:
    return text(MARGIN, top - 28, words, "font-size='18' font-weight='bold'") + text(
        MARGIN, top - 10, f"{below}; its line goes from the smallest round to the largest.", "fill='#444'"
    )


def text(x: float, y: float, words: str, how: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {how}>{escape(words)}</text>'


def cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"
