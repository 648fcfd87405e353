"""A network between a client and the service that can be cut: real sockets, and a knife."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Literal

#: `swallow`: it takes all that comes, from either side, and passes nothing on; nobody hears that the other is gone.
#: `answer`: requests reach the service, and the connection is closed in the place of the first byte of each answer.
#: `request`: the connection is closed in the place of the first byte to the service.
Cut = Literal["swallow", "answer", "request"]


class Proxy:
    """Listens on a port of its own, and passes everything on to where `service` says, unless told to cut."""

    def __init__(self, service: Callable[[], tuple[str, int]]) -> None:
        self.service = service
        self.cut: Cut | None = None
        #: How often it was cut; of `answer` and `request` so many more times, where there is a number.
        self.cuts = 0
        self.more: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ends: set[socket.socket] = set()
        self._mutex = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Closes every connection that there is."""
        with self._mutex:
            ends = list(self._ends)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self.service())
                except OSError:
                    client.close()
                    continue
                with self._mutex:
                    self._ends |= {client, server}
                for ends in ((client, server, "request"), (server, client, "answer")):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket, what: Cut) -> None:
        with contextlib.suppress(OSError):
            while passed := source.recv(65_536):
                if self.cut == "swallow":
                    continue
                if self._is_cut(what):
                    break
                to.sendall(passed)
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        with self._mutex:
            self._ends -= {source, to}

    def _is_cut(self, what: Cut) -> bool:
        with self._mutex:
            if self.cut != what or self.more == 0:
                return False
            self.cuts += 1
            if self.more is not None:
                self.more -= 1
            return True
