"""uvicorn's protocol, with what it lacks: a time within which a request's head and body must have come, the largest
head, and how many connections there may be.

uvicorn's own time-out begins once a connection was answered: one that never sends its request is kept for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from ledger.service.limits import Limits
from ledger.service.problems import MEDIA_TYPE, Problem
from ledger.service.streams import HANG_UP

#: Method, path and headers: a token and a proxy's own have a tenth of it.
LARGEST_HEAD = 16 * 1024

_LONG_HEAD = Problem(431, "head-too-large", f"expected a head of at most {LARGEST_HEAD} bytes, found a longer one")
_MALFORMED = Problem(400, "malformed", "expected a request of HTTP/1.1, found something else")
_FULL = Problem(503, "full", "expected to have a connection free, found none; try again in a moment")


def protocol_of(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol with these limits; uvicorn wants a class."""

    class Protocol(BoundedProtocol):
        seconds = limits.receive_seconds
        most_connections = limits.connections

    return Protocol


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    seconds: float
    most_connections: int

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        #: Set from a request's first byte, or the connection's beginning, until its body has come.
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._refusal = _MALFORMED

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._refuse(_FULL)
            return
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_answering:
            self._begin()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse(_LONG_HEAD)

    def on_message_begin(self) -> None:
        self._begin()
        self._in_head = True
        super().on_message_begin()
        # Not `close`, which waits until somebody who reads nothing has read what is left.
        self.scope["extensions"] = {HANG_UP: self.transport.abort}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LARGEST_HEAD:
            self._refusal = _LONG_HEAD
            raise httptools.HttpParserError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own sentence
        self._refuse(self._refusal)

    @property
    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _begin(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self._too_slow)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self.transport.abort()

    def _refuse(self, problem: Problem) -> None:
        """Answers where no application does, and hangs up."""
        self._end()
        body = problem.body()
        head = [
            f"HTTP/1.1 {problem.status} {problem.phrase}",
            f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(body)}",
            "connection: close",
            *(f"{name.lower()}: {value}" for name, value in problem.headers.items()),
        ]
        self.transport.write("\r\n".join([*head, "", ""]).encode("ascii") + body)
        self.transport.close()
