"""A feed over HTTP and what answers it: no ledger, another one, silence. A real server that answers as a test says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ledger.client import http_feed
from ledger.client.http_feed import HttpFeed
from ledger.errors import ConsentLedgerError, Refused, Unavailable
from tests.client.conftest import SECONDS


class Elsewhere:
    """Answers `/v1/head` and the changes from what it is given: status, media type and body."""

    def __init__(self, head: tuple[int, str, bytes], changes: tuple[int, str, bytes]) -> None:
        self.answers = {"/v1/head": head, "/v1/projections/verdict-spans/changes": changes}
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, media_type, body = answers[self.path]
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


A, B = "a" * 32, "b" * 32
JSON, EVENTS, PROBLEM, HTML = "application/json", "text/event-stream", "application/problem+json", "text/html"
HEAD = (200, JSON, f'{{"token":"{A}:3"}}'.encode())
NO_LEDGER: dict[str, tuple[tuple[int, str, bytes], tuple[int, str, bytes], type[ConsentLedgerError], str]] = {
    "a page": (HEAD, (200, HTML, b"<html>"), Unavailable, "found another media type"),
    "a page at the head": ((200, HTML, b"<html>"), HEAD, Unavailable, "found the log's end"),
    "a page that is not found": (HEAD, (404, HTML, b"<html>"), Unavailable, "found status 404"),
    "a way elsewhere": (HEAD, (302, HTML, b""), Unavailable, "found status 302"),
    "a gateway": ((502, HTML, b""), HEAD, Unavailable, "found status 502"),
    "no way in": ((403, HTML, b""), HEAD, Refused, "found status 403"),
    "too many": ((429, PROBLEM, b'{"detail":"slow down","status":429}'), HEAD, Unavailable, "slow down"),
    "unknown": (HEAD, (404, PROBLEM, b'{"detail":"no such projection","status":404}'), Refused, "no such projection"),
    "no problem": (HEAD, (404, PROBLEM, b'{"detail":4}'), Unavailable, "found status 404"),
    "other JSON": (HEAD, (200, EVENTS, b"event: intent\ndata: []\n\n"), Unavailable, "found an event intent"),
    "no token": (HEAD, (200, EVENTS, b'event: token\ndata: {"token":"7"}\n\n'), Unavailable, "found a token like '7'"),
    "another's": (HEAD, (200, EVENTS, f'event: token\ndata: {{"token":"{B}:7"}}\n\n'.encode()), Refused, "found two"),
    "gone": (
        HEAD,
        (200, EVENTS, b'event: problem\ndata: {"detail":"the database went away","status":503}\n\n'),
        Unavailable,
        "the database went away",
    ),
    "the end": (HEAD, (200, EVENTS, b": nothing\n\n"), Unavailable, "found that it hung up"),
}


@pytest.mark.parametrize(("head", "changes", "error", "says"), NO_LEDGER.values(), ids=list(NO_LEDGER))
def test_what_answers_otherwise(
    head: tuple[int, str, bytes], changes: tuple[int, str, bytes], error: type[ConsentLedgerError], says: str
) -> None:
    elsewhere = Elsewhere(head, changes)
    try:
        with pytest.raises(error, match=says) as raised:
            list(HttpFeed(elsewhere.url, "consent_" + "x" * 43).changes(None, threading.Event()))
        assert "xxx" not in str(raised.value)
    finally:
        elsewhere.close()


def test_rows_are_of_no_moment_until_the_log_was_no_longer_than_they(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log's end was asked for first; what is complete below it is not yet complete as of then."""
    stream = f'event: intent\nid: {A}:0\ndata: {{"intent":"snapshot","token":"{A}:0"}}\n\n'
    stream += "".join(f'event: token\nid: {A}:{n}\ndata: {{"token":"{A}:{n}"}}\n\n' for n in (2, 3, 4))
    elsewhere = Elsewhere(HEAD, (200, EVENTS, stream.encode()))
    before = time.monotonic()
    following = HttpFeed(elsewhere.url, "consent_" + "x" * 43).changes(None, threading.Event())
    taken = [next(following) for _ in range(3)]
    with pytest.raises(Unavailable, match="hung up"):
        next(following)
    elsewhere.close()
    assert [(one.intent, one.position, one.complete) for one in taken] == [
        ("snapshot", 2, False),
        ("nothing", 3, True),
        ("nothing", 4, True),
    ]
    assert before <= taken[1].as_of == taken[2].as_of < time.monotonic()


def test_bytes_without_events_are_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_feed, "SILENCE_SECONDS", 0.3)
    with dripping() as url, pytest.raises(Unavailable, match=r"an event at least every 0\.3 s"):
        list(HttpFeed(url, "consent_" + "x" * 43).changes(None, threading.Event()))


@contextmanager
def dripping() -> Iterator[str]:
    """A service that answers the first question, and to the second sends comments for ever."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        body = HEAD[2]
        first, _ = listener.accept()
        first.recv(65_536)
        first.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        first.sendall(body)
        first.recv(65_536)
        first.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        try:
            while True:
                first.sendall(b": still here\n\n")
                time.sleep(0.05)
        except OSError:
            first.close()

    serving = threading.Thread(target=serve)
    serving.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    serving.join(SECONDS)
    listener.close()
