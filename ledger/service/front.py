"""In front of every route: what no request may have, the headers that every answer has, one line in the log."""

from __future__ import annotations

import logging
import time

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.service.logs import error_fields, tell
from ledger.service.problems import Problem, unexpected
from ledger.service.serving import Service
from ledger.service.streams import MEDIA_TYPE as STREAM

#: Of every answer; a route that says otherwise is heard.
_HEADERS = {
    b"cache-control": b"no-store",
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
}
#: What the log says of a request that led to none: the path itself may name somebody.
NO_ROUTE = "none"


class Front:
    """The outermost of what is asked; an error that nobody foresaw ends here, and is told to nobody but the log."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0
        is_stream = False
        failed: dict[str, object] = {}

        async def answer(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = (b"content-type", STREAM.encode()) in message["headers"]
                message = {**message, "headers": _with_ours(message["headers"])}
            await send(message)

        try:
            if scope["query_string"]:
                raise Problem(400, "query", "expected no query string, found one; what is asked stands in the body")
            await self._app(scope, receive, answer)
        except Problem as problem:
            await problem.response()(scope, receive, answer)
        except ClientDisconnect:
            failed = {"left": True}
        except Exception as error:
            failed = error_fields(error)
            if not status:
                await unexpected().response()(scope, receive, answer)
        seconds = time.perf_counter() - began
        if not is_stream:  # which lasts as long as its subscriber likes
            self._service.metrics.seconds.add(seconds)
        self._tell(scope, status, seconds, failed)

    def _tell(self, scope: Scope, status: int, seconds: float, failed: dict[str, object]) -> None:
        route = scope.get("route")
        path = route.path_format if isinstance(route, APIRoute) else NO_ROUTE
        method = scope["method"] if path != NO_ROUTE else "-"
        self._service.metrics.requests[method, path, status] += 1
        level = logging.ERROR if "error" in failed else logging.INFO
        tell("request", level, method=method, route=path, status=status, ms=round(1_000 * seconds, 1), **failed)


def _with_ours(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    theirs = {name.lower() for name, _ in headers}
    return [*headers, *((name, value) for name, value in _HEADERS.items() if name not in theirs)]
