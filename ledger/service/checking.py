"""May this item be used? One verdict, or many at once, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.checking import Checked, Question, check_all
from ledger.domain.answers import VerdictTold, verdict_told
from ledger.domain.defaults import kind_meant, purpose_meant
from ledger.domain.eligibility import Item
from ledger.domain.names import Free, Name
from ledger.domain.terms import Catalogue
from ledger.domain.times import parse_given_time
from ledger.errors import InvalidInput
from ledger.service.bodies import body_of
from ledger.service.forms import Moment, Subject, given, json_answer, moment_of
from ledger.service.freshness import AT_LEAST_HEADER, Fresh, at_least
from ledger.service.openapi import Answer, Operation, described
from ledger.service.problems import Problem
from ledger.service.serving import Service, TheService, may, service_of
from ledger.service.tokens import Caller

router = APIRouter()

#: Of as many people at most: their streams are read in one statement, and are in memory together.
MOST_QUESTIONS = 1_000


class AskVerdict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item of a person's; as the gate has it, `exclude` says why it must never be used, where it must not.

    Left out, the purpose is the one that the published terms name, the kind the purpose's first, the plan the person's
    when it was collected, and the run starts now.
    """

    subject: Subject
    collected_at: Moment
    run_started: Moment | UnsetType = UNSET
    purpose: Name | UnsetType = UNSET
    kind: Name | UnsetType = UNSET
    plan: Free | UnsetType = UNSET
    exclude: Free | UnsetType = UNSET


class AskVerdicts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many items, of as many people."""

    questions: Annotated[list[AskVerdict], Meta(min_length=1, max_length=MOST_QUESTIONS)]


class VerdictsTold(Struct, frozen=True, kw_only=True):
    """A verdict for each question, in their order, all on the log as it was at one position."""

    verdicts: list[VerdictTold]
    position: int


_let_in = may("read", "train")
_asked = body_of(AskVerdict)

_QUESTION: dict[str, Any] = {
    "subject": "alice@example.org",
    "collected_at": "2025-10-01T08:00:00Z",
    "purpose": "model-training",
    "kind": "chat",
}
_VERDICT: dict[str, Any] = {
    "permitted": True,
    "reason": "granted",
    "quality": "default-untouched",
    "basis": 2,
    "terms": "2025-09-28",
    "position": 12,
    "keep_until": "2030-10-01T08:00:00.000000Z",
    "detail": None,
}


@router.post("/v1/check")
@described(
    Operation(
        "check",
        {200: Answer("The verdict, permitted or not", VerdictTold, example=_VERDICT)},
        scopes=("read", "train"),
        body=AskVerdict,
        examples={"an item": _QUESTION},
        problems=(409,),
        parameters=(AT_LEAST_HEADER,),
    )
)
async def check(request: Request) -> Response:
    """May this item be used? The answer is 200 either way; `permitted` is it, and `reason` why."""
    # Called here in the order of `check_batch`: to have the framework call them costs more than all that they do.
    await _let_in(request)
    await at_least(request)
    asked = await _asked(request)
    service = service_of(request)
    return json_answer(_told(service, [await service.together(_check_all, asked)])[0])


@router.post("/v1/check/batch")
@described(
    Operation(
        "checkBatch",
        {
            200: Answer(
                "The verdicts, in the order of the questions",
                VerdictsTold,
                example={"verdicts": [_VERDICT], "position": 12},
            )
        },
        scopes=("read", "train"),
        body=AskVerdicts,
        examples={"items": {"questions": [_QUESTION]}},
        problems=(409,),
        parameters=(AT_LEAST_HEADER,),
    )
)
async def check_batch(
    _: Annotated[Caller, Depends(may("read", "train"))],
    service: TheService,
    _fresh: Fresh,
    asked: Annotated[AskVerdicts, Depends(body_of(AskVerdicts))],
) -> Response:
    """May these items be used? Up to 1,000, each with the verdict that it would get alone."""
    checked = await service.quick.run(_check_all, service, asked.questions)
    for one in checked:
        if isinstance(one, Exception):
            raise one
    verdicts = _told(service, [one for one in checked if isinstance(one, Checked)])
    return json_answer(VerdictsTold(verdicts=verdicts, position=verdicts[0].position))


def _told(service: Service, checked: Sequence[Checked]) -> list[VerdictTold]:
    for one in checked:
        service.metrics.verdicts[one.verdict.reason] += 1
    return [verdict_told(one.verdict, one.position) for one in checked]


def _check_all(service: Service, asked: Sequence[AskVerdict]) -> list[Checked | Exception]:
    """The verdicts in the order of what is asked; or, where one asks what the terms do not have, why there is none."""
    ledger = service.ledger
    catalogue = ledger.known_catalogue()
    if not all(_names_all(one, catalogue) for one in asked):
        catalogue = ledger.catalogue()
    questions = [_question(one, catalogue) for one in asked]
    checked = iter(check_all(ledger, [one for one in questions if isinstance(one, Question)]))
    return [next(checked) if isinstance(one, Question) else one for one in questions]


def _names_all(asked: AskVerdict, catalogue: Catalogue) -> bool:
    """Whether a question leaves nothing to terms that may have been published since they were read."""
    return isinstance(asked.kind, str) and isinstance(asked.purpose, str) and catalogue.names_purpose(asked.purpose)


def _question(asked: AskVerdict, catalogue: Catalogue) -> Question | Exception:
    try:
        purpose = purpose_meant(catalogue, given(asked.purpose))
    except InvalidInput as error:
        return Problem(409, "no-purpose", str(error))
    kind = kind_meant(catalogue, purpose, given(asked.kind))
    try:
        item = Item(parse_given_time(asked.collected_at), kind, given(asked.plan), given(asked.exclude))
        return Question(asked.subject, purpose, item, moment_of(asked.run_started))
    except InvalidInput as error:
        return error
