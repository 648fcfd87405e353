"""Subscribing to a projection over HTTP: a snapshot and its tail, as server-sent events (design, section 7)."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from msgspec import Meta, Struct

from ledger.application import ConsentLedger
from ledger.domain.names import NAME_PATTERN, Name, Natural, is_name
from ledger.projections import PROJECTIONS
from ledger.projections.subscription import demand_reached
from ledger.service.bodies import body_of
from ledger.service.following import Subscriber
from ledger.service.forms import json_answer
from ledger.service.freshness import (
    AT_LEAST_HEADER,
    FRESH_SECONDS,
    TOKEN_EXAMPLE,
    TOKEN_PATTERN,
    Fresh,
    GoOnFrom,
    Token,
    position_of,
    token_header,
    too_old,
)
from ledger.service.limits import MOST_STREAMS
from ledger.service.openapi import Answer, Operation, described, ecma
from ledger.service.problems import Problem
from ledger.service.serving import TheService, may, only
from ledger.service.streams import MEDIA_TYPE, EventStream
from ledger.service.tails import Tail
from ledger.service.tokens import Caller
from ledger.store.subscriptions import acknowledge

router = APIRouter()

#: Whether it goes on, as `--follow` says it to the command line.
FOLLOW = "Consent-Follow"
#: Until a database that was there a moment ago has answered what a tail asks first.
BEGIN_SECONDS = 10.0

ProjectionName = Annotated[
    str,
    Meta(pattern=rf"\A(?:{'|'.join(map(re.escape, PROJECTIONS))})\Z", examples=["current-consent"]),
]
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
#: Of each event, as those who read the document for server-sent events take it.
_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "One event: its fields.",
    "properties": {
        "event": {"type": "string", "enum": ["intent", "row", "token", "problem"]},
        "id": {"type": "string", "pattern": ecma(TOKEN_PATTERN), "description": "What to resume from."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
_EXAMPLE = {
    "event": "row",
    "id": TOKEN_EXAMPLE,
    "data": '{"position":12,"row":{"stream":"5bafcb7b…","purpose":"model-training","toggle":"off"},"gone":false}',
}


@router.get("/v1/projections/{projection}/changes")
@described(
    Operation(
        "changes",
        {200: Answer("Server-sent events, until one side leaves", None, MEDIA_TYPE, _EXAMPLE, _EVENT)},
        scopes=("read",),
        problems=(404, 409, 422),
        parameters=(
            PROJECTION_PARAMETER,
            token_header(
                "Last-Event-ID",
                "Goes on from this token of this ledger's; without it, from a snapshot on.",
            ),
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
    head = await service.quick.run(service.ledger.recorder.head)
    subscriber = Subscriber(service, projection, tail, after, head)

    async def demand() -> None:
        await service.demand_again(http, "read")

    return EventStream(subscriber.events(demand, follows))


class Acknowledge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All rows of a projection up to a token were taken in."""

    projection: ProjectionName
    token: Token


class SubscriptionTold(Struct, frozen=True, kw_only=True):
    """Where a name stands, and how many entries the log is ahead of it."""

    name: Name
    projection: ProjectionName
    token: Token
    lag: Natural


@router.post("/v1/subscriptions/{name}")
@described(
    Operation(
        "acknowledge",
        {
            200: Answer(
                "Where the name stands now",
                SubscriptionTold,
                example={"name": "search", "projection": "current-consent", "token": TOKEN_EXAMPLE, "lag": 3},
            )
        },
        scopes=("read",),
        body=Acknowledge,
        examples={"a token": {"projection": "current-consent", "token": TOKEN_EXAMPLE}},
        problems=(409,),
        parameters=(
            {
                "name": "name",
                "in": "path",
                "required": True,
                "description": "The subscriber's own, of one projection for good; a service's, never a person's. "
                "Up to its first dot it is the name of the caller's token.",
                "schema": {"type": "string", "pattern": ecma(NAME_PATTERN)},
                "example": "search",
            },
        ),
    )
)
async def acknowledged(
    caller: Annotated[Caller, Depends(may("read"))],
    service: TheService,
    name: str,
    asked: Annotated[Acknowledge, Depends(body_of(Acknowledge))],
) -> Response:
    """Say how far a named subscription has come, so that whoever runs the ledger sees who is behind."""
    if not is_name(name):
        raise Problem(422, "invalid", "expected as the name up to 128 letters, digits, dots, hyphens and underscores")
    demand_own(caller, name)
    return json_answer(await service.quick.run(_acknowledge, service.ledger, name, asked))


def _acknowledge(ledger: ConsentLedger, name: str, asked: Acknowledge) -> SubscriptionTold:
    position = position_of(asked.token, ledger)
    demand_reached(ledger, position)
    with ledger.connection() as connection:
        stands = acknowledge(connection, name, asked.projection, position)
    lag = max(0, ledger.recorder.head() - stands.position)
    return SubscriptionTold(name=name, projection=asked.projection, token=asked.token, lag=lag)


def demand_own(caller: Caller, name: str) -> None:
    """`Problem` where the subscription is another service's than the token (docs/decisions/0027)."""
    own = service_named(caller.name)
    if service_named(name) != own:
        raise Problem(
            403,
            "not-yours",
            f"expected {own}, or a name that begins with {own} and a dot, for the token's name says whose it is, "
            "found another service's; take a name of your own",
        )


def service_named(name: str) -> str:
    """Whose a token or a subscription is: its name up to the first dot, so that a next token can have another name."""
    return name.partition(".")[0]


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
