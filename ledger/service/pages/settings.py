"""The privacy settings: what is on, what was recorded, and the toggles (design, section 11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from ledger.application import ConsentLedger
from ledger.domain.as_of import History, PurposeState, states_of
from ledger.domain.consent import Record, consent_of
from ledger.domain.events import ToggleChanged
from ledger.domain.recording import Request
from ledger.domain.terms import Terms, Toggle
from ledger.service.appending import append
from ledger.service.pages.forms import form_of
from ledger.service.pages.history import ENTRIES, covered, entries_shown
from ledger.service.pages.person import known
from ledger.service.pages.routing import PageRoute, rendered, see
from ledger.service.pages.sessions import Session, session_of
from ledger.service.pages.words import setting, touch, why_not
from ledger.service.serving import Public, TheService

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SURFACE = "privacy-settings"


@dataclass(frozen=True, slots=True)
class Control:
    """One purpose as the page shows it; `seen` is the last decision on it, `offers` what it can be set to."""

    number: int
    state: PurposeState
    wording: str
    how: str
    not_counting: list[str]
    seen: int
    offers: list[tuple[Toggle, str]]


@router.get("/pages/settings")
async def settings(_: Public, service: TheService, session: Annotated[Session, Depends(session_of)]) -> Response:
    """What is on since when, what was recorded, the newest first, and who the person is to the log."""
    return await service.quick.run(_page, service.ledger, session)


@router.post("/pages/settings")
async def toggle(
    _: Public,
    service: TheService,
    session: Annotated[Session, Depends(session_of)],
    form: Annotated[dict[str, str], Depends(form_of)],
) -> Response:
    """Sets a toggle, once for each time that the page was shown: a double click is one event."""
    purpose, seen = form.get("purpose", ""), form.get("seen", "")
    to: Toggle = "on" if form.get("to") == "on" else "off"
    session.demand(form["token"], "toggle", purpose, to, seen)
    version = await service.quick.run(_to_decide_after, service.ledger, session, purpose, to, int(seen))
    if version is not None:
        changed = ToggleChanged(purpose=purpose, to=to, surface=_surface(session), cause="person")
        key = session.key("toggle", purpose, to, str(version))
        await append(service, session.subject, Request(changed), key, None)
    return see("/pages/settings")


def _to_decide_after(ledger: ConsentLedger, session: Session, purpose: str, to: Toggle, seen: int) -> int | None:
    """The decision that this one follows; None where it stands already, for the same form was sent before.

    A form that is older than the last decision counts all the same: no Off is lost to a page that was left open.
    """
    _, _, record = known(ledger, session)
    last = _last_decision(record, purpose)
    stands = any(
        decision.version == last and decision.to == to and not decision.at_accept and decision.denied is None
        for decision in record.decisions
    )
    return None if last != seen and stands else last


def _last_decision(record: Record, purpose: str) -> int:
    return max((decision.version for decision in record.decisions if decision.purpose == purpose), default=0)


def _surface(session: Session) -> str:
    opened = session.opened
    return opened.surface if opened.page == "settings" and opened.surface else SURFACE


def _page(ledger: ConsentLedger, session: Session) -> Response:
    subject, history, record = known(ledger, session)
    entries, covers = history.entries, covered(ledger)
    return rendered(
        "settings.html",
        controls=list(_controls(history, record, session)),
        newer_terms=_newer_terms(ledger, history, record),
        uncovered=sum(placed.position > covers for placed in entries),
        subject_id=None if subject.subject_id is None else subject.subject_id.hex(),
        stream=history.stream,
        bundle_token=session.token("bundle"),
        **entries_shown(session, entries[-ENTRIES:], history.catalogue, covers, len(entries)),
    )


def _controls(history: History, record: Record, session: Session) -> Iterator[Control]:
    catalogue = history.catalogue
    for number, state in enumerate(states_of(record, history.moment), 1):
        seen = _last_decision(record, state.purpose)
        decision = state.decision
        yield Control(
            number=number,
            state=state,
            wording=setting(state.purpose, catalogue),
            how="" if decision is None else touch(operated=decision.operated),
            not_counting=[why_not(one) for one in state.not_counting],
            seen=seen,
            offers=[(to, session.token("toggle", state.purpose, to, str(seen))) for to in _offers(record, state)],
        )


def _offers(record: Record, state: PurposeState) -> Iterator[Toggle]:
    """An Off always, but where it would say nothing new; an On where the terms that were accepted have the purpose."""
    if state.state == "on":
        yield "off"
        return
    accepted = record.catalogue.get(record.accepted[-1][1].terms) if record.accepted else None
    if accepted is not None and accepted.purpose(state.purpose):
        yield "on"
    comes_later = any(one.until is not None for one in state.not_counting)
    if comes_later or not consent_of(record, state.purpose).decisions:
        yield "off"


def _newer_terms(ledger: ConsentLedger, history: History, record: Record) -> Terms | None:
    """Terms for the person's plan that were published after those they accepted last, or that they never answered."""
    plan = record.plan_at(history.moment)
    covering = [terms for terms in ledger.catalogue().all() if plan in terms.plans]
    accepted = record.accepted[-1][1].terms if record.accepted else None
    return covering[-1] if covering and covering[-1].version != accepted else None
