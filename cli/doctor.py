"""`consent doctor`: looks the ledger over, and says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.session import Session

if TYPE_CHECKING:
    from ledger.store.doctor import Finding

WELL, WRONG = 0, 1


@click.command()
@click.pass_obj
def command(session: Session) -> int:
    """Look the ledger over: a line a check, and what to do where one fails. 0 when all is well, 1 when not."""
    from ledger.store.doctor import examine

    with session.progress("checks") as progress:

        def watch(total: int, read: int) -> None:
            if read:
                progress.advance(read)
            else:
                progress.now("entries", total)

        findings = list(examine(session.place, watch))
    for finding in findings:
        _print(session, finding)
    return WELL if all(finding.ok for finding in findings) else WRONG


def _print(session: Session, finding: Finding) -> None:
    if session.as_json:
        session.lines([{"check": finding.check, "ok": finding.ok, "found": finding.found, "remedy": finding.remedy}])
        return
    click.echo(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.check}: {finding.found}")
    if finding.remedy is not None:
        click.echo(f"       to do: {finding.remedy}")
