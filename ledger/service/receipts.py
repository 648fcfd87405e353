"""Proofs of single entries, over HTTP: the receipt, and once a checkpoint covers it the proof."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from msgspec import Struct

from ledger.proving.entry import EntryProof, prove_entry
from ledger.service.bodies import body_of
from ledger.service.forms import Position, json_answer
from ledger.service.openapi import Answer, Operation, described
from ledger.service.problems import Problem
from ledger.service.serving import Service, TheService, may
from ledger.service.tokens import Caller

router = APIRouter()


class AskReceipt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which entry."""

    position: Position


class ReceiptFileTold(Struct, frozen=True, kw_only=True):
    """`file` is what `consent verify` takes: a `tlog-proof` under the checkpoint of `size`, or a signed promise of one
    by `covered_by`."""

    kind: Literal["proof", "promise"]
    position: int
    size: int | None
    covered_by: str | None
    file: str


@router.post("/v1/receipts")
@described(
    Operation(
        "receipt",
        {
            200: Answer(
                "The proof, or the promise of one",
                ReceiptFileTold,
                example={
                    "kind": "proof",
                    "position": 12,
                    "size": 13,
                    "covered_by": None,
                    "file": "c2sp.org/tlog-proof@v1\n…",
                },
            )
        },
        scopes=("read", "audit"),
        body=AskReceipt,
        examples={"one": {"position": 12}},
        problems=(404, 409),
    )
)
async def receipt(
    _: Annotated[Caller, Depends(may("read", "audit"))],
    service: TheService,
    asked: Annotated[AskReceipt, Depends(body_of(AskReceipt))],
) -> Response:
    """The proof that an entry is in the log, or, where no checkpoint covers it yet, the signed promise of one."""
    proof = await service.slow.run(_prove, service, asked.position)
    return json_answer(
        ReceiptFileTold(
            kind=proof.kind,
            position=asked.position,
            size=proof.size,
            covered_by=proof.covered_by,
            file=proof.data.decode(),
        )
    )


def _prove(service: Service, position: int) -> EntryProof:
    head = service.ledger.recorder.head()
    if position > head:
        raise Problem(404, "no-position", f"expected a position of the log, which ends at {head}, found a later one")
    return prove_entry(service.ledger, position)
