"""At least as fresh as: where the log ends, and reads that wait until they are no older than a token says."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from msgspec import Meta, Struct

from ledger.application import ConsentLedger
from ledger.errors import Refused
from ledger.projections.subscription import demand_reached, parse_token, token_of
from ledger.service.forms import json_answer
from ledger.service.openapi import Answer, Operation, described
from ledger.service.problems import Problem
from ledger.service.serving import TheService, may, only, service_of
from ledger.service.tokens import Caller
from ledger.store.recorder import FOLLOW_SECONDS

router = APIRouter()

#: A log that is a moment behind comes up in far less; a caller of a person's waits no longer.
FRESH_SECONDS = 5.0

TOKEN_PATTERN = r"\A[0-9a-f]{32}:[0-9]{1,15}\Z"  # noqa: S105 - a place in the log
TOKEN_EXAMPLE = "0cbacdc3aae4a7d1c755f78866806cec:12"  # noqa: S105
Token = Annotated[
    str, Meta(pattern=TOKEN_PATTERN, description="A position that names its ledger.", examples=[TOKEN_EXAMPLE])
]
_TOKEN = re.compile(TOKEN_PATTERN)

AT_LEAST = "Consent-At-Least"


def token_header(name: str, description: str) -> dict[str, Any]:
    """A header that carries a token, as the document tells it."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
        "example": TOKEN_EXAMPLE,
    }


AT_LEAST_HEADER = token_header(
    AT_LEAST,
    f"At least as fresh as this token of this ledger's: waits up to {FRESH_SECONDS:g} s for it, then 503.",
)


class HeadTold(Struct, frozen=True, kw_only=True):
    """Where the log ends: a position that names its ledger."""

    token: Token


@router.get("/v1/head")
@described(
    Operation(
        "head",
        {
            200: Answer(
                "The end of the log, as it was after the request had come", HeadTold, example={"token": TOKEN_EXAMPLE}
            )
        },
        scopes=("read",),
    )
)
async def head(_: Annotated[Caller, Depends(may("read"))], service: TheService) -> Response:
    """Where the log ends. Who is complete up to there misses nothing of what was recorded before this was asked."""
    ledger = service.ledger
    position = await service.quick.run(ledger.recorder.head)
    return json_answer(HeadTold(token=token_of(ledger.identity.id, position)))


def position_in(request: Request, name: str) -> int | None:
    """The position in a header's token, None without the header; `Problem` where it is none of this ledger's."""
    given = only(request, name)
    if given is None:
        return None
    if not _TOKEN.match(given):
        sentence = f"expected in {name} a token of this ledger, like {TOKEN_EXAMPLE}, found something else"
        raise Problem(409, "other-ledger", sentence)
    try:
        return position_of(given, service_of(request).ledger)
    except Refused as refusal:
        raise Problem(409, "other-ledger", str(refusal)) from None


def position_of(token: str, ledger: ConsentLedger) -> int:
    """The position of a token that has the form; `Refused` where it is another ledger's. Zeros in front say nothing."""
    named, _, position = token.partition(":")
    return parse_token(f"{named}:{int(position)}", ledger.identity.id)


async def at_least(request: Request) -> int | None:
    """A dependency: waits until the log is as far as the caller asks; that position."""
    position = position_in(request, AT_LEAST)
    if position is None:
        return None
    service = service_of(request)
    deadline = time.monotonic() + FRESH_SECONDS
    while (reached := await service.quick.run(service.ledger.recorder.head)) < position:
        if time.monotonic() >= deadline:
            raise too_old(position, reached)
        await asyncio.sleep(FOLLOW_SECONDS)
    return position


def too_old(asked: int, reached: int) -> Problem:
    return Problem(
        503, "too-old", f"expected to be at position {asked} within {FRESH_SECONDS:g} s, found {reached}; ask again"
    )


async def position_to_go_on_from(request: Request) -> int | None:
    """A dependency: where a subscriber resumes."""
    position = position_in(request, "last-event-id")
    if position is not None:
        service = service_of(request)
        try:
            await service.quick.run(demand_reached, service.ledger, position)
        except Refused as refusal:
            raise Problem(409, "beyond-the-log", str(refusal)) from None
    return position


Fresh = Annotated[int | None, Depends(at_least)]
GoOnFrom = Annotated[int | None, Depends(position_to_go_on_from)]
