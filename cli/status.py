"""`consent status`: what is on for a person, since when, by what decision, shown how."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from cli.session import Session
from cli.types import MOMENT
from ledger.errors import InvalidInput

if TYPE_CHECKING:
    from ledger.domain.as_of import History


@click.command()
@click.argument("subject")
@click.option("--as-of", "moment", type=MOMENT, metavar="TIME", help="By what was recorded at or before this time.")
@click.option("--position", type=click.IntRange(min=1), metavar="N", help="By the first N entries of the log.")
@click.pass_obj
def command(session: Session, subject: str, moment: datetime | None, position: int | None) -> None:
    """What is on for SUBJECT, since when, by what decision, shown how."""
    from ledger.history import AsOf, history_of

    if moment is not None and position is not None:
        raise InvalidInput("expected --as-of or --position, found both; give one")
    with session.ledger() as ledger:
        stream = ledger.subject(subject).stream or ""
        history = history_of(ledger, stream, AsOf(moment, position))
    _print(session, history)


def _print(session: Session, history: History) -> None:
    import msgspec

    from cli.words import details_in_words, state_in_words
    from ledger.domain.answers import status_told
    from ledger.domain.as_of import states_of
    from ledger.domain.times import format_time

    record = history.record
    states = states_of(record, history.moment)
    entries = {placed.entry.version: placed for placed in history.entries}
    lines = [f"key:{history.stream} at {format_time(history.moment)}, position {history.position}"]
    if record.erased is not None:
        lines.append(f"erased {format_time(record.erased)}: nothing is on, and nothing more is recorded")
    for state in states:
        lines.append(state_in_words(state))
        lines += [f"  {detail}" for detail in details_in_words(state, entries)]
    session.result(msgspec.to_builtins(status_told(history)), "\n".join(lines))
