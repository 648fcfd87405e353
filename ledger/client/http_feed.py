"""A replica's rows over HTTP: the projection as server-sent events, and the log's end to tell how fresh they are."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import httpx
import msgspec
from msgspec import Struct

from ledger.client.feed import Changes
from ledger.client.http_service import (
    CONNECT_SECONDS,
    HttpService,
    error_of,
    error_of_problem,
    parse_problem,
    read_answer,
)
from ledger.client.server_sent_events import Event, events_of
from ledger.errors import ConsentLedgerError, Refused, Unavailable

PROJECTION = "verdict-spans"
#: Three heartbeats of the service's, which come every 2 s: after so many seconds without a sound the way is broken.
SILENCE_SECONDS = 6.0
#: How often, at most, the log's end is asked for: two hundred replicas then ask two hundred times a second.
HEAD_SECONDS = 1.0
#: Rows that are handed on at once.
MOST_ROWS = 1_000

_TOKEN = re.compile(r"\A([0-9a-f]{32}):(0|[1-9][0-9]{0,15})\Z")


class _Intent(Struct, frozen=True):
    intent: Literal["snapshot", "changes", "nothing"]
    token: str


class _Row(Struct, frozen=True):
    position: int
    row: dict[str, Any]
    gone: bool


class _Token(Struct, frozen=True):
    token: str


class HttpFeed:
    """Implements `Feed` over `GET /v1/projections/verdict-spans/changes` and `GET /v1/head`; the token's scope: read.

    No clock but this process's is believed: it asks for the log's end at a moment of its own, and once all rows up to
    that end are there, nothing is missing of what was in the log at that moment.
    """

    def __init__(self, url: str, token: str) -> None:
        self._service = HttpService(url, token)

    def changes(self, after: str | None, stopped: threading.Event) -> Generator[Changes]:
        with self._service.reached(), self._service.client() as client:
            follower = _Follower(self._service, client)
            follower.ask_head()
            with _stream(client, after) as events:
                for event in events:
                    yield from follower.take(event)
                    if stopped.is_set():
                        return
        raise Unavailable(f"expected the service at {self._service.url} to go on, found that it hung up; asking again")


class _Follower:
    """What was said so far, as far as it was not handed on."""

    def __init__(self, service: HttpService, client: httpx.Client) -> None:
        self._service = service
        self._client = client
        #: Whether a snapshot begins with the rows that come next.
        self._begins = False
        self._rows: list[dict[str, Any]] = []
        #: The last token that the stream said, and its parts.
        self._token = ""
        self._ledger = ""
        self._position = 0
        #: The moment at which the log's end was last asked for, and where it was.
        self._asked, self._head = 0.0, 0
        #: The last moment of which it is known that nothing of before it is missing.
        self._as_of = -math.inf

    def take(self, event: Event) -> Iterator[Changes]:
        """The next event of the stream."""
        match event.event:
            case "intent":
                told = _decoded(event, _Intent)
                self._go_to(told.token)
                self._begins, self._rows = told.intent == "snapshot", []
            case "row":
                row = _decoded(event, _Row)
                self._rows.append(row.row | {"position": row.position, "gone": row.gone})
                if event.id is not None:
                    self._go_to(event.id)
                    # Only here: a position may have several rows, and whoever goes on after it gets none of them.
                    if len(self._rows) >= MOST_ROWS:
                        yield self._changes(complete=False)
            case "token":
                self._go_to(_decoded(event, _Token).token)
                yield from self._complete()
            case "problem":
                raise _told(event)
            case _:
                pass  # of a later service, for others

    def ask_head(self) -> None:
        """Where the log ends, asked for at a moment that is remembered."""
        asked = time.monotonic()
        with self._client.stream("GET", "/v1/head") as response:
            body = read_answer(response)
            if response.status_code != httpx.codes.OK:
                raise error_of(response, body)
        try:
            ledger, position = _parts(msgspec.json.decode(body, type=_Token).token)
        except msgspec.MsgspecError as error:
            raise _not_the_contract(f"the log's end: {error}") from None
        self._demand_same(ledger)
        self._asked, self._head = asked, position

    def _complete(self) -> Iterator[Changes]:
        """All rows up to a position are there. They are handed on first: a withdrawal waits for no answer."""
        self._settle()
        # As of a moment that nobody knows, rows are of no use to whoever answers from them.
        yield self._changes(complete=self._as_of > -math.inf)
        if time.monotonic() - self._asked >= HEAD_SECONDS and self._asked <= self._as_of:
            self.ask_head()
            self._settle()
            if self._asked == self._as_of:
                yield self._changes(complete=True)

    def _settle(self) -> None:
        if self._position >= self._head:
            self._as_of = self._asked

    def _changes(self, *, complete: bool) -> Changes:
        made = Changes(
            intent="snapshot" if self._begins else "changes" if self._rows else "nothing",
            rows=self._rows,
            token=self._token,
            position=self._position,
            complete=complete,
            as_of=self._as_of,
        )
        self._begins, self._rows = False, []
        return made

    def _go_to(self, token: str) -> None:
        ledger, position = _parts(token)
        self._demand_same(ledger)
        self._token, self._position = token, position

    def _demand_same(self, ledger: str) -> None:
        if self._ledger not in ("", ledger):
            raise Refused(
                f"expected one ledger at {self._service.url}, found two, {self._ledger} and {ledger}; "
                "let the address lead to one of them"
            )
        self._ledger = ledger


@contextmanager
def _stream(client: httpx.Client, after: str | None) -> Generator[Iterator[Event]]:
    """The events of the stream, which was let in."""
    headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": after})
    timeout = httpx.Timeout(CONNECT_SECONDS, read=SILENCE_SECONDS)
    with client.stream("GET", f"/v1/projections/{PROJECTION}/changes", headers=headers, timeout=timeout) as response:
        if response.status_code != httpx.codes.OK:
            raise error_of(response, read_answer(response))
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "text/event-stream":
            raise _not_the_contract("another media type")
        yield _heard(response.iter_raw())


def _heard(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The events; `Unavailable` where bytes come, and no whole event does for as long as a silence may be."""
    heard = time.monotonic()

    def watched() -> Iterator[bytes]:
        for chunk in chunks:
            if time.monotonic() - heard > SILENCE_SECONDS:
                raise Unavailable(f"expected an event at least every {SILENCE_SECONDS:g} s, found none; asking again")
            yield chunk

    for event in events_of(watched()):
        yield event
        # What its taker took was no silence of the service's.
        heard = time.monotonic()


def _parts(token: str) -> tuple[str, int]:
    """The ledger and the position that a token names."""
    found = _TOKEN.match(token)
    if found is None:
        raise _not_the_contract(f"a token like {token[:80]!r}")
    return found[1], int(found[2])


_Told = TypeVar("_Told", _Intent, _Row, _Token)


def _decoded(event: Event, form: type[_Told]) -> _Told:
    try:
        return msgspec.json.decode(event.data, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _not_the_contract(f"an event {event.event}: {error}") from None


def _told(event: Event) -> ConsentLedgerError:
    """Why the stream cannot go on."""
    problem = parse_problem(event.data)
    return _not_the_contract("a problem that is none") if problem is None else error_of_problem(problem.status, problem)


def _not_the_contract(found: str) -> Unavailable:
    return Unavailable(f"expected the changes of {PROJECTION} as server-sent events, found {found}; asking again")
