"""`consent check`: may this item be used? One verdict, by the same rules as the gate's."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cli.session import Session
from cli.types import FREE, MOMENT, NAME

if TYPE_CHECKING:
    from ledger.domain.eligibility import Verdict

PERMITTED, REFUSED = 0, 1


@click.command()
@click.argument("subject")
@click.option("--collected-at", type=MOMENT, required=True, metavar="TIME", help="When the item was collected.")
@click.option("--run-started", type=MOMENT, metavar="TIME", help="When the run started. Default: now.")
@click.option("--purpose", type=NAME, help="Default: the one that the published terms name.")
@click.option("--kind", type=NAME, help="Default: the purpose's first.")
@click.option("--plan", type=FREE, help="The item's plan. Default: the person's when it was collected.")
@click.option("--explain", is_flag=True, help="Name the entries that the verdict rests on.")
@click.pass_obj
def command(
    session: Session,
    subject: str,
    collected_at: datetime,
    run_started: datetime | None,
    purpose: str | None,
    kind: str | None,
    plan: str | None,
    explain: bool,
) -> int:
    """May an item of SUBJECT be used? 0 when it may, 1 when not."""
    import msgspec

    from ledger.checking import Question, check_all
    from ledger.domain.answers import entry_told, verdict_told
    from ledger.domain.defaults import kind_meant, purpose_meant
    from ledger.domain.eligibility import Item

    with session.ledger() as ledger:
        meant = purpose_meant(ledger.catalogue(), purpose)
        item = Item(collected_at, kind_meant(ledger.catalogue(), meant, kind), plan)
        checked = check_all(ledger, [Question(subject, meant, item, run_started)])[0]
    verdict, history = checked.verdict, checked.history
    fields: dict[str, Any] = msgspec.to_builtins(verdict_told(verdict, checked.position))
    lines = [_sentence(verdict, checked.position)]
    if explain:
        from cli.words import entry_line, in_words
        from ledger.domain.explanation import rests_on

        versions = set() if history is None else set(rests_on(verdict, history.record, meant, item))
        named = [placed for placed in history.entries if placed.entry.version in versions] if history else []
        fields["rests_on"] = [
            msgspec.to_builtins(entry_told(placed)) | {"what": in_words(placed.entry)} for placed in named
        ]
        lines += [f"  {entry_line(placed)}" for placed in named] or ["  it rests on no entry that this name leads to"]
    session.result(fields, "\n".join(lines))
    return PERMITTED if verdict.permitted else REFUSED


def _sentence(verdict: Verdict, position: int) -> str:
    from ledger.domain.times import format_time

    parts: list[Any] = [f"{'permitted' if verdict.permitted else 'refused'}: {verdict.reason}"]
    if verdict.detail:
        parts.append(verdict.detail)
    if verdict.basis is not None:
        parts.append(f"basis version {verdict.basis} ({verdict.quality}, terms {verdict.terms})")
    if verdict.keep_until is not None:
        parts.append(f"keep until {format_time(verdict.keep_until)}")
    return ", ".join([*parts, f"decided on position {position}"])
