"""Commands that go on until they are interrupted, and then end by themselves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def until_stopped(follow: bool = True) -> Iterator[threading.Event]:
    """Set at the first SIGINT or SIGTERM of a follower, which ends by itself then; a second one is not waited for."""
    stopped = threading.Event()

    def stop(number: int, _: Any) -> None:
        stopped.set()
        signal.signal(number, signal.SIG_DFL)

    if not follow:
        yield stopped
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
