"""Single-use links to pages: the product asks for one when somebody who is signed in wants to see theirs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.application import ConsentLedger
from ledger.domain.names import Free
from ledger.domain.terms import Terms
from ledger.domain.times import format_time
from ledger.errors import Refused, UnknownSubject
from ledger.service.bodies import body_of
from ledger.service.forms import Subject, given, json_answer
from ledger.service.openapi import Answer, Operation, described
from ledger.service.pages.sessions import Opened, new_link
from ledger.service.serving import TheService, demand, may
from ledger.service.tokens import Caller

router = APIRouter()

Locale = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}\Z",
        description="The language of the terms' texts, as in `en` or `pt-BR`; left out, `en`.",
        examples=["en"],
    ),
]


class _Link(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="page"):
    pass


class LinkToPopUp(_Link, frozen=True, kw_only=True, tag="pop-up"):
    """The terms that the person's plan has now, with their Accept; `surface` as records name it, else `pop-up`."""

    subject: Subject
    plan: Free
    surface: Free | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET


class LinkToSettings(_Link, frozen=True, kw_only=True, tag="settings"):
    """The person's toggles, history and bundle; `surface` as records name it, else `privacy-settings`."""

    subject: Subject
    surface: Free | UnsetType = UNSET


class LinkToOperators(_Link, frozen=True, kw_only=True, tag="operators"):
    """Adoption, consent quality, uses and lag; scope `read` besides."""


LinkAsked = LinkToPopUp | LinkToSettings | LinkToOperators


class LinkTold(Struct, frozen=True, kw_only=True):
    """Where to send the browser, below the address that it knows the service by: once, and until then."""

    url: Annotated[str, Meta(examples=["/pages/open/9c2f…"])]
    expires_at: str


@router.post("/v1/links")
@described(
    Operation(
        "openPage",
        {
            201: Answer(
                "The link",
                LinkTold,
                example={
                    "url": "/pages/open/5ZzvKXh0cCHHBXjyXzDnRrmR8tGm1aIhW0bBLqRmUsk",
                    "expires_at": "2025-09-03T09:05:00.000000Z",
                },
            )
        },
        scopes=("pages",),
        body=LinkAsked,
        examples={
            "the pop-up": {"page": "pop-up", "subject": "alice@example.org", "plan": "pro"},
            "the privacy settings": {"page": "settings", "subject": "alice@example.org"},
            "for operators": {"page": "operators"},
        },
        problems=(404, 409),
    )
)
async def open_page(
    caller: Annotated[Caller, Depends(may("pages"))],
    service: TheService,
    asked: Annotated[LinkAsked, Depends(body_of(LinkAsked))],
) -> Response:
    """Ask for a link that opens a page once.

    It is good for five minutes. Whoever opens it sees the page of the person it was asked for: send nobody else there.
    """
    if isinstance(asked, LinkToOperators):
        demand(caller, "read")
    opened = await service.quick.run(_opened, service.ledger, asked)
    secret, expires = await service.quick.run(new_link, service.ledger, opened)
    return json_answer(LinkTold(url=f"/pages/open/{secret}", expires_at=format_time(expires)), 201)


def _opened(ledger: ConsentLedger, asked: LinkAsked) -> Opened:
    """What the link opens; refused here is what the person could do nothing about."""
    match asked:
        case LinkToPopUp(subject=named, plan=plan):
            terms_for(ledger, plan)
            if ledger.identities.find([named])[named].identity is None:
                _demand_known(ledger, named)
            return Opened(
                page="pop-up",
                subject=named,
                plan=plan,
                surface=given(asked.surface),
                locale=given(asked.locale) or "en",
            )
        case LinkToSettings(subject=named):
            _demand_known(ledger, named)
            return Opened(page="settings", subject=named, surface=given(asked.surface))
        case LinkToOperators():
            return Opened(page="operators")


def terms_for(ledger: ConsentLedger, plan: str) -> Terms:
    """The terms that somebody on this plan is shown now: of those that cover it, the ones published last."""
    covering = [terms for terms in ledger.catalogue().all() if plan in terms.plans]
    if not covering:
        raise Refused(f"expected published terms that cover the plan {plan!r}, found none; see `consent terms list`")
    return covering[-1]


def _demand_known(ledger: ConsentLedger, named: str) -> None:
    record = ledger.record_of(ledger.subject(named).stream or "")
    if record.version == 0:
        raise UnknownSubject("expected a person in the ledger, found nothing recorded about them; check the name")
