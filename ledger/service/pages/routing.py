"""What all pages have in common: how they are rendered, their headers, and refusals that a person can read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined

from ledger.errors import ConsentLedgerError
from ledger.service.pages.words import in_words, moment
from ledger.service.problems import Problem, problem_of

#: Of every page: our own style sheet, forms to ourselves, no frame around it, nothing else.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_TEMPLATES = Environment(
    loader=PackageLoader("ledger.service.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"moment": moment, "in_words": in_words}


class PageRoute(APIRoute):
    """A route whose refusals are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def page(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as problem:
                return _refusal(problem)
            except ConsentLedgerError as error:
                return _refusal(problem_of(error))

        return page


def rendered(template: str, *, status: int = 200, script: bool = False, **given: Any) -> Response:
    """A page."""
    policy = f"{POLICY}; script-src 'self'" if script else POLICY
    headers = {"Content-Security-Policy": policy}
    return HTMLResponse(_TEMPLATES.get_template(template).render(given), status, headers)


def see(path: str) -> Response:
    """On to a page, by GET: so that a reload sends no form again."""
    return RedirectResponse(path, 303)


def _refusal(problem: Problem) -> Response:
    answer = rendered("problem.html", status=problem.status, phrase=problem.phrase, detail=problem.detail)
    answer.headers.update(problem.headers)
    return answer
