"""Many subscribers of one service in one process: what each was told, in which order, and when.

Each is a connection that reads server-sent events by itself and, cut off, connects again with the last id it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_ROW = re.compile(rb'data: \{"position":(\d+),"row":\{"stream":"([0-9a-f]{64})"')
_ID = re.compile(rb"^id: (.+)$", re.MULTILINE)
#: Of one that is cut off, until it asks again.
AGAIN_SECONDS = 0.2


@dataclass
class Heard:
    """What one subscriber was told."""

    #: The last state of each stream, as it came.
    rows: dict[bytes, bytes] = field(default_factory=dict)
    last_id: bytes | None = None
    #: All rows up to there were told.
    position: int = 0
    #: Positions of rows, and when each came.
    arrived: list[tuple[int, float]] = field(default_factory=list)
    connections: int = 0
    snapshots: int = 0
    #: Rows that came after one of a later position.
    disorder: int = 0
    _row: int = 0

    def take(self, event: bytes) -> None:
        if found := _ID.search(event):
            self.last_id = found[1]
        if event.startswith(b"event: row"):
            row = _ROW.search(event)
            if row is None:
                raise ValueError(f"expected a row, found {event[:200]!r}")
            position = int(row[1])
            self.disorder += position < self._row
            self._row = position
            self.rows[row[2]] = event[event.index(b"data: ") + 6 :]
            self.arrived.append((position, time.monotonic()))
        elif event.startswith(b"event: token") and self.last_id is not None:
            self.position = int(self.last_id.rpartition(b":")[2])
        elif event.startswith(b"event: intent") and b'"snapshot"' in event:
            self.rows.clear()
            self.snapshots += 1
            self._row = 0


class Crowd:
    """So many, of one projection."""

    def __init__(self, host: str, port: int, token: str, projection: str, many: int) -> None:
        self._address = host, port
        self._head = (
            f"GET /v1/projections/{projection}/changes HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        ).encode()
        self.heard = [Heard() for _ in range(many)]

    def listen(self, until: Callable[[], int | None], seconds: float) -> None:
        """Until everybody was told all up to a position, once there is one; `TimeoutError` after so many seconds."""
        asyncio.run(self._listen(until, seconds))

    async def _listen(self, until: Callable[[], int | None], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            following = [asyncio.create_task(self._follow(heard)) for heard in self.heard]
            try:
                while (last := until()) is None or any(heard.position < last for heard in self.heard):
                    await asyncio.sleep(0.05)
                    for task in following:
                        if task.done():
                            task.result()
            finally:
                for task in following:
                    task.cancel()
                await asyncio.gather(*following, return_exceptions=True)

    async def _follow(self, heard: Heard) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(*self._address)
                try:
                    await self._read(heard, reader, writer)
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _read(self, heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        resuming = b"" if heard.last_id is None else b"Last-Event-ID: " + heard.last_id + b"\r\n"
        writer.write(self._head + resuming + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            if not head.startswith(b"HTTP/1.1 503"):
                raise ValueError(f"expected a stream or 503, found {head[:100]!r}")
            return
        heard.connections += 1
        pending = b""
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            pending += (await reader.readexactly(size + 2))[:-2]
            *events, pending = pending.split(b"\n\n")
            for event in events:
                heard.take(event)


class Appender:
    """Appends so many events a second in a thread; notes when each was answered."""

    def __init__(self, append: Callable[[int], int], a_second: float, seconds: float) -> None:
        self._append = append
        self._a_second = a_second
        self._many = int(a_second * seconds)
        #: By position.
        self.answered: dict[int, float] = {}
        self.last: int | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Appender:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def until(self) -> int | None:
        """The last position, once there is one."""
        return self.last

    def _run(self) -> None:
        try:
            begun, position = time.monotonic(), 0
            for number in range(self._many):
                time.sleep(max(0.0, begun + number / self._a_second - time.monotonic()))
                position = self._append(number)
                self.answered[position] = time.monotonic()
            self.last = position
        except BaseException as error:
            self._failure = error


def delays(crowd: Crowd, appender: Appender) -> list[float]:
    """Seconds from an append's answer until a subscriber had the row, of all rows and subscribers, sorted."""
    return sorted(
        max(0.0, came - appender.answered[position])
        for heard in crowd.heard
        for position, came in heard.arrived
        if position in appender.answered
    )
