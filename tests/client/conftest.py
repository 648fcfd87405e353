"""What clients need of a service: one that runs, here or in a process of its own, and a network before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from ledger.settings import Place
from tests.client.proxy import Proxy
from tests.service.conftest import Served, serve, served
from tests.service.test_server import Process

__all__ = ["serve", "served"]

Start = Callable[..., Process]
#: Until a test gives up: longer than any machine takes to wake a thread.
SECONDS = 60


def until(said: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def start(ledger_place: Place) -> Iterator[Start]:
    """Starts `consent serve` with these options; what still runs after the test is killed."""
    running: list[Process] = []

    def process(*arguments: str) -> Process:
        running.append(Process(ledger_place, *arguments))
        return running[-1]

    yield process
    for one in running:
        one.kill()


@pytest.fixture
def proxy(served: Served) -> Iterator[Proxy]:
    """Before the service of this process."""
    proxy = Proxy(lambda: served.address)
    yield proxy
    proxy.close()
