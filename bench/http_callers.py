"""A process of callers over HTTP: each has a connection that is kept, and sends one body after the other.

Usage: python -m bench.http_callers URL PATH BODIES CALLERS SECONDS

`BODIES` is a file of JSON lines. The token is read from the variable BENCH_TOKEN, and each request has an idempotency
key of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from bench import calling

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Asking:
    """Connections of one event loop, and the bodies that go over them in turn."""

    def __init__(self, url: str, path: str, bodies: list[bytes]) -> None:
        parts = urlsplit(url)
        self._at = parts.hostname or "", parts.port or 0
        self._bodies = itertools.cycle(bodies)
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {os.environ['BENCH_TOKEN']}\r\n"
        ).encode()
        self._prefix, self._numbers = uuid.uuid4().hex, itertools.count()
        self._free: list[Connection] = []

    async def ask(self) -> None:
        connection = self._free.pop() if self._free else await asyncio.open_connection(*self._at)
        reader, writer = connection
        body = next(self._bodies)
        key = f"Idempotency-Key: {self._prefix}-{next(self._numbers)}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(self._head + key.encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        answer = await reader.readexactly(length)
        if head[9:12] not in (b"200", b"201"):
            raise SystemExit(f"expected an answer, found {head[9:12].decode()}: {answer[:200].decode()}")
        self._free.append(connection)


def main() -> None:
    url, path, bodies, callers, seconds = sys.argv[1:]
    lines = Path(bodies).read_bytes().splitlines()

    def run(some: float) -> calling.Calls:
        return calling.by_tasks(Asking(url, path, lines).ask, int(callers), some)

    calling.when_told(run, float(seconds))


if __name__ == "__main__":
    main()
