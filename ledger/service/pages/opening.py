"""Opening a link: it is used up, and the browser gets a session of its own."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ledger.service.pages.routing import PageRoute, see
from ledger.service.pages.sessions import COOKIE, Page, open_link
from ledger.service.problems import Problem
from ledger.service.serving import NO_ADDRESS, Public, TheService

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_FIRST: dict[Page, str] = {"pop-up": "/pages/pop-up", "settings": "/pages/settings", "operators": "/pages/operators"}


@router.get("/pages/open/{secret}")
async def opened(_: Public, http: Request, secret: str, service: TheService) -> Response:
    """Uses the link. A HEAD, by which previews look, uses nothing: there is no such method here."""
    address = http.client.host if http.client else NO_ADDRESS
    service.refusals.demand(address)
    try:
        session, opens = await service.quick.run(open_link, service.ledger, secret)
    except Problem:
        service.refusals.take(address)
        raise
    answer = see(_FIRST[opens.page])
    # Lax, for the product's page leads here; it ends with the browser, if the ledger does not end it before.
    answer.set_cookie(COOKIE, session, path="/", secure=True, httponly=True, samesite="lax")
    return answer
