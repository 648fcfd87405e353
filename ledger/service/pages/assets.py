"""The style sheet and the one script: files of our own, for nothing is loaded from anywhere else."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

from ledger.service.pages.routing import PageRoute
from ledger.service.serving import Public

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_FILES = files("ledger.service.pages") / "static"
_STYLE = _FILES.joinpath("style.css").read_bytes()
_TOUCHED = _FILES.joinpath("touched.js").read_bytes()
#: A new version of the service is seen within minutes.
_HEADERS = {"Cache-Control": "public, max-age=300"}


@router.get("/pages/style.css")
async def style(_: Public) -> Response:
    return Response(_STYLE, headers=_HEADERS, media_type="text/css; charset=utf-8")


@router.get("/pages/touched.js")
async def touched(_: Public) -> Response:
    return Response(_TOUCHED, headers=_HEADERS, media_type="text/javascript; charset=utf-8")
