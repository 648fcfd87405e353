"""Where each stream stands after the entries so far; only some streams are held in memory."""

from __future__ import annotations

from collections.abc import Collection
from struct import Struct

from ledger.audit.state import State
from ledger.proof.chain import chain_start

#: Streams held in memory, at 400 bytes each; beyond it all that nobody asked for now are let go.
MOST_HELD = 100_000
#: A row that is written takes SQLite half of the time with one column beside its key.
_STANDS = Struct(">Q32s27sQ")


class Standing:
    """One stream: its length and chain head, when its last entry was recorded (b"" before the first)."""

    __slots__ = ("head", "length", "recorded", "uses")

    def __init__(self, length: int, head: bytes, recorded: bytes, uses: int) -> None:
        self.length = length
        self.head = head
        self.recorded = recorded
        #: How many of its entries are uses.
        self.uses = uses


class Streams:
    """By stream key. `load` makes sure that some are there, and they are until the next `load`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.standing: dict[bytes, Standing] = {}
        self._touched: set[bytes] = set()

    def load(self, keys: Collection[bytes]) -> None:
        """These streams will be asked for, and change."""
        standing = self.standing
        missing = [key for key in keys if key not in standing]
        if len(standing) + len(missing) > MOST_HELD:
            self.save()
            standing.clear()
            missing = list(keys)
        for key, stands in self._state.rows_of("SELECT key, stands FROM stream WHERE key IN", missing):
            standing[key] = Standing(*_STANDS.unpack(stands))
        for key in missing:
            if key not in standing:
                standing[key] = Standing(0, chain_start(key), b"", 0)
        self._touched.update(keys)

    def save(self) -> None:
        """Writes what changed since the last commit."""
        changed = ((key, self.standing[key]) for key in sorted(self._touched))
        self._state.write(
            "INSERT OR REPLACE INTO stream VALUES (?, ?)",
            ((key, _STANDS.pack(one.length, one.head, one.recorded, one.uses)) for key, one in changed),
        )
        self._touched.clear()
