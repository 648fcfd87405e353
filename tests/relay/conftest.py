"""A real NATS server, which a test may kill and start again."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import nats
import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from ledger.relay.cloud_event import CloudEvent, decode
from tests.needed import leave_out

SECONDS = 60
T = TypeVar("T")


class Server:
    """Debian's `nats-server`, on a port of its own, its streams in a folder that outlives it."""

    def __init__(self, program: str, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._command = [program, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(home)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the NATS server did not start")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        async def asked() -> T:
            client = await nats.connect(self.url)
            try:
                return await question(client)
            finally:
                await client.close()

        return asyncio.run(asked())

    def events(self, projection: str) -> list[CloudEvent]:
        """All messages of the projection's stream, from the first."""

        async def read(client: Client) -> list[CloudEvent]:
            stream, name = client.jetstream(), f"consent-{projection}"
            try:
                last = (await stream.stream_info(name)).state.last_seq
            except NotFoundError:
                return []
            return [decode((await stream.get_msg(name, number)).data or b"") for number in range(1, last + 1)]

        return self.ask(read)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    program = shutil.which("nats-server")
    if program is None:
        leave_out("no NATS server: install `nats-server`")
    running = Server(program, tmp_path / "nats")
    yield running
    running.kill()
