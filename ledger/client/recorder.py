"""Recording over HTTP: each event once, however often it had to be sent, until the ledger has answered for it."""

from __future__ import annotations

import random
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import Struct

from ledger.client.http_service import HttpService, error_of, read_answer
from ledger.domain.entry import topic_of
from ledger.domain.events import Accepted, DataUsedForTraining, TermsShown, ToggleChanged
from ledger.domain.times import format_time
from ledger.errors import InvalidInput, OutcomeUnknown, Unavailable

#: How long a caller waits, in all, where they do not say: a person who clicked waits no longer.
PATIENCE_SECONDS = 30.0
#: One attempt: many times what a commit takes, and short enough that a service gone silent is asked again.
ATTEMPT_SECONDS = 5.0
#: Between attempts: doubled each time, from the first to the most, and drawn at random below that, so that those who
#: were cut off together do not come back together.
FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.1, 2.0
#: As the service takes it: visible ASCII, and no spaces, which proxies may take off its ends.
_KEY = re.compile(r"\A[\x21-\x7e]{1,256}\Z")
_RECORDED = frozenset({200, 201})

#: What may be recorded over HTTP; a use is one that happened outside the gate.
Recordable = TermsShown | Accepted | ToggleChanged | DataUsedForTraining


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where the event lies in the log. `repeated`: it was there before this answer, by an earlier attempt."""

    position: int
    stream: str
    version: int
    recorded_at: str
    repeated: bool
    #: The file that the person keeps, and `consent verify` takes; None where `no_receipt` says why there is none.
    receipt: bytes | None
    no_receipt: str | None


class _Answer(Struct, frozen=True):
    """What the service says; a field that others ask for is passed over."""

    position: int
    stream: str
    version: int
    recorded_at: str
    repeated: bool
    receipt: msgspec.Raw
    no_receipt: str | None


class Recorder:
    """One service; for any number of threads. A context manager, or `close`."""

    def __init__(self, url: str, token: str, patience: float = PATIENCE_SECONDS) -> None:
        """The token's scope is `record`; `patience`: seconds until `record` gives up."""
        self._service = HttpService(url, token)
        self._client = self._service.client()
        self._patience = patience

    def record(
        self,
        subject: str,
        event: Recordable,
        *,
        occurred: datetime | None = None,
        evidence: str | None = None,
        key: str | None = None,
    ) -> Recorded:
        """Records what the person of this identity was shown or chose; it is committed when this returns.

        It `occurred` now unless told otherwise: when the person acted, and not when an attempt came through, so a
        withdrawal loses no second to an outage. One `key`, made here unless given, is sent with every attempt. Give
        one of your own to ask again in another process.

        `Refused` or `InvalidInput`, with the service's sentence: asking again will not help.
        `OutcomeUnknown`: after all patience nobody knows; ask again with the same `key`, `occurred` and `evidence`.
        """
        if occurred is not None and occurred.tzinfo is None:
            raise InvalidInput(f"expected a time with an offset, found {occurred.isoformat()}; give it one")
        if key is not None and not _KEY.match(key):
            raise InvalidInput("expected a key of 1 to 256 visible ASCII characters, found others; hash it")
        body = _body(subject, event, occurred or datetime.now(UTC), evidence)
        return self._until_answered(body, key or secrets.token_urlsafe())

    def _until_answered(self, body: bytes, key: str) -> Recorded:
        # Any of these may be sent again: under one key they are one event.
        deadline = time.monotonic() + self._patience
        most = FIRST_WAIT_SECONDS
        while True:
            try:
                return self._attempt(body, key, deadline)
            except Unavailable as error:
                wait = random.uniform(0, most)  # noqa: S311 - no secret
                most = min(2 * most, MOST_WAIT_SECONDS)
                if time.monotonic() + wait >= deadline:
                    raise OutcomeUnknown(
                        f"expected an answer to what was recorded within {self._patience:g} s, found none: {error}; "
                        "ask again with the same key"
                    ) from None
                time.sleep(wait)

    def _attempt(self, body: bytes, key: str, deadline: float) -> Recorded:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        timeout = max(min(ATTEMPT_SECONDS, deadline - time.monotonic()), 0.001)
        with (
            self._service.reached(),
            self._client.stream("POST", "/v1/events", content=body, headers=headers, timeout=timeout) as response,
        ):
            answer = read_answer(response, time.monotonic() + timeout)
            if response.status_code not in _RECORDED:
                raise error_of(response, answer)
        try:
            told = msgspec.json.decode(answer, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(f"expected where the event lies, found another answer: {error}") from None
        # The receipt's own bytes: others verify them, nobody here writes them anew.
        receipt = bytes(told.receipt)
        return Recorded(
            position=told.position,
            stream=told.stream,
            version=told.version,
            recorded_at=told.recorded_at,
            repeated=told.repeated,
            receipt=None if receipt == b"null" else receipt,
            no_receipt=told.no_receipt,
        )

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _body(subject: str, event: Recordable, occurred: datetime, evidence: str | None) -> bytes:
    """The request, as `POST /v1/events` takes it."""
    data: dict[str, Any] = msgspec.to_builtins(event)
    # Over HTTP every use is one that others report.
    data.pop("attested", None)
    asked = {"event": topic_of(type(event)), "subject": subject, "occurred_at": format_time(occurred), "data": data}
    return msgspec.json.encode(asked if evidence is None else asked | {"evidence": evidence})
