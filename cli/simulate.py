"""`consent simulate`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click

from cli.session import Session
from cli.types import NAME

#: More people than any provider has; a slip of the finger should not fill the disk.
MOST_SUBJECTS = 1_000_000_000


@click.command()
@click.option("--subjects", type=click.IntRange(1, MOST_SUBJECTS), metavar="N", help="So many made-up people.")
@click.option("--items", metavar="FILE", help="The people of a real item file: Parquet, CSV or JSON Lines.")
@click.option("--terms", "version", type=NAME, metavar="VERSION", help="Default: the terms published last.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same events.")
@click.option("-o", "output", type=click.Path(path_type=Path), metavar="FILE", help="Default: standard output.")
@click.pass_obj
def command(
    session: Session, subjects: int | None, items: str | None, version: str | None, seed: int, output: Path | None
) -> None:
    """Make a synthetic population live through a change of terms, as events to import.

    Every surface in them begins with "simulated-". Nothing happens later than 300 days after the announcement.
    """
    if (subjects is None) == (items is None):
        raise click.UsageError("expected either --subjects N or --items FILE, found both or neither")
    from ledger import simulate as population
    from ledger.files import whole_file

    with session.ledger() as ledger:
        terms = ledger.terms(version)
    named: Iterable[str] = population.subjects(subjects) if subjects else population.subjects_of_items(items or "")
    counts: Counter[str] = Counter()
    lines = population.simulate(terms, named, seed, counts)
    if output is None:
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")
        session.remark(
            f"simulated {counts.total()} people under terms {terms.version}, seed {seed}; none of it is real"
        )
        return
    events = 0
    with session.progress("simulating events") as progress, whole_file(output) as file:
        for line in lines:
            file.write(line + b"\n")
            events += 1
            progress.advance()
    session.result(
        {
            "simulated": True,
            "terms": terms.version,
            "seed": seed,
            "subjects": counts.total(),
            "events": events,
            "behaviours": dict(sorted(counts.items())),
            "file": str(output),
        },
        f"simulated {counts.total()} people under terms {terms.version}, seed {seed}: {events} events in {output}; "
        "none of it is real",
    )
