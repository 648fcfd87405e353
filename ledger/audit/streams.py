"""Where each stream stands after the entries so far; only some streams are held in memory."""

from __future__ import annotations

from collections.abc import Collection

from ledger.audit.state import State
from ledger.domain.names import stream_key
from ledger.proof.chain import chain_start

#: Streams held in memory, at 400 bytes each; beyond it all that nobody asked for now are let go.
MOST_HELD = 100_000


class Standing:
    """One stream: its key, its length and chain head, when its last entry was recorded ("" before the first)."""

    __slots__ = ("head", "key", "length", "recorded", "uses")

    def __init__(self, key: bytes, length: int, head: bytes, recorded: str, uses: int) -> None:
        self.key = key
        self.length = length
        self.head = head
        self.recorded = recorded
        #: How many of its entries are uses.
        self.uses = uses


class Streams:
    """By name. `load` makes sure that some are there, and they are until the next `load`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.standing: dict[str, Standing] = {}
        self._touched: set[str] = set()

    def load(self, names: Collection[str]) -> None:
        """These streams will be asked for, and change."""
        missing = [name for name in names if name not in self.standing]
        if len(self.standing) + len(missing) > MOST_HELD:
            self.save()
            self.standing.clear()
            missing = list(names)
        query = "SELECT * FROM stream WHERE name IN (SELECT value FROM json_each(?))"
        for name, length, head, recorded, uses in self._state.rows_of(query, missing):
            self.standing[name] = Standing(stream_key(name), length, head, recorded, uses)
        for name in missing:
            if name not in self.standing:
                key = stream_key(name)
                self.standing[name] = Standing(key, 0, chain_start(key), "", 0)
        self._touched.update(names)

    def save(self) -> None:
        """Writes what changed since the last commit."""
        changed = ((name, self.standing[name]) for name in sorted(self._touched))
        self._state.write(
            "INSERT OR REPLACE INTO stream VALUES (?, ?, ?, ?, ?)",
            ((name, one.length, one.head, one.recorded, one.uses) for name, one in changed),
        )
        self._touched.clear()
