"""The report: `report.md` for people, `report.svg` for their eyes, `report.json` for whoever compares two runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from bench import picture
from bench.figures import Comparison, Findings
from bench.sizes import Sizes


@dataclass(frozen=True, slots=True)
class About:
    """When, where and how large."""

    size: str
    sizes: Sizes
    machine: list[str]
    load: tuple[str, str]
    begun: datetime
    ended: datetime


def write(folder: Path, about: About, found: dict[str, Findings]) -> list[Path]:
    """Writes the files; their paths."""
    comparisons = [row for findings in found.values() for row in findings.comparisons]
    written = [folder / "report.md", folder / "report.svg", folder / "report.json"]
    written[0].write_text("\n".join(lines(about, found)) + "\n", encoding="utf-8")
    written[1].write_text(picture.svg(comparisons), encoding="utf-8")
    written[2].write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    return written


def lines(about: About, found: dict[str, Findings]) -> Iterable[str]:
    findings = list(found.values())
    comparisons = [row for each in findings for row in each.comparisons]
    yield from head(about)
    goals = [row for row in comparisons if row.goal is not None]
    if goals:
        yield from (f"**{sum(row.verdict == 'met' for row in goals)} of {len(goals)} goals are met.**", "")
    for title, rows in (
        ("Goals", goals),
        ("Reported, and growth", [row for row in comparisons if row.goal is None]),
    ):
        if rows:
            yield from (f"## {title}", "", *table(rows), "")
    if missed := [row for row in comparisons if row.verdict == "not met"]:
        yield from ("## What was not met, and why", "")
        yield from (why(row) for row in missed)
        yield ""
    if latencies := [one for each in findings for one in each.latencies]:
        yield from ("## Latency of a call", "", "| callers | calls/s | median ms | 99th percentile ms |")
        yield "| --- | ---: | ---: | ---: |"
        yield from (
            f"| {one.who} | {one.rate:,.0f} | {one.median:.2f} | {'' if one.p99 is None else f'{one.p99:.2f}'} |"
            for one in latencies
        )
        yield from ("", "pgbench says a mean and no percentiles; of several processes it is the slowest's.", "")
    if peaks := [one for each in findings for one in each.peaks]:
        yield from ("## Memory at most", "", "| work | size | MiB |", "| --- | --- | ---: |")
        yield from (f"| {one.work} | {one.size} | {one.mebibytes:,.0f} |" for one in peaks)
        yield ""
    if rooms := [one for each in findings for one in each.rooms]:
        yield from (f"## Room on disk, with {rooms[0].entries:,} entries about {rooms[0].people:,} people", "")
        yield from ("| what | bytes an entry | bytes a person |", "| --- | ---: | ---: |")
        yield from (f"| {one.what} | {one.bytes / one.entries:.0f} | {one.bytes / one.people:.0f} |" for one in rooms)
        yield ""
    if absent := {name: reason for each in findings for name, reason in each.absent.items()}:
        yield from ("## Left out, and why", "", *(f"- {name}: {reason}." for name, reason in absent.items()))
    if notes := [note for each in findings for note in each.notes]:
        yield from ("", "## Notes", "", *(f"- {note}" for note in notes))


def head(about: About) -> Iterable[str]:
    minutes = (about.ended - about.begun).total_seconds() / 60
    yield from ("# Bench", "", "![What each ratio is, and its goal](report.svg)", "")
    yield (
        f"Measured by `make bench` at size `{about.size}` on {about.begun:%Y-%m-%d}, in {minutes:.0f} minutes. Only "
        "ratios mean anything: both sides were measured in one run, in turn, each once in each of "
        f"{about.sizes.rounds} rounds; a ratio is the median of the rounds', and behind it stand the smallest and the "
        "largest."
    )
    yield ""
    if about.sizes.shows_little:
        yield from ("**This size shows only that the bench works; its ratios say nothing.**", "")
    yield from (f"- {line}" for line in about.machine)
    before, after = about.load
    yield f"- load of the machine, last minute and last quarter of an hour: {before} before, {after} after"
    yield ""


def why(row: Comparison) -> str:
    said = f"- **{row.work}**, against {row.against}: {row.ratio:.2f} × of {row.goal:g} ×."
    if row.limits is None:
        return f"{said} Why is not known."
    return f"{said} What bounds it: {row.limits.bound}. Tried: {row.limits.tried}. At most: {row.limits.limit}."


def table(rows: Sequence[Comparison]) -> Iterable[str]:
    yield "| work | size | against | ours | theirs | ratio | goal | |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |"
    for row in rows:
        goal = "" if row.goal is None else f"≥ {row.goal:g} ×"
        yield (
            f"| {row.work} | {row.size} | {row.against} | {rate(row.ours, row.unit)} | {rate(row.theirs, row.unit)} "
            f"| **{row.ratio:.2f} ×** ({min(row.ratios):.2f} to {max(row.ratios):.2f}) | {goal} | {row.verdict} |"
        )


def rate(found: Sequence[float], unit: str) -> str:
    middle = statistics.median(found)
    digits = 0 if middle >= 100 else 2
    return f"{middle:,.{digits}f} {unit}/s"
