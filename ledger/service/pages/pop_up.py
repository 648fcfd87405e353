"""The pop-up: the terms word for word, their toggles, and Accept (design, section 1)."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from ledger.application import ConsentLedger
from ledger.domain.events import Accepted, TermsShown
from ledger.domain.recording import Request
from ledger.domain.terms import Terms, Toggle
from ledger.errors import KeyReused
from ledger.service.appending import append
from ledger.service.pages.forms import form_of
from ledger.service.pages.links import terms_for
from ledger.service.pages.person import known, person_of, plan_of
from ledger.service.pages.routing import PageRoute, rendered, see
from ledger.service.pages.sessions import Session, session_of
from ledger.service.pages.words import SWITCH, setting, touch
from ledger.service.problems import Problem
from ledger.service.serving import Public, TheService

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SURFACE = "pop-up"


@router.get("/pages/pop-up")
async def pop_up(_: Public, service: TheService, session: Annotated[Session, Depends(session_of)]) -> Response:
    """Shows the terms, and records that they were shown: once for each link, however often it is loaded."""
    terms, plan = await service.quick.run(_terms, service.ledger, session)
    shown = TermsShown(
        terms=terms.version,
        notice=terms.notice_hash(),
        toggles={purpose.id: purpose.default for purpose in terms.purposes},
        plan=plan,
        surface=_surface(session),
        locale=session.opened.locale,
    )
    await append(service, session.subject, Request(shown), session.key("shown", terms.version, plan), None)
    return rendered(
        "pop_up.html",
        script=True,
        terms=terms,
        locale=session.opened.locale,
        token=session.token("accept", terms.version, plan),
    )


@router.post("/pages/pop-up")
async def accept(
    _: Public,
    service: TheService,
    session: Annotated[Session, Depends(session_of)],
    form: Annotated[dict[str, str], Depends(form_of)],
) -> Response:
    """Records Accept, once for each link: a double click is one event, and of two choices the first one stands."""
    version = form.pop("terms", "")
    plan = await service.quick.run(_plan, service.ledger, session)
    session.demand(form.pop("token"), "accept", version, plan)
    terms = await service.quick.run(service.ledger.terms, version)
    accepted = _chosen(terms, form, plan, _surface(session))
    with suppress(KeyReused):  # accepted before with another choice, which the next page shows
        await append(service, session.subject, Request(accepted), session.key("accepted", version), None)
    return see("/pages/accepted")


@router.get("/pages/accepted")
async def accepted(_: Public, service: TheService, session: Annotated[Session, Depends(session_of)]) -> Response:
    """What was chosen, and where it can be changed."""
    return await service.quick.run(_accepted, service.ledger, session)


def _terms(ledger: ConsentLedger, session: Session) -> tuple[Terms, str]:
    plan = _plan(ledger, session)
    return terms_for(ledger, plan), plan


def _plan(ledger: ConsentLedger, session: Session) -> str:
    return plan_of(session, person_of(ledger, session))


def _surface(session: Session) -> str:
    opened = session.opened
    return opened.surface if opened.page == "pop-up" and opened.surface else SURFACE


def _chosen(terms: Terms, form: dict[str, str], plan: str, surface: str) -> Accepted:
    """The choice: a toggle that stands elsewhere than it was shown was operated; a script may say so of others."""
    toggles: dict[str, Toggle] = {}
    touched = []
    for purpose in terms.purposes:
        toggles[purpose.id] = "on" if form.pop(f"toggle.{purpose.id}", "") == "on" else "off"
        was_moved = form.pop(f"touched.{purpose.id}", "") == "yes"
        if was_moved or toggles[purpose.id] != purpose.default:
            touched.append(purpose.id)
    if form:
        raise Problem(400, "malformed", "expected the fields of the page, found others; open the page again")
    return Accepted(terms=terms.version, toggles=toggles, touched=sorted(touched), plan=plan, surface=surface)


def _accepted(ledger: ConsentLedger, session: Session) -> Response:
    _, history, record = known(ledger, session)
    if not record.accepted:
        return see("/pages/pop-up")
    last = record.accepted[-1][1]
    catalogue = history.catalogue
    choices = [
        (setting(purpose, catalogue), SWITCH[to], touch(operated=purpose in last.touched))
        for purpose, to in last.toggles.items()
    ]
    return rendered("accepted.html", terms=catalogue.get(last.terms), choices=choices)
