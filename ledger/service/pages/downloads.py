"""What a person takes home: their bundle, and proofs of single entries; `consent verify` takes both."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from ledger.application import ConsentLedger
from ledger.proving.entry import EntryProof, prove_entry
from ledger.proving.history import History, prove_history
from ledger.service.bodies import MEDIA_TYPE
from ledger.service.bundles import PATIENCE_SECONDS
from ledger.service.pages.forms import form_of
from ledger.service.pages.person import known
from ledger.service.pages.routing import PageRoute
from ledger.service.pages.sessions import Session, session_of
from ledger.service.problems import Problem
from ledger.service.serving import Public, TheService

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.post("/pages/bundle")
async def bundle(
    _: Public,
    service: TheService,
    session: Annotated[Session, Depends(session_of)],
    form: Annotated[dict[str, str], Depends(form_of)],
) -> Response:
    """The person's complete history as of the last checkpoint, with its proofs; the file's name names nobody."""
    session.demand(form["token"], "bundle")
    history = await service.slow.run(_prove_history, service.ledger, session)
    return _file("consent-history.json", history.data, MEDIA_TYPE)


@router.post("/pages/receipt")
async def receipt(
    _: Public,
    service: TheService,
    session: Annotated[Session, Depends(session_of)],
    form: Annotated[dict[str, str], Depends(form_of)],
) -> Response:
    """The proof of one of the person's entries, or until a checkpoint covers it the signed promise of one."""
    position = form.get("position", "")
    session.demand(form["token"], "receipt", position)
    proof = await service.slow.run(_prove_entry, service.ledger, session, position)
    if proof.kind == "proof":
        return _file(f"consent-entry-{position}.tlog-proof", proof.data, "text/plain; charset=utf-8")
    return _file(f"consent-receipt-{position}.json", proof.data, MEDIA_TYPE)


def _prove_history(ledger: ConsentLedger, session: Session) -> History:
    _, history, _ = known(ledger, session)
    return prove_history(ledger, history.stream, PATIENCE_SECONDS)


def _prove_entry(ledger: ConsentLedger, session: Session, position: str) -> EntryProof:
    """Of the person's own entries alone, whatever the form says."""
    _, history, _ = known(ledger, session)
    own = next((placed.position for placed in history.entries if str(placed.position) == position), None)
    if own is None:
        raise Problem(404, "no-position", "expected an entry of your own history, found another position")
    return prove_entry(ledger, own)


def _file(name: str, data: bytes, media_type: str) -> Response:
    return Response(data, headers={"Content-Disposition": f'attachment; filename="{name}"'}, media_type=media_type)
