"""`consent erase`: the links and the evidence of a person go, the log and its proofs stay."""

from __future__ import annotations

import sys

import click

from cli.session import Session
from cli.types import FREE
from ledger.errors import InvalidInput, Refused


@click.command()
@click.argument("subject")
@click.option("--reason", type=FREE, default="request", show_default=True, help="Why, for the log.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(session: Session, subject: str, reason: str, yes: bool) -> None:
    """Erase SUBJECT: what links them to their history, and the evidence behind it. It cannot be undone."""
    if not yes and not sys.stdin.isatty():
        raise InvalidInput("expected --yes, or a terminal to ask on, found neither; add --yes to erase without asking")
    with session.ledger() as ledger:
        ledger.subject(subject)
        question = f"Erase {subject}, for ever, with all that links them to their history?"
        if not yes and not click.confirm(question, err=True):
            raise Refused("expected a yes to the question, found a no; nobody was erased")
        recorded = ledger.erase(subject, reason)
    fields = {"position": recorded.position, "stream": recorded.stream}
    session.result(fields, f"erased at position {recorded.position}, the history of key:{recorded.stream}")
