"""`consent terms`: the catalogue."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from cli.session import Session, to_json
from cli.types import NAME
from ledger.domain.terms import Terms, parse_terms
from ledger.errors import InvalidTerms, Unavailable


@click.group()
def command() -> None:
    """Publish terms, list them, show one."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def publish(session: Session, file: Path) -> None:
    """Publish the terms of a TOML FILE; the same again does nothing."""
    terms = read_terms(file)
    with session.ledger() as ledger:
        position = ledger.publish(terms)
    what = f"published at position {position}" if position else "nothing to do: published before"
    session.result(
        {"version": terms.version, "position": position, "published": position is not None},
        f"terms {terms.version}: {what}",
    )


@command.command(name="list")
@click.pass_obj
def list_(session: Session) -> None:
    """All published terms, oldest first."""
    with session.ledger() as ledger:
        published = ledger.catalogue().all()
    if session.as_json:
        session.lines(msgspec.to_builtins(terms) for terms in published)
        return
    session.table(
        ["version", "title", "decide by", "plans", "purposes", "withdrawal", "untouched default"],
        [
            [
                t.version,
                t.title,
                t.decide_by,
                ", ".join(t.plans),
                ", ".join(t.purpose_ids),
                t.withdrawal,
                t.untouched_default,
            ]
            for t in published
        ],
    )


@command.command()
@click.argument("version", type=NAME)
@click.pass_obj
def show(session: Session, version: str) -> None:
    """One version of the terms, word for word."""
    with session.ledger() as ledger:
        terms = ledger.terms(version)
    if session.as_json:
        click.echo(to_json(msgspec.to_builtins(terms)))
        return
    _show(session, terms)


def _show(session: Session, terms: Terms) -> None:
    click.echo(f"{terms.title} (version {terms.version}, {terms.notice.provider})")
    click.echo(f"\n{terms.notice.text}\n\n  [ {terms.notice.accept} ]\n")
    for purpose in terms.purposes:
        click.echo(f"  ({purpose.default}) {purpose.wording}")
    session.table(
        ["rule", "value"],
        [
            ["announced, effective, decide by", f"{terms.announced}, {terms.effective}, {terms.decide_by}"],
            ["plans", ", ".join(terms.plans)],
            *[[f"data of {purpose.id}", ", ".join(purpose.data)] for purpose in terms.purposes],
            ["grant, withdrawal", f"{terms.grant}, {terms.withdrawal}"],
            ["untouched default", terms.untouched_default],
            ["kept when on, when off", f"{terms.retention.when_on}, {terms.retention.when_off}"],
        ],
    )


def read_terms(file: Path) -> Terms:
    """The terms of a file."""
    try:
        return parse_terms(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unavailable(f"expected terms in {file}, found: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidTerms(f"expected terms as a TOML document in UTF-8, found other bytes in {file}") from None
