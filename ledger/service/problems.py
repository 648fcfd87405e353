"""Every refusal as one status and one sentence, in the form of RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Response
from msgspec import Meta, Struct

from ledger.errors import (
    ConsentLedgerError,
    InvalidInput,
    KeyReused,
    OutcomeUnknown,
    Refused,
    SubjectErased,
    Unavailable,
    UnknownSubject,
)
from ledger.receipts import NoReceipt

MEDIA_TYPE = "application/problem+json"
#: What a caller is told to wait whom the ledger or its limits cannot serve now.
RETRY_SECONDS = 1

#: The first class that an error is of decides. What the ledger's state forbids is 409, whoever asks: with another log
#: the same request would be fine. 422 is what no ledger could do.
_STATUSES: tuple[tuple[type[ConsentLedgerError], int, str], ...] = (
    (UnknownSubject, 404, "unknown-subject"),
    (SubjectErased, 409, "subject-erased"),
    (KeyReused, 409, "key-reused"),
    (NoReceipt, 409, "no-receipt"),
    (Refused, 409, "refused"),
    (InvalidInput, 422, "invalid"),
    (OutcomeUnknown, 503, "outcome-unknown"),
    (Unavailable, 503, "unavailable"),
)
#: What the ledger says of its database is for those who run it, and names hosts.
_FOR_CALLERS = {
    "outcome-unknown": "expected an answer to the append, found the connection to the database lost; "
    "ask again, with the same Idempotency-Key",
    "unavailable": "expected the ledger's database to answer, found that it cannot now; try again in a moment",
}


class ProblemTold(Struct, frozen=True, kw_only=True):
    """Why a request was not done. `code` is for programs, `detail` one sentence for people."""

    type: Annotated[str, Meta(examples=["about:blank"])]
    title: Annotated[str, Meta(examples=["Not Found"])]
    status: Annotated[int, Meta(examples=[404])]
    detail: Annotated[str, Meta(examples=["expected a person in the ledger, found nobody of that name"])]
    code: Annotated[str, Meta(examples=["unknown-subject"])]


class Problem(Exception):
    """Ends a request with a status, a code for programs and a sentence for people."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            self.headers.setdefault("Retry-After", str(RETRY_SECONDS))

    @property
    def phrase(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase

    def body(self) -> bytes:
        """The document."""
        return msgspec.json.encode(
            ProblemTold(
                type="about:blank",
                title=self.phrase,
                status=self.status,
                detail=self.detail,
                code=self.code,
            )
        )

    def response(self) -> Response:
        return Response(self.body(), self.status, self.headers, MEDIA_TYPE)


def problem_of(error: ConsentLedgerError) -> Problem:
    """What an error of the ledger's means over HTTP."""
    for class_, status, code in _STATUSES:
        if isinstance(error, class_):
            return Problem(status, code, _FOR_CALLERS.get(code, str(error)))
    return unexpected()


def unexpected() -> Problem:
    """What nobody foresaw: the caller is told nothing of it, the log where it was."""
    return Problem(
        500,
        "unexpected",
        "expected to get through, found an error of the service's own; report the time to who runs it",
    )
