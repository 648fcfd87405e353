"""What is on for a person, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from msgspec import UNSET, Struct, UnsetType

from ledger.application import ConsentLedger
from ledger.domain.answers import StatusTold, status_told
from ledger.history import AsOf, history_of
from ledger.service.bodies import body_of
from ledger.service.forms import Moment, Position, Subject, given, json_answer, moment_of
from ledger.service.freshness import AT_LEAST_HEADER, Fresh
from ledger.service.openapi import Answer, Operation, described
from ledger.service.problems import Problem
from ledger.service.serving import TheService, may
from ledger.service.tokens import Caller

router = APIRouter()


class AskStatus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose status; as of now, or of the entries recorded by `as_of`, or of the first `position` entries of the log."""

    subject: Subject
    as_of: Moment | UnsetType = UNSET
    position: Position | UnsetType = UNSET


_ENTRY: dict[str, Any] = {
    "position": 3,
    "version": 2,
    "event": "accepted",
    "occurred_at": "2025-09-03T09:00:20.000000Z",
    "recorded_at": "2025-09-03T09:00:20.000000Z",
    "imported": None,
}
_EXAMPLE: dict[str, Any] = {
    "stream": "5bafcb7bbd22abf40457f0f8e5be2400b6cf924b3e45abbea064366d25cc29a5",
    "at": "2025-10-01T08:00:00.000000Z",
    "position": 12,
    "version": 2,
    "erased": None,
    "plan": "pro",
    "terms": "2025-09-28",
    "purposes": [
        {
            "purpose": "model-training",
            "state": "on",
            "since": "2025-09-03T09:00:20.000000Z",
            "decision": _ENTRY
            | {
                "to": "on",
                "quality": "default-untouched",
                "terms": "2025-09-28",
                "surface": "pop-up",
                "plan": "pro",
                "cause": None,
            },
            "shown": None,
            "not_counting": [],
        }
    ],
}


@router.post("/v1/status")
@described(
    Operation(
        "status",
        {200: Answer("What is on, since when, by what decision, shown how", StatusTold, example=_EXAMPLE)},
        scopes=("read",),
        body=AskStatus,
        examples={
            "now": {"subject": "alice@example.org"},
            "as of a moment": {"subject": "alice@example.org", "as_of": "2025-10-01T08:00:00Z"},
        },
        problems=(404, 409),
        parameters=(AT_LEAST_HEADER,),
    )
)
async def status(
    _: Annotated[Caller, Depends(may("read"))],
    service: TheService,
    _fresh: Fresh,
    asked: Annotated[AskStatus, Depends(body_of(AskStatus))],
) -> Response:
    """What is on for a person, since when, by what decision, shown how."""
    return json_answer(await service.quick.run(_status, service.ledger, asked))


def _status(ledger: ConsentLedger, asked: AskStatus) -> StatusTold:
    as_of = AsOf(moment_of(asked.as_of), given(asked.position))
    if as_of.moment is not None and as_of.position is not None:
        raise Problem(409, "contradiction", "expected `as_of` or `position`, found both; give one")
    if as_of.position is not None and as_of.position > (head := ledger.recorder.head()):
        raise Problem(404, "no-position", f"expected a position of the log, which ends at {head}, found a later one")
    return status_told(history_of(ledger, ledger.subject(asked.subject).stream or "", as_of))
