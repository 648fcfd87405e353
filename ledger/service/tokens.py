"""Bearer tokens: 32 random bytes that are shown once, and who stands behind one (RFC 6750, by header alone)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ledger.store.tokens import StoredToken

#: By it whoever scans for leaked secrets finds one.
PREFIX = "consent_"
TOKEN_BYTES = 32
#: base64url of 32 bytes, without padding.
_TOKEN = re.compile(rf"\A{PREFIX}[A-Za-z0-9_-]{{43}}\Z")

#: How long a token that was let in is not looked up again: so late, at most, a revocation counts.
REMEMBER_SECONDS = 1.0
#: Tokens in use at once; the one that was used last goes last.
MOST_REMEMBERED = 1_000


class NoToken(Exception):
    """No token, or none that lets anybody in: all are answered alike, but for the sentence."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the token's name, never the token."""

    name: str
    scopes: frozenset[str]


def new_token() -> str:
    """A fresh token, from the system's randomness."""
    return PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("ascii")).digest()


def token_of(authorization: str | None) -> str:
    """The token in an `Authorization` header; `NoToken` says why there is none."""
    if authorization is None:
        raise NoToken("expected a token in the header `Authorization: Bearer …`, found none")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not _TOKEN.match(token):
        raise NoToken(f"expected `Bearer` and a token, {PREFIX} and 43 characters of base64url, found something else")
    return token


#: The stored token of a digest, and seconds until it expires by the database's clock.
Find = Callable[[bytes], tuple[StoredToken, float] | None]


class Tokens:
    """Who stands behind a token. One that was let in is let in again for a second without being looked up."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._mutex = threading.Lock()
        #: By digest: the caller, and until when.
        self._let_in: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def remembered(self, token: str) -> Caller | None:
        """The caller, without asking the database."""
        digest = digest_of(token)
        with self._mutex:
            found = self._let_in.get(digest)
            if found is None or found[1] <= time.monotonic():
                self._let_in.pop(digest, None)
                return None
            self._let_in.move_to_end(digest)
            return found[0]

    def caller(self, token: str) -> Caller:
        """The caller, by the database; `NoToken` where the token is unknown, revoked or expired."""
        digest = digest_of(token)
        asked = time.monotonic()
        found = self._find(digest)
        if found is None or not hmac.compare_digest(found[0].digest, digest):
            raise NoToken("expected a token of this ledger, found one that is not; ask whoever runs it for one")
        stored, expires_in = found
        if stored.revoked is not None:
            raise NoToken("expected a token that lets somebody in, found one that was revoked; ask for another")
        if expires_in <= 0:
            raise NoToken("expected a token that lets somebody in, found one that has expired; ask for another")
        caller = Caller(stored.name, stored.scopes)
        with self._mutex:
            self._let_in[digest] = caller, asked + min(REMEMBER_SECONDS, expires_in)
            self._let_in.move_to_end(digest)
            while len(self._let_in) > MOST_REMEMBERED:
                self._let_in.popitem(last=False)
        return caller
