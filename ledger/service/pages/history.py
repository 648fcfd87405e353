"""A person's history, a page at a time: the newest entries stand on the privacy settings, those before them here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from ledger.application import ConsentLedger
from ledger.domain.as_of import Placed
from ledger.domain.terms import Catalogue
from ledger.service.pages.person import part_of
from ledger.service.pages.routing import PageRoute, rendered
from ledger.service.pages.sessions import Session, session_of
from ledger.service.problems import Problem
from ledger.service.serving import Public, TheService
from ledger.store.proofs import ProofTables

router = APIRouter(route_class=PageRoute, include_in_schema=False)

#: Of a page: some 50 kB, where a long history has megabytes.
ENTRIES = 50
_VERSION = re.compile(r"\A[1-9][0-9]{0,15}\Z")


@router.get("/pages/history/{version}")
async def history(
    _: Public, service: TheService, session: Annotated[Session, Depends(session_of)], version: str
) -> Response:
    """The entry of this version, and those before it. A version says nothing of whose it is."""
    return await service.quick.run(_page, service.ledger, session, version)


def _page(ledger: ConsentLedger, session: Session, version: str) -> Response:
    until = int(version) if _VERSION.match(version) else 0
    entries, total = part_of(ledger, session, until, ENTRIES)
    if not 1 <= until <= total:
        raise Problem(
            404,
            "no-entry",
            f"expected a number from 1 to {total}, as your entries have, found another; open the settings",
        )
    return rendered("history.html", **entries_shown(session, entries, ledger.catalogue(), covered(ledger), total))


def entries_shown(
    session: Session, entries: Sequence[Placed], catalogue: Catalogue, covers: int, total: int
) -> dict[str, Any]:
    """What `entries.html` shows: entries that follow each other, of so many, and where the others are."""
    before = entries[0].entry.version - 1
    return {
        "history": list(reversed(entries)),
        "catalogue": catalogue,
        "covers": covers,
        "total": total,
        "newer": _newer(entries[-1].entry.version, total),
        "older": before or None,
        "oldest": ENTRIES if before > ENTRIES else None,
        "receipt_tokens": {placed.position: session.token("receipt", str(placed.position)) for placed in entries},
    }


def covered(ledger: ConsentLedger) -> int:
    """The last position under a signed checkpoint."""
    with ledger.connection() as connection:
        last = ProofTables(connection).last_checkpoint()
    return 0 if last is None else last.covers


def _newer(until: int, total: int) -> str | None:
    """Where those after this version are; the settings show the newest, so that no page has fewer than it could."""
    if until == total:
        return None
    later = until + ENTRIES
    return f"/pages/history/{later}" if later < total else "/pages/settings#history"
