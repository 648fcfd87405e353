"""`consent filter`: the gate."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cli.session import Session
from cli.types import MOMENT, NAME


@click.command()
@click.argument("items", nargs=-1, required=True)
@click.option("--run", required=True, type=NAME, help="The training run; the same again goes on where it was.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder for the files.")
@click.option("--started-at", type=MOMENT, help="When the run started or starts. Default: now.")
@click.option("--purpose", type=NAME, help="Default: the one that the published terms name.")
@click.option("--kind", type=NAME, help="What items without a kind are. Default: the purpose's first.")
@click.option("--parent", type=NAME, help="The run that this one continues.")
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark"]),
    default="duckdb",
    show_default=True,
    help="What decides: this machine, or Apache Spark.",
)
@click.option("--dry-run", is_flag=True, help="Decide, and record and write nothing.")
@click.pass_obj
def command(
    session: Session,
    items: tuple[str, ...],
    run: str,
    out: Path | None,
    started_at: datetime | None,
    purpose: str | None,
    kind: str | None,
    parent: str | None,
    engine: str,
    dry_run: bool,
) -> None:
    """Split ITEMS (Parquet, CSV or JSON Lines; files, folders or patterns) into what RUN may use and what not."""
    if out is None and not dry_run:
        raise click.UsageError("expected --out, the folder for the files, or --dry-run; found neither")
    from ledger.gate.gate import Asked, filter_items
    from ledger.gate.gate import dry_run as dry_run_of
    from ledger.gate.inputs import check_name, find_items

    if out is not None:
        check_name(out)
    asked = Asked(find_items(items), run, started_at, purpose, kind, parent)
    with session.ledger() as ledger, session.progress("starting") as watch:
        if out is None or dry_run:
            start, counts = dry_run_of(ledger, asked, watch, engine)
            summary: dict[str, Any] = {
                "run": run,
                "items": counts.items,
                "permitted": counts.permitted,
                "refused": counts.refused,
                "by_reason": counts.by_reason,
                "uses": 0,
                "cutoff": start.cutoff,
                "dry_run": True,
            }
        else:
            outcome = filter_items(ledger, asked, out, watch, engine)
            summary = outcome.summary
    _show(session, summary, out if not dry_run else None)


def _show(session: Session, summary: dict[str, Any], out: Path | None) -> None:
    done = f"written to {out}" if out else "nothing recorded, nothing written"
    session.result(
        summary,
        f"run {summary['run']}: {summary['items']:,} items, {summary['permitted']:,} permitted, "
        f"{summary['refused']:,} refused, {summary['uses']:,} uses; {done}",
    )
    session.table(["reason", "items"], [[reason, f"{count:,}"] for reason, count in summary["by_reason"].items()])
