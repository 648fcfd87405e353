"""A witness over HTTP, for those who want to run one: `POST /add-checkpoint`, and the checkpoints to read.

It binds where it is told and speaks no TLS: in front of it belongs whatever the machine serves the world with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ledger.errors import ConsentLedgerError
from ledger.proof.checkpoint import parse_checkpoint
from ledger.proof.note import SigningKey, VerifierKey
from ledger.proof.witnessing import LARGEST_REQUEST, Reply, answer
from ledger.witness.state import WitnessState

#: Whoever is slower than this to send what fits in a megabyte is let go.
MOST_SECONDS = 10


class Witness:
    """One witness: its key, the logs it knows, and what it cosigned last of each."""

    def __init__(self, key: SigningKey, logs: Sequence[VerifierKey], state: WitnessState) -> None:
        self._key = key
        self._logs: Mapping[str, list[VerifierKey]] = {
            origin: [log for log in logs if log.name == origin] for origin in {log.name for log in logs}
        }
        self._state = state

    def add_checkpoint(self, body: bytes) -> Reply:
        """Cosigns what extends the last; kept before it is answered."""
        with self._state.alone():
            reply = answer(body, self._logs, self._state.latest, self._key, int(time.time()))
            if reply.cosigned is not None:
                self._state.keep(parse_checkpoint(reply.cosigned).origin, reply.cosigned)
        return reply

    def read(self, path: str) -> Reply:
        """The last checkpoint cosigned of the log whose origin's hash is in the path."""
        for origin in self._logs:
            if path == f"/{self._state.path_of(origin).name}/checkpoint":
                latest = self._state.latest(origin)
                if latest is not None:
                    return Reply(200, latest.text)
        return Reply(404, "expected /<hex of the SHA-256 of an origin>/checkpoint, found nothing there\n")


def serve(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """A server, bound; the caller runs and closes it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = MOST_SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path.rstrip("/") != "/add-checkpoint":
                self.close_connection = True
                self._send(Reply(404, "expected POST /add-checkpoint, found another path\n"))
            elif not length.isascii() or not length.isdigit() or int(length) > LARGEST_REQUEST:
                self.close_connection = True
                self._send(Reply(413, f"expected Content-Length, at most {LARGEST_REQUEST}, found {length[:20]!r}\n"))
            else:
                self._answer(lambda: witness.add_checkpoint(self.rfile.read(int(length))))

        def do_GET(self) -> None:
            self._answer(lambda: witness.read(self.path))

        def _answer(self, ask: Callable[[], Reply]) -> None:
            try:
                reply = ask()
            except ConsentLedgerError as error:
                reply = Reply(500, f"{error}\n")
            self._send(reply)

        def _send(self, reply: Reply) -> None:
            body = reply.body.encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: the command says what it does, and a proxy in front logs requests."""

    return ThreadingHTTPServer((host, port), Handler)
