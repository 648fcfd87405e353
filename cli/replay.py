"""`consent replay`: history, event by event, and what other rules would have said of every use."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.session import Progress, Session, to_json
from cli.types import MOMENT
from ledger.errors import InvalidInput

if TYPE_CHECKING:
    from ledger.application import ConsentLedger
    from ledger.domain.as_of import Placed
    from ledger.domain.eligibility import Verdict
    from ledger.domain.terms import Terms
    from ledger.history import AsOf, ComparedUse

#: Enough of a stream key to tell one person from another down a screen; `--json` has it whole.
STREAM_SHOWN = 12
#: What is said of a use whose run is not in the log.
NO_RUN = "run-not-in-the-log"


@click.command()
@click.argument("subject", required=False)
@click.option("--until", "moment", type=MOMENT, metavar="TIME", help="Only what was recorded at or before this time.")
@click.option("--position", type=click.IntRange(min=1), metavar="N", help="Only the first N entries of the log.")
@click.option(
    "--terms", "file", type=click.Path(path_type=Path), help="Judge the recorded uses by the rules of this file too."
)
@click.pass_obj
def command(
    session: Session, subject: str | None, moment: datetime | None, position: int | None, file: Path | None
) -> None:
    """The history of SUBJECT with the state after each event; without SUBJECT the whole log, a line an entry.

    With --terms: the uses that would have got another verdict, had the rules been those of the file.
    """
    from cli.terms import read_terms
    from ledger.history import AsOf

    if moment is not None and position is not None:
        raise InvalidInput("expected --until or --position, found both; give one")
    rules = None if file is None else read_terms(file)
    with session.ledger() as ledger:
        as_of = AsOf(moment, position)
        stream = None if subject is None else ledger.subject(subject).stream
        if rules is not None:
            _compare(session, ledger, rules, stream, as_of)
        elif stream is not None:
            _replay_one(session, ledger, stream, as_of)
        else:
            _replay_all(session, ledger, as_of)


def _replay_one(session: Session, ledger: ConsentLedger, stream: str, as_of: AsOf) -> None:
    import msgspec

    from cli.words import entry_line, state_in_words
    from ledger.domain.answers import state_told
    from ledger.domain.as_of import replay
    from ledger.history import history_of

    history = history_of(ledger, stream, as_of)
    entries = {placed.entry.version: placed for placed in history.entries}
    for step in replay(history):
        if session.as_json:
            states = [msgspec.to_builtins(state_told(state, entries)) for state in step.states]
            click.echo(to_json(_fields(step.placed) | {"purposes": states}))
            continue
        click.echo(entry_line(step.placed))
        for state in step.states:
            click.echo(f"    {state_in_words(state)}")


def _replay_all(session: Session, ledger: ConsentLedger, as_of: AsOf) -> None:
    from cli.words import entry_line
    from ledger.history import log_of, until_of

    with _progress(session, until_of(ledger, as_of)) as progress:
        for placed in log_of(ledger, as_of):
            if session.as_json:
                click.echo(to_json(_fields(placed)))
            else:
                click.echo(f"{placed.entry.stream[:STREAM_SHOWN]} {entry_line(placed)}")
            progress.advance()


def _progress(session: Session, total: int | None) -> AbstractContextManager[Progress]:
    """A bar, but where the lines go to the same terminal: they are progress enough, and it would break them."""
    return nullcontext(Progress(None, None)) if sys.stdout.isatty() else session.progress("entries", total)


def _fields(placed: Placed) -> dict[str, Any]:
    """An entry for programs: where it stands, the whole of it, and in words."""
    import msgspec

    from cli.words import in_words

    entry = msgspec.to_builtins(placed.entry)
    return {"position": placed.position, **entry, "what": in_words(placed.entry)}


def _compare(session: Session, ledger: ConsentLedger, rules: Terms, stream: str | None, as_of: AsOf) -> None:
    from ledger.history import compare_uses, until_of

    published: Counter[str] = Counter()
    other: Counter[str] = Counter()
    uses = differ = 0
    total = until_of(ledger, as_of) if stream is None else None
    with _progress(session, total) as progress:
        for compared in compare_uses(ledger, rules, stream, as_of, progress.advance):
            uses += 1
            published[_reason(compared.published)] += 1
            other[_reason(compared.other)] += 1
            if compared.differs:
                differ += 1
            if compared.differs or compared.published is None:
                click.echo(to_json(_compared_fields(compared)) if session.as_json else _compared_line(compared))
    fields = {
        "uses": uses,
        "differ": differ,
        "not_judged": published[NO_RUN],
        "published": dict(sorted(published.items())),
        "terms": dict(sorted(other.items())),
    }
    sentence = f"{differ} of {uses} recorded uses would have got another verdict under the rules of {rules.version}"
    session.result(fields, sentence)
    reasons = sorted(published.keys() | other.keys())
    session.table(
        ["reason", "as published", f"under {rules.version}"],
        [[reason, published[reason], other[reason]] for reason in reasons],
    )


def _reason(verdict: Verdict | None) -> str:
    return NO_RUN if verdict is None else verdict.reason


def _compared_fields(compared: ComparedUse) -> dict[str, Any]:
    import msgspec

    from ledger.domain.answers import entry_told

    entry = compared.placed.entry
    return {
        "stream": entry.stream,
        **msgspec.to_builtins(entry_told(compared.placed)),
        "run": entry.data.run,
        "items": entry.data.items,
        "published": _reason(compared.published),
        "terms": _reason(compared.other),
    }


def _compared_line(compared: ComparedUse) -> str:
    from cli.words import entry_line

    entry = compared.placed.entry
    if compared.published is None:
        verdict = f"cannot be judged, for run {entry.data.run} is not in the log"
    else:
        verdict = f"{_reason(compared.published)} as published, {_reason(compared.other)} under the other rules"
    return f"key:{entry.stream} {entry_line(compared.placed)}: {verdict}"
