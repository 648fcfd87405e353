"""A person's bundle, over HTTP: the file that `consent prove SUBJECT` writes, byte for byte."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from msgspec import Struct

from ledger.proving.history import History, prove_history
from ledger.service.bodies import MEDIA_TYPE, body_of
from ledger.service.forms import Subject
from ledger.service.openapi import Answer, Operation, described
from ledger.service.serving import Service, TheService, may
from ledger.service.tokens import Caller

router = APIRouter()

#: How long a bundle waits for a sequencer in the middle of its work; who asks waits no longer than for a page.
PATIENCE_SECONDS = 5.0


class AskBundle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose bundle; an id or key that was never seen gets the proof that there are no entries."""

    subject: Subject


@router.post("/v1/bundles")
@described(
    Operation(
        "bundle",
        {200: Answer("The bundle, as docs/formats.md has it", schema={"type": "object"}, example={"v": 1})},
        scopes=("audit",),
        body=AskBundle,
        examples={"one": {"subject": "alice@example.org"}},
        problems=(404, 409),
    )
)
async def bundle(
    _: Annotated[Caller, Depends(may("audit"))],
    service: TheService,
    asked: Annotated[AskBundle, Depends(body_of(AskBundle))],
) -> Response:
    """All entries about one person with the proofs that nothing was left out or changed, as of the last checkpoint."""
    history = await service.slow.run(_prove, service, asked.subject)
    attachment = {"Content-Disposition": 'attachment; filename="bundle.json"'}
    return Response(history.data, headers=attachment, media_type=MEDIA_TYPE)


def _prove(service: Service, named: str) -> History:
    return prove_history(service.ledger, service.ledger.subject(named).stream or "", PATIENCE_SECONDS)
