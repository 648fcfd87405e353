"""The ledger's clock, read between round trips: the database's, as of its last answer, and the time since."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta


class LedgerClock:
    """Never ahead of the database's own: the answer was read there before it arrived here."""

    def __init__(self, ask: Callable[[], datetime]) -> None:
        self._ask = ask
        self._mutex = threading.Lock()
        self._answer: datetime | None = None
        self._arrived = 0.0

    def read(self, answer: datetime) -> None:
        """Takes in an answer that just arrived."""
        with self._mutex:
            self._answer, self._arrived = answer, time.monotonic()

    def now(self) -> datetime:
        """The ledger's time; asks the database the first time."""
        with self._mutex:
            answer, arrived = self._answer, self._arrived
        if answer is None:
            answer = self._ask()
            self.read(answer)
            return answer
        return answer + timedelta(seconds=time.monotonic() - arrived)
