"""What feeds a replica: the rows of `verdict-spans`, as a snapshot and its tail, from wherever they come."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct


class Changes(Struct, frozen=True, kw_only=True):
    """Some rows, in the order of their positions; without rows, a heartbeat.

    `snapshot`: forget all rows; whatever stands comes from here on, with this and the next ones. `changes`: rows
    follow, each over the one of the same stream. `nothing`: nothing changed.
    """

    intent: Literal["nothing", "changes", "snapshot"]
    rows: Sequence[Mapping[str, Any]] = ()
    #: Where to go on from after a break, once all so far were taken in.
    token: str
    position: int
    #: Whether there was no more; until then the rows that were handed out are of no one moment of the log.
    complete: bool
    #: A moment of this process's monotonic clock: what is complete has all that was in the log by then.
    as_of: float


class Feed(Protocol):
    """A way to the ledger; asked anew for changes after each break."""

    def changes(self, after: str | None, stopped: threading.Event) -> Generator[Changes]:
        """From a token on, else from a snapshot on, until `stopped` is set; with heartbeats, seconds apart at most.

        `Unavailable`: the ledger could not be reached, ask again. Any other error, as `Refused` of a token that is
        another ledger's: it will never do.
        """
        ...
