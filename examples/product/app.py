"""A product with the pop-up: `uvicorn app:app`, with the ledger's service and its tokens in the environment.

People sign in, are shown the terms once, chat, and find the switch in the settings. What they saw and chose is recorded
by the ledger's own pages; the product asks "may I?" in its own memory, for every chat.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl, urljoin

import httpx
from fastapi import Cookie, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from ledger.client import Replica
from ledger.client.http_feed import HttpFeed
from ledger.domain.eligibility import Item
from ledger.errors import Unavailable

PURPOSE = "model-training"
#: A product knows which plan each of its people has.
PLAN = "pro"
SERVICE = os.environ["CONSENT_SERVICE"]
#: One for each thing that may be done: whoever finds the reader's can open nobody's pages.
READ_TOKEN, PAGES_TOKEN = os.environ["CONSENT_READ_TOKEN"], os.environ["CONSENT_PAGES_TOKEN"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One replica for the whole process, and one set of connections for each token."""
    with Replica(HttpFeed(SERVICE, READ_TOKEN), stalest=10) as replica:
        async with (
            httpx.AsyncClient(base_url=SERVICE, headers={"Authorization": f"Bearer {READ_TOKEN}"}) as reading,
            httpx.AsyncClient(base_url=SERVICE, headers={"Authorization": f"Bearer {PAGES_TOKEN}"}) as linking,
        ):
            app.state.replica, app.state.reading, app.state.linking = replica, reading, linking
            yield


app = FastAPI(lifespan=lifespan)
#: A product has tables for these: who is signed in, who was asked, and everybody's stream key.
signed_in: dict[str, str] = {}
asked: set[str] = set()
streams: dict[str, str] = {}

Session = Annotated[str, Cookie()]


@app.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """As whoever one says: it is an example."""
    user = await _field(request, "user")
    session = secrets.token_urlsafe()
    signed_in[session] = user
    home = RedirectResponse("/", 303)
    home.set_cookie("session", session, httponly=True, samesite="lax")
    return home


@app.get("/")
async def home(request: Request, session: Session = "") -> Response:
    """The pop-up the first time, and then what the product is for."""
    user = _user(session)
    if user not in asked:
        asked.add(user)
        return await _page_of(request, user, {"page": "pop-up", "plan": PLAN})
    return JSONResponse({"hello": user})


@app.get("/settings")
async def settings(request: Request, session: Session = "") -> Response:
    """Privacy settings: the history, the switch, the bundle."""
    return await _page_of(request, _user(session), {"page": "settings"})


@app.post("/chats")
async def chat(request: Request, session: Session = "") -> dict[str, Any]:
    """A chat. May it be kept as a candidate for training? Whatever is wrong, too old or unknown is a no."""
    user = _user(session)
    stream = await _stream_of(request, user)
    collected = datetime.now(UTC)
    try:
        may = request.app.state.replica.may_use(stream or "", PURPOSE, Item(collected, "chat"))
        kept, reason = may.permitted, may.reason
    except Unavailable:
        kept, reason = False, "not known now"
    return {"answer": (await _field(request, "text")).upper(), "candidate": kept, "reason": reason}


async def _field(request: Request, name: str) -> str:
    """A field of a form."""
    return dict(parse_qsl((await request.body()).decode())).get(name, "")


def _user(session: str) -> str:
    if session not in signed_in:
        raise HTTPException(401, "sign in first")
    return signed_in[session]


async def _page_of(request: Request, user: str, page: dict[str, str]) -> Response:
    """To the ledger's page of this person, by a link that opens once: a path below the service's own address."""
    answer = await request.app.state.linking.post("/v1/links", json={"subject": user, **page})
    answer.raise_for_status()
    return RedirectResponse(urljoin(SERVICE, answer.json()["url"]), 303)


async def _stream_of(request: Request, user: str) -> str | None:
    """The person's stream key; None of somebody whom the ledger does not know yet."""
    if user not in streams:
        answer = await request.app.state.reading.post("/v1/status", json={"subject": user})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        streams[user] = answer.json()["stream"]
    return streams[user]
