"""Subscribing to a projection over HTTP: a snapshot and its tail, as server-sent events (design, section 7)."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from ledger.projections import PROJECTIONS
from ledger.service.following import Subscriber
from ledger.service.freshness import (
    AT_LEAST_HEADER,
    FRESH_SECONDS,
    TOKEN_EXAMPLE,
    Fresh,
    GoOnFrom,
    token_header,
    too_old,
)
from ledger.service.limits import MOST_STREAMS
from ledger.service.openapi import Answer, Operation, described
from ledger.service.problems import Problem
from ledger.service.serving import TheService, may, only
from ledger.service.streams import MEDIA_TYPE, EventStream
from ledger.service.tails import Tail
from ledger.service.tokens import Caller

router = APIRouter()

#: Whether it goes on, as `--follow` says it to the command line.
FOLLOW = "Consent-Follow"
#: Until a database that was there a moment ago has answered what a tail asks first.
BEGIN_SECONDS = 10.0

PROJECTION_PARAMETER: dict[str, Any] = {
    "name": "projection",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": list(PROJECTIONS)},
    "example": "current-consent",
}
_FOLLOW_HEADER: dict[str, Any] = {
    "name": FOLLOW,
    "in": "header",
    "required": False,
    "description": "`no`: it ends once the subscriber has all there is.",
    "schema": {"type": "string", "enum": ["yes", "no"], "default": "yes"},
    "example": "no",
}
_EXAMPLE = f"""\
event: intent
id: {TOKEN_EXAMPLE}
data: {{"intent":"changes","token":"{TOKEN_EXAMPLE}"}}

event: row
id: 0cbacdc3aae4a7d1c755f78866806cec:14
data: {{"position":14,"row":{{"stream":"5bafcb7b…","purpose":"model-training","toggle":"off"}},"gone":false}}

event: token
id: 0cbacdc3aae4a7d1c755f78866806cec:15
data: {{"token":"0cbacdc3aae4a7d1c755f78866806cec:15"}}

"""


@router.get("/v1/projections/{projection}/changes")
@described(
    Operation(
        "changes",
        {200: Answer("Events, until one side leaves", None, MEDIA_TYPE, _EXAMPLE, {"type": "string"})},
        scopes=("read",),
        problems=(404, 409, 422),
        parameters=(
            PROJECTION_PARAMETER,
            token_header("Last-Event-ID", "Goes on from there; without it, from a snapshot on."),
            AT_LEAST_HEADER,
            _FOLLOW_HEADER,
        ),
    )
)
async def changes(
    _: Annotated[Caller, Depends(may("read"))],
    http: Request,
    service: TheService,
    projection: str,
    after: GoOnFrom,
    fresh: Fresh,
) -> Response:
    """Follow a projection: `intent` first (at `snapshot` forget all rows), then each `row`, then a `token` for all
    rows so far, which comes every second too; `problem`, and the end, where it cannot go on. Whoever is cut off, or
    takes too little, connects again with the last id it has."""
    demand_projection(projection)
    follows = _follows(http)
    if service.metrics.subscribers.total() >= MOST_STREAMS:
        raise Problem(
            503, "full", f"expected fewer than {MOST_STREAMS} subscribers, found as many; ask another process"
        )
    tail = service.tails.of(projection)
    await _until_fresh(tail, fresh or 0)
    subscriber = Subscriber(service, projection, tail, after)

    async def demand() -> None:
        await service.demand_again(http, "read")

    return EventStream(subscriber.events(demand, follows))


def demand_projection(name: str) -> None:
    """`Problem` where there is none of that name."""
    if name not in PROJECTIONS:
        raise Problem(404, "no-projection", f"expected one of {', '.join(PROJECTIONS)}, found another name")


def _follows(request: Request) -> bool:
    given = only(request, FOLLOW)
    if given not in (None, "yes", "no"):
        raise Problem(422, "invalid", f"expected yes or no in {FOLLOW}, found something else")
    return given != "no"


async def _until_fresh(tail: Tail, position: int) -> None:
    """Until the tail has begun, and is as far as the subscriber asks."""
    deadline = time.monotonic() + (FRESH_SECONDS if position else BEGIN_SECONDS)
    while True:
        news = tail.news
        if tail.failure is not None:
            raise tail.failure
        if tail.kept_from is not None and tail.position >= position:
            return
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                await news.wait()
        except TimeoutError:
            raise too_old(position, tail.position) from None
