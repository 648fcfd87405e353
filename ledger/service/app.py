"""The application: routes, and what is in front of all of them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from ledger.application import ConsentLedger
from ledger.errors import ConsentLedgerError
from ledger.service import (
    bundles,
    checking,
    freshness,
    operations,
    receipts,
    recording,
    status,
    subscribing,
    terms,
    tiles,
)
from ledger.service.front import Front
from ledger.service.limits import Limits
from ledger.service.openapi import document
from ledger.service.pages import PAGES, links
from ledger.service.problems import Problem, problem_of
from ledger.service.serving import Service

ROUTERS: tuple[APIRouter, ...] = (
    recording.router,
    status.router,
    checking.router,
    terms.router,
    receipts.router,
    bundles.router,
    tiles.router,
    freshness.router,
    subscribing.router,
    operations.router,
    links.router,
)
#: What the framework itself refuses.
_SENTENCES = {
    404: ("no-route", "expected a path that the API has, found another; see /openapi.json"),
    405: ("no-method", "expected a method that the path has, found another; see /openapi.json"),
}


def create_app(ledger: ConsentLedger, limits: Limits = Limits()) -> FastAPI:  # noqa: B008 - it cannot be changed
    """The service over an open ledger, for any ASGI server; `app.state.service` is to be closed after it.

    Pages that document it are not served: those that come with the framework load others' scripts.
    """
    app = FastAPI(openapi_url="/openapi.json", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.service = Service(ledger, limits)
    for router in (*ROUTERS, *PAGES):
        app.include_router(router)
    told: list[dict[str, Any]] = []

    def openapi() -> dict[str, Any]:
        if not told:
            told.append(document(ROUTERS))
        return told[0]

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(ConsentLedgerError, _error)
    app.add_exception_handler(HTTPException, _framework)
    app.add_middleware(Front, service=app.state.service)
    return app


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for it alone
    return error.response()


def _error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ConsentLedgerError)  # noqa: S101 - registered for it alone
    return problem_of(error).response()


def _framework(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    code, sentence = _SENTENCES.get(error.status_code, ("refused", "expected a request that the API describes"))
    return Problem(error.status_code, code, sentence, error.headers).response()
