"""The log itself, over HTTP, where C2SP tlog-tiles puts it: the checkpoint, the tiles, the entries behind them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from ledger.application import ConsentLedger
from ledger.errors import NotVerified, Unavailable
from ledger.proof.merkle import HASH_SIZE
from ledger.proof.tiles import TILE_WIDTH, encode_entries, parse_tile_path
from ledger.proving.snapshot import Snapshot
from ledger.service.openapi import Answer, Operation, described
from ledger.service.problems import Problem
from ledger.service.serving import Public, Service, TheService, may
from ledger.service.tokens import Caller
from ledger.store.proofs import ProofTables, StoredCheckpoint

router = APIRouter()

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
#: A path has the same bytes for ever.
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
#: There may be a newer one at any time.
_FOR_NOW = {"Cache-Control": "no-cache"}

_NUMBER = {
    "name": "number",
    "in": "path",
    "required": True,
    "description": "As tlog-tiles writes it: three digits at a time, all but the last with an `x` and a slash; "
    "a partial tile's width behind `.p/`.",
    "schema": {
        "type": "string",
        "pattern": r"^(?:x[0-9]{3}/){0,5}[0-9]{3}(?:\.p/(?:[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$",
    },
    "example": "000.p/12",
}
_LEVEL = {
    "name": "level",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 0, "maximum": 63},
    "example": 0,
}


@router.get("/checkpoint")
@described(
    Operation(
        "checkpoint",
        {
            200: Answer(
                "The signed note, with the signatures that came later",
                media_type=TEXT,
                schema={"type": "string"},
                example="consent.example/tour\n13\nod4vDea…=\n\n— consent.example/tour …\n",
            )
        },
        problems=(404,),
    )
)
async def checkpoint(_: Public, service: TheService) -> Response:
    """The newest checkpoint: the log's size and root, signed (C2SP tlog-checkpoint)."""
    last = await service.quick.run(_checkpoint, service.ledger)
    return Response(last.note, headers=_FOR_NOW, media_type=TEXT)


@router.get("/tile/entries/{number:path}")
@described(
    Operation(
        "entries",
        {
            200: Answer(
                "Up to 256 entries, each with its length before it",
                media_type=BYTES,
                schema={"type": "string", "format": "binary"},
            )
        },
        scopes=("audit",),
        problems=(404,),
        parameters=(_NUMBER,),
    )
)
async def entries(_: Annotated[Caller, Depends(may("audit"))], http: Request, service: TheService) -> Response:
    """The entries whose leaf hashes make a tile of level 0: personal data, for auditors."""
    private = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(await service.quick.run(_read, service, http.url.path), headers=private, media_type=BYTES)


@router.get("/tile/{level}/{number:path}")
@described(
    Operation(
        "tile",
        {
            200: Answer(
                "Up to 256 hashes of 32 bytes",
                media_type=BYTES,
                schema={"type": "string", "format": "binary"},
            )
        },
        problems=(404,),
        parameters=(_LEVEL, _NUMBER),
    )
)
async def tile(_: Public, http: Request, service: TheService) -> Response:
    """The hashes of a tile of the tree under the newest checkpoint."""
    return Response(await service.quick.run(_read, service, http.url.path), headers=_FOR_EVER, media_type=BYTES)


def _checkpoint(ledger: ConsentLedger) -> StoredCheckpoint:
    with ledger.connection() as connection:
        last = ProofTables(connection).last_checkpoint()
    if last is None:
        raise Problem(404, "no-checkpoint", "expected a checkpoint, found none yet; ask again once one was signed")
    return last


def _read(service: Service, path: str) -> bytes:
    """The bytes of a tile that the newest checkpoint has, in full or so far."""
    missing = Problem(404, "no-tile", "expected a tile under the newest checkpoint, found none at this path")
    try:
        level, number, width = parse_tile_path(path.removeprefix("/"))
    except NotVerified:
        raise missing from None
    size = _checkpoint(service.ledger).size
    if (number * TILE_WIDTH + width) << (8 * (level or 0)) > size:
        raise missing
    with service.ledger.connection() as connection:
        now = Snapshot(connection)
        if level is None:
            first = number * TILE_WIDTH
            return encode_entries(now.entries(first, first + width))
        hashes = now.tables.read_tile(level, number)[: width * HASH_SIZE]
    if len(hashes) < width * HASH_SIZE:
        raise Unavailable("expected the tiles that the checkpoint rests on, found some missing; run `consent audit`")
    return hashes
