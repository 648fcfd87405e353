"""The ratios as bars on a logarithmic scale, each with its spread and its goal, as plain SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from bench.figures import Comparison

WIDTH, LEFT, RIGHT, ROW, TOP = 1_000, 470, 90, 26, 60
COLOURS = {"met": "#2f7d4f", "not met": "#b3541e", "reported": "#5b6b7b"}


def svg(rows: Sequence[Comparison]) -> str:
    height = TOP + ROW * len(rows) + 20
    ends = [
        value for row in rows for value in (*row.ratios, row.goal or 1.0) if math.isfinite(value) and value > 0
    ] or [1.0]
    low, high = math.floor(math.log10(min([*ends, 1]))), math.ceil(math.log10(max([*ends, 10])))
    scale = (WIDTH - LEFT - RIGHT) / (high - low)

    def x(value: float) -> float:
        return LEFT + (math.log10(max(value, 10**low)) - low) * scale

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12" role="img" aria-label="Ratios of the bench, and their goals">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="10" y="20" font-size="15" font-weight="bold">Ours against theirs, measured side by side</text>',
        '<text x="10" y="38" fill="#444">Bar: median ratio. Thin line: smallest to largest round. Black mark: goal. '
        "Green: met, orange: not met, grey: reported.</text>",
    ]
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 4}" y2="{height - 14}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - 2}" text-anchor="middle" fill="#444">{10.0**power:g} ×</text>')
    for number, row in enumerate(rows):
        parts += bar(row, TOP + ROW * number, x)
    return "\n".join([*parts, "</svg>"]) + "\n"


def bar(row: Comparison, top: float, x: Callable[[float], float]) -> list[str]:
    ratio, low, high = row.ratio, min(row.ratios), max(row.ratios)
    start, end = sorted((x(1.0), x(ratio)))
    middle = top + ROW / 2
    label = f"{row.work} / {row.against}"
    parts = [
        f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(label[:78])}</text>',
        f'<rect x="{start:.1f}" y="{top + 5:.1f}" width="{max(end - start, 1):.1f}" height="{ROW - 10}" '
        f'fill="{COLOURS[row.verdict]}"><title>{escape(f"{label}, {row.size}")}</title></rect>',
        f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{middle:.1f}" y2="{middle:.1f}" stroke="#111"/>',
        f'<text x="{WIDTH - RIGHT + 12}" y="{middle + 4:.1f}">{ratio:.2f} ×</text>',
    ]
    if row.goal is not None:
        at = x(row.goal)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top + 2:.1f}" y2="{top + ROW - 2:.1f}" stroke="#111" '
            f'stroke-width="3"><title>goal: {row.goal:g} ×</title></line>'
        )
    return parts
