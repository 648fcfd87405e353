"""The service as its clients reach it: where it is, the token in a header, and what an answer that is none means."""

from __future__ import annotations

import math
import re
import ssl
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from ledger.errors import (
    ConsentLedgerError,
    InvalidInput,
    KeyReused,
    Refused,
    SubjectErased,
    Unavailable,
    UnknownSubject,
)

#: `consent_` and base64url, as the service makes them. Said here too, so that what is no token is never sent anywhere.
_TOKEN = re.compile(r"\Aconsent_[A-Za-z0-9_-]{43}\Z")
#: Whoever reaches it without TLS is on this machine.
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Seconds to connect: a service on the way is there at once, or not at all.
CONNECT_SECONDS = 5.0
#: An answer to one question has a receipt at most, and a problem one sentence.
LARGEST_ANSWER = 1 << 20
_PROBLEM = "application/problem+json"
#: What may be otherwise the next time, whoever says it.
_FOR_NOW = frozenset({408, 425, 429})
_NO_WAY_IN = frozenset({401, 403})
_INVALID = frozenset({400, 413, 415, 422})
_CODES: Mapping[str, type[ConsentLedgerError]] = {
    "unknown-subject": UnknownSubject,
    "subject-erased": SubjectErased,
    "key-reused": KeyReused,
}


class Problem(Struct, frozen=True):
    """What a client needs of a problem document."""

    detail: str
    status: int
    code: str = ""


class HttpService:
    """One service and this client's token for it, which goes into the header `Authorization` and nowhere else."""

    def __init__(self, url: str, token: str) -> None:
        """`url` without a path's end: `https://consent.example`. Plain HTTP is for this machine alone."""
        _check_url(url)
        if not _TOKEN.match(token):
            raise InvalidInput(
                "expected a token as `consent tokens create` shows it, consent_ and 43 characters, found another text"
            )
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}

    def client(self) -> httpx.Client:
        """Connections of their own; certificates are verified by what the system trusts."""
        return httpx.Client(
            base_url=self.url,
            headers=self._headers,
            timeout=httpx.Timeout(CONNECT_SECONDS),
            # The token is for this address: neither a redirect nor a proxy of the environment's may have it.
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    @contextmanager
    def reached(self) -> Generator[None]:
        """What happens on the way becomes `Unavailable`, in a sentence that names the service and no header."""
        try:
            yield
        except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as error:
            raise Unavailable(
                f"expected the service at {self.url} to answer, found {type(error).__name__}"
                f"{f': {error}' if str(error) else ''}; try again later"
            ) from None


def error_of(response: httpx.Response, body: bytes) -> ConsentLedgerError:
    """What an answer that is not the one asked for means; `Unavailable` where asking again may help.

    A status alone may be anybody's on the way: what is final is said by the ledger, in a problem document.
    """
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    problem = parse_problem(body) if media_type == _PROBLEM else None
    if problem is not None:
        return error_of_problem(response.status_code, problem)
    sentence = f"expected an answer of the ledger's, found status {response.status_code} and no problem document"
    if response.status_code in _NO_WAY_IN:
        return Refused(f"{sentence}; check the token, and what stands before the service")
    return Unavailable(f"{sentence}; try again later")


def error_of_problem(status: int, problem: Problem) -> ConsentLedgerError:
    """The error whose sentence the problem carries."""
    if status in _FOR_NOW or not 400 <= status < 500:
        return Unavailable(problem.detail)
    if status in _INVALID:
        return InvalidInput(problem.detail)
    return _CODES.get(problem.code, Refused)(problem.detail)


def parse_problem(body: bytes) -> Problem | None:
    """The problem document in these bytes, where they are one."""
    try:
        return msgspec.json.decode(body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def read_answer(response: httpx.Response, deadline: float = math.inf) -> bytes:
    """The body of a streamed answer, no further than one may be long, nor later than a monotonic moment."""
    found = b""
    for chunk in response.iter_raw():
        found += chunk
        if len(found) > LARGEST_ANSWER or time.monotonic() > deadline:
            raise Unavailable(
                f"expected an answer of at most {LARGEST_ANSWER} bytes in its time, found more; ask again"
            )
    return found


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise InvalidInput(f"expected the service's URL, like https://consent.example, found {_shown(url)}")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidInput(
            "expected a URL of scheme, host, port and path alone, found more; the token has its own place"
        )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InvalidInput(f"expected https, found {_shown(url)}: the token would go over the network for all to read")


def _shown(url: str) -> str:
    """Of what is no URL as little as helps: a password may stand in it."""
    return repr(re.sub(r"//[^/@]*@", "//…@", url)[:80])
