"""The published terms, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from msgspec import Struct

from ledger.domain.terms import Terms
from ledger.service.forms import json_answer
from ledger.service.openapi import Answer, Operation, described
from ledger.service.serving import TheService, may
from ledger.service.tokens import Caller

router = APIRouter()


class VersionTold(Struct, frozen=True, kw_only=True):
    """One version: the terms, and the digest of their wording, which a `terms-shown` names as its `notice`."""

    terms: Terms
    notice: str


class TermsTold(Struct, frozen=True, kw_only=True):
    """Every version, in the order of their publication: the last one is what is shown now."""

    versions: list[VersionTold]


@router.get("/v1/terms")
@described(
    Operation(
        "terms", {200: Answer("The terms", TermsTold, example={"versions": []})}, scopes=("read", "record", "pages")
    )
)
async def terms(_: Annotated[Caller, Depends(may("read", "record", "pages"))], service: TheService) -> Response:
    """The published terms, word for word."""
    published = (await service.quick.run(service.ledger.catalogue)).all()
    return json_answer(TermsTold(versions=[VersionTold(terms=one, notice=one.notice_hash()) for one in published]))
