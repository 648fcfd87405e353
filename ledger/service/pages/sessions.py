"""Secrets of links and sessions, what they are sealed with, and who may see which page (docs/decisions/0024)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request
from msgspec import Struct

from ledger.application import ConsentLedger
from ledger.service.problems import Problem
from ledger.service.serving import NO_ADDRESS, service_of
from ledger.store import page_sessions

#: The prefix holds a browser to Secure, to this host alone and to the whole of it.
COOKIE = "__Host-consent-pages"
SECRET_BYTES = 32
#: base64url of 32 bytes, without padding.
_SECRET = re.compile(r"\A[A-Za-z0-9_-]{43}\Z")
#: A secret seals one thing, once, so a key is never used with a second nonce.
_NONCE = bytes(12)

Page = Literal["pop-up", "settings", "operators"]


class Opened(Struct, frozen=True, kw_only=True):
    """What a link opens: for a person their own pages, else the operators'."""

    page: Page
    subject: str | None = None
    plan: str | None = None
    surface: str | None = None
    locale: str = "en"


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that came by a link: what it may see, since when."""

    secret: str
    opened: Opened
    since: datetime

    @property
    def subject(self) -> str:
        """Whose pages these are."""
        if self.opened.subject is None:
            raise no_session()
        return self.opened.subject

    def token(self, *of: str) -> str:
        """What stands in a form of this session, and of no other: by it and `of` the form is known again."""
        return self._derived("form", of)

    def key(self, *of: str) -> str:
        """The idempotency key of what is done once in this session."""
        return f"page:{self._derived('key', of)}"

    def demand(self, token: str, *of: str) -> None:
        """`Problem` unless a form of this session was sent, as it was shown."""
        if not hmac.compare_digest(token.encode(), self.token(*of).encode()):
            raise Problem(403, "form", "expected a form of this page, found another; open the page again")

    def _derived(self, what: str, of: tuple[str, ...]) -> str:
        return hmac.digest(self.secret.encode(), msgspec.json.encode([what, *of]), "sha256").hex()


def new_link(ledger: ConsentLedger, opened: Opened) -> tuple[str, datetime]:
    """A fresh secret that opens this once, and until when."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    with ledger.connection() as connection:
        return secret, page_sessions.add_link(connection, _digest(secret), _seal(secret, opened))


def open_link(ledger: ConsentLedger, secret: str) -> tuple[str, Opened]:
    """Uses a link; the secret of the session that it opens, and what that may see."""
    with ledger.connection() as connection:
        sealed = page_sessions.take_link(connection, _digest(secret)) if _SECRET.match(secret) else None
        if sealed is None:
            raise Problem(
                404,
                "no-link",
                "expected a link that is new and at most five minutes old, found one that was used or has expired; "
                "go back to where you found it and open it again",
            )
        opened = _unseal(secret, sealed)
        fresh = secrets.token_urlsafe(SECRET_BYTES)
        page_sessions.add_session(connection, _digest(fresh), _seal(fresh, opened))
    return fresh, opened


async def session_of(request: Request) -> Session:
    """A dependency: the session that this browser's cookie stands for; `Problem` where there is none, or it is over."""
    service = service_of(request)
    address = request.client.host if request.client else NO_ADDRESS
    secret = request.cookies.get(COOKIE, "")
    if not _SECRET.match(secret):
        raise no_session()
    service.refusals.demand(address)
    session = await service.quick.run(_find, service.ledger, secret)
    if session is None:
        service.refusals.take(address)
        raise no_session()
    return session


def no_session() -> Problem:
    return Problem(
        403,
        "no-session",
        "expected a page that was opened by its link, found none, or one that was left alone for too long; "
        "go back to where you came from and open it again",
    )


def _find(ledger: ConsentLedger, secret: str) -> Session | None:
    with ledger.connection() as connection:
        found = page_sessions.use_session(connection, _digest(secret))
    if found is None:
        return None
    sealed, since = found
    return Session(secret, _unseal(secret, sealed), since)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _seal(secret: str, opened: Opened) -> bytes:
    return _cipher(secret).encrypt(_NONCE, msgspec.json.encode(opened), None)


def _unseal(secret: str, sealed: bytes) -> Opened:
    return msgspec.json.decode(_cipher(secret).decrypt(_NONCE, sealed, None), type=Opened)


def _cipher(secret: str) -> AESGCM:
    """Of a key that is not the digest under which the row is found."""
    return AESGCM(hashlib.sha256(b"consent-ledger/v1/page\n" + secret.encode("ascii")).digest())
