"""Forms that a page sends back: from the page itself, strictly read, and known again by their token."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from fastapi import Request

from ledger.domain.names import MOST_NAMES
from ledger.service.bodies import read
from ledger.service.problems import Problem

MEDIA_TYPE = "application/x-www-form-urlencoded"
#: Two fields of the longest name for each purpose, and some.
LARGEST_FORM = 64 * 1024
MOST_FIELDS = 2 * MOST_NAMES + 8


async def form_of(request: Request) -> dict[str, str]:
    """A dependency: the fields of a form of our own pages, each once; `Problem` says why there is none."""
    _demand_same_origin(request)
    body = await read(request, MEDIA_TYPE, LARGEST_FORM)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise _malformed() from None
    fields = dict(pairs)
    if len(fields) < len(pairs) or "token" not in fields:
        raise _malformed()
    return fields


def _malformed() -> Problem:
    return Problem(400, "malformed", "expected the fields of a form, each once, found something else; send it again")


def _demand_same_origin(request: Request) -> None:
    """A browser says who sends a form; under `no-referrer` it hides the origin, but not whether it is our own."""
    site = request.headers.get("sec-fetch-site")
    if site is None:
        origin = urlsplit(request.headers.get("origin", ""))
        is_ours = bool(origin.netloc) and origin.netloc == request.headers.get("host")
    else:
        is_ours = site == "same-origin"
    if not is_ours:
        raise Problem(403, "cross-site", "expected a form from this page, found one that another site sent")
