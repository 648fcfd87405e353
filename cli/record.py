"""`consent record`: one event about a person, as the product's own surfaces report it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click
from msgspec import UNSET

from cli.session import Session
from cli.types import FREE, MOMENT, NAME
from ledger.domain.defaults import purpose_meant
from ledger.domain.events import Accepted, Cause, SubjectEvent, TermsShown, ToggleChanged
from ledger.domain.names import is_name
from ledger.domain.terms import Terms, Toggle
from ledger.errors import ConsentLedgerError, InvalidInput, Unavailable

if TYPE_CHECKING:
    from ledger.application import ConsentLedger
    from ledger.proof.promise import Receipt

Command = TypeVar("Command", bound=Callable[..., Any])

#: Where an event comes from that names no surface: it was typed.
TYPED = "command-line"
#: BCP 47's word for a language that nobody noted.
UNDETERMINED = "und"


class ToggleChoice(click.ParamType[tuple[str, Toggle]]):
    """`PURPOSE=on` or `PURPOSE=off`."""

    name = "toggle"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Toggle]:
        if isinstance(value, tuple):
            return value
        purpose, _, to = value.partition("=")
        if not is_name(purpose) or to not in get_args(Toggle):
            self.fail(f"expected PURPOSE=on or PURPOSE=off, found {value!r}", param, ctx)
        return purpose, to


def _of_every_event(command: Command) -> Command:
    """The parameters that every event has."""
    for parameter in reversed(
        [
            click.argument("subject"),
            click.option("--occurred-at", metavar="TIME", type=MOMENT, help="When the person acted. Default: now."),
            click.option("--key", type=FREE, metavar="KEY", help="The same request with this key is one event."),
            click.option(
                "--evidence", type=click.Path(path_type=Path), help="A file to keep, erasably, behind the event."
            ),
            click.option("--surface", type=FREE, default=TYPED, show_default=True, help="Where it happened."),
            click.option(
                "--receipt",
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="Write the receipt there, for the person to keep.",
            ),
        ]
    ):
        command = parameter(command)
    return command


def _of_terms(command: Command) -> Command:
    """The parameters of what is said about a version of the terms."""
    for parameter in reversed(
        [
            click.option("--terms", "version", type=NAME, metavar="VERSION", help="Default: those published last."),
            click.option(
                "--toggle",
                "toggles",
                type=ToggleChoice(),
                metavar="PURPOSE=on|off",
                multiple=True,
                help="How a toggle stood. Default: as the terms set it.",
            ),
            click.option("--plan", type=FREE, required=True, help="The person's plan."),
        ]
    ):
        command = parameter(command)
    return command


@click.group()
def command() -> None:
    """Record that somebody was shown terms, accepted, or changed a toggle."""


@command.command("terms-shown")
@_of_every_event
@_of_terms
@click.option("--locale", type=FREE, default=UNDETERMINED, show_default=True, help="The language it was shown in.")
@click.pass_obj
def terms_shown(
    session: Session,
    /,
    subject: str,
    version: str | None,
    toggles: tuple[tuple[str, Toggle], ...],
    plan: str,
    surface: str,
    locale: str,
    **more: Any,
) -> None:
    """SUBJECT was shown terms; the notice is that of the terms."""

    def event(ledger: ConsentLedger) -> SubjectEvent:
        terms = ledger.terms(version)
        return TermsShown(
            terms=terms.version,
            notice=terms.notice_hash(),
            toggles=_toggles(terms, toggles),
            plan=plan,
            surface=surface,
            locale=locale,
        )

    _record(session, subject, event, **more)


@command.command()
@_of_every_event
@_of_terms
@click.option(
    "--touched", type=NAME, metavar="PURPOSE", multiple=True, help="A purpose whose toggle the person operated."
)
@click.pass_obj
def accepted(
    session: Session,
    /,
    subject: str,
    version: str | None,
    toggles: tuple[tuple[str, Toggle], ...],
    touched: tuple[str, ...],
    plan: str,
    surface: str,
    **more: Any,
) -> None:
    """SUBJECT accepted terms, with the toggles as they stood at Accept."""

    def event(ledger: ConsentLedger) -> SubjectEvent:
        terms = ledger.terms(version)
        stood = _toggles(terms, toggles)
        if unknown := sorted(set(touched) - stood.keys()):
            raise InvalidInput(
                f"expected --touched to name purposes of terms {terms.version} ({', '.join(terms.purpose_ids)}), "
                f"found {', '.join(unknown)}"
            )
        return Accepted(terms=terms.version, toggles=stood, touched=sorted(set(touched)), plan=plan, surface=surface)

    _record(session, subject, event, **more)


@command.command("toggle-changed")
@_of_every_event
@click.option("--to", type=click.Choice(get_args(Toggle)), required=True, help="What the toggle was set to.")
@click.option("--purpose", type=NAME, help="Default: the one that the published terms name.")
@click.option("--cause", type=click.Choice(get_args(Cause)), default="person", show_default=True, help="Who set it.")
@click.option("--plan", type=FREE, help="The person's plan, where the surface knows it.")
@click.pass_obj
def toggle_changed(
    session: Session,
    /,
    subject: str,
    to: Toggle,
    purpose: str | None,
    cause: Cause,
    plan: str | None,
    surface: str,
    **more: Any,
) -> None:
    """A toggle of SUBJECT was changed after the Accept."""

    def event(ledger: ConsentLedger) -> SubjectEvent:
        return ToggleChanged(
            purpose=purpose_meant(ledger.catalogue(), purpose),
            to=to,
            surface=surface,
            cause=cause,
            plan=UNSET if plan is None else plan,
        )

    _record(session, subject, event, **more)


def _toggles(terms: Terms, given: Iterable[tuple[str, Toggle]]) -> dict[str, Toggle]:
    """The terms' own settings, but for those given."""
    toggles: dict[str, Toggle] = {purpose.id: purpose.default for purpose in terms.purposes}
    named: set[str] = set()
    for purpose, to in given:
        if purpose in named or purpose not in toggles:
            raise InvalidInput(
                f"expected each --toggle to name another purpose of terms {terms.version} "
                f"({', '.join(terms.purpose_ids)}), found {purpose!r}{' twice' if purpose in named else ''}"
            )
        named.add(purpose)
        toggles[purpose] = to
    return toggles


def _record(
    session: Session,
    subject: str,
    event: Callable[[ConsentLedger], SubjectEvent],
    occurred_at: datetime | None,
    key: str | None,
    evidence: Path | None,
    receipt: Path | None,
) -> None:
    from ledger.domain.entry import decode_entry, topic_of
    from ledger.domain.recording import Request
    from ledger.files import PRIVATE, read_at_most, whole_file
    from ledger.proof.promise import format_receipt
    from ledger.receipts import covered_by
    from ledger.store.evidence import LARGEST_EVIDENCE

    body = None if evidence is None else read_at_most(evidence, LARGEST_EVIDENCE)
    with session.ledger() as ledger:
        request = Request(event(ledger), occurred=occurred_at)
        recorded = ledger.record(subject, request, key, body)
        stored = bytes(ledger.recorder.page(recorded.position - 1, recorded.position)[0][-1])
        promised = _promise(session, ledger, recorded.position, stored)
    entry = decode_entry(stored)
    fields = {
        "position": recorded.position,
        "stream": recorded.stream,
        "version": entry.version,
        "event": topic_of(type(request.event)),
        "recorded_at": entry.recorded_at,
        "repeated": recorded.repeated,
        "receipt": None if promised is None else json.loads(format_receipt(promised)),
    }
    how = "nothing to do: recorded before" if recorded.repeated else "recorded"
    where = f"at position {recorded.position}, version {entry.version} of key:{recorded.stream}"
    covered = "" if promised is None else f"; a checkpoint covers it by {covered_by(promised)}"
    session.result(fields, f"{fields['event']}: {how} {where}{covered}")
    if receipt is not None and promised is not None:
        try:
            with whole_file(receipt, PRIVATE) as file:
                file.write(format_receipt(promised))
        except Unavailable as error:
            # What is recorded stays recorded.
            again = f"`consent prove --entry {recorded.position} -o FILE` writes it again"
            session.remark(f"no receipt in a file: {error}; {again}")


def _promise(session: Session, ledger: ConsentLedger, position: int, stored: bytes) -> Receipt | None:
    """The receipt; where there is none the event is recorded all the same, and it is said why."""
    from ledger.proving.snapshot import snapshot
    from ledger.receipts import promise

    try:
        with snapshot(ledger) as now:
            return promise(ledger.place, ledger.identity, now.tables, position, stored, ledger.clock.now())
    except ConsentLedgerError as error:
        session.remark(f"no receipt: {error}")
        return None
