"""What one proof is made of, as of one moment: log, tree, map and checkpoint agree, whatever is appended meanwhile.

The map's tables stand at the last checkpoint, but while a sequencer is at work: then the proof waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from psycopg import IsolationLevel

from ledger.application import ConsentLedger
from ledger.domain.names import LARGEST_INTEGER
from ledger.errors import Refused
from ledger.proof.merkle import ReadHash
from ledger.proof.tiles import hash_reader
from ledger.store.database import Connection, connect, unavailable_as_error
from ledger.store.proofs import ProofTables, StoredCheckpoint
from ledger.store.statements import statement

#: How long a proof waits for a sequencer in the middle of its work: ten times what one over 10,000 entries takes.
PATIENCE_SECONDS = 30.0
_ASK_AGAIN_SECONDS = 0.2
#: Of 8 KiB each. The paths of a long history come back to the upper ones again and again.
_TILES_KEPT = 1_024
#: Of 32 bytes each, for the same: each is folded out of up to 128 hashes of its tile.
_HASHES_KEPT = 65_536


class Snapshot:
    """The ledger as of the first statement of one transaction, read only."""

    def __init__(self, connection: Connection) -> None:
        self.tables = ProofTables(connection)
        read_tile = lru_cache(_TILES_KEPT)(self.tables.read_tile)
        self.read_hash: ReadHash = lru_cache(_HASHES_KEPT)(hash_reader(read_tile))
        self._connection = connection

    def checkpoint(self) -> StoredCheckpoint:
        """The newest checkpoint; `Refused` where there is none yet."""
        last = self.tables.last_checkpoint()
        if last is None:
            raise Refused("expected a checkpoint, found none yet; run `consent checkpoint` first")
        return last

    def entry_at(self, position: int) -> bytes | None:
        """The bytes of the entry at a position, if the log is so long."""
        rows = self._rows("select_export", after=position - 1, until=position, limit=1)
        return bytes(rows[0][1]) if rows else None

    def entries(self, after: int, until: int) -> list[bytes]:
        """The entries at the positions after one up to another."""
        return [bytes(entry) for _, entry in self._rows("select_export", after=after, until=until, limit=until - after)]

    def stream(self, stream: str, until: int = LARGEST_INTEGER) -> list[tuple[int, bytes]]:
        """A stream's entries with their positions, from the first up to a position of the log."""
        rows = self._rows("select_streams", streams=[stream], until=until)
        return [(position, bytes(entry)) for position, *_, entry in rows]

    def _rows(self, name: str, **parameters: Any) -> list[Any]:
        if name == "select_export":
            parameters |= dict.fromkeys(("events", "streams", "recorded_from", "recorded_until"))
        rows: list[Any] = self._connection.cursor(binary=True).execute(statement(name), parameters).fetchall()
        return rows


@contextmanager
def snapshot(ledger: ConsentLedger) -> Iterator[Snapshot]:
    """The ledger as it is now."""
    with _reading(ledger) as connection:
        yield Snapshot(connection)


@contextmanager
def settled(ledger: ConsentLedger, patience: float = PATIENCE_SECONDS) -> Iterator[Snapshot]:
    """The ledger at a moment when the map's tables stand at the last checkpoint; waits so many seconds for one."""
    deadline = time.monotonic() + patience
    with _reading(ledger) as connection:
        while True:
            now = Snapshot(connection)
            if now.tables.covers() == now.checkpoint().covers:
                break
            if time.monotonic() > deadline:
                raise Refused(
                    f"expected the map at the last checkpoint within {patience:g} s, found it ahead, as a sequencer "
                    "leaves it that was stopped half-way; run `consent checkpoint`"
                )
            connection.rollback()  # the next statement sees what is new
            time.sleep(_ASK_AGAIN_SECONDS)
        yield now


@contextmanager
def _reading(ledger: ConsentLedger) -> Iterator[Connection]:
    named = ledger.place.name
    with (
        unavailable_as_error(named),
        connect(ledger.url, named, "consent_service", autocommit=False) as connection,
    ):
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection
