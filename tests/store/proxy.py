"""A connection that can be cut: real sockets between the ledger and its server, and a knife."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

#: Where the next append's connection breaks: before the server hears of it, once it has, or once it has answered.
Cut = Literal["before", "during", "after"]
#: In every entry, and so in every append, however the statement is prepared.
_ENTRY = b'"recorded_at"'
# ReadyForQuery, in a transaction and idle: idle, it has committed.
_READY, _COMMITTED = b"Z\x00\x00\x00\x05T", b"Z\x00\x00\x00\x05I"


class Proxy:
    """Listens on a socket in `folder`, and passes everything on to the server of `url` until told to cut."""

    def __init__(self, url: str, folder: Path) -> None:
        parts = conninfo_to_dict(url)
        self._server = f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}"
        self.url = (
            f"postgresql:///{parts['dbname']}?user=postgres&gssencmode=disable&host={quote(str(folder), safe='')}"
        )
        self.cut: Cut | None = None
        self.cuts = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                _Wire(self, client, self._server).start()


class _Wire:
    """One connection through the proxy, a thread each way."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: str) -> None:
        self._proxy = proxy
        self._client = client
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(server)
        self._cutting: Cut | None = None

    def start(self) -> None:
        threading.Thread(target=self._to_server, daemon=True).start()
        threading.Thread(target=self._to_client, daemon=True).start()

    def _to_server(self) -> None:
        with contextlib.suppress(OSError):
            while sent := self._client.recv(65_536):
                if self._proxy.cut is not None and _ENTRY in sent:
                    self._cutting, self._proxy.cut = self._proxy.cut, None
                    self._proxy.cuts += 1
                if self._cutting == "before":
                    break
                self._server.sendall(sent)
                if self._cutting == "during":
                    break
        self._close()

    def _to_client(self) -> None:
        answer = b""
        with contextlib.suppress(OSError):
            while received := self._server.recv(65_536):
                answer += received
                if self._cutting == "after" and answer.endswith(_COMMITTED):
                    break
                if self._cutting is None or answer.endswith(_READY):
                    self._client.sendall(answer)
                    answer = b""
        self._close()

    def _close(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
