"""A ledger as an audit reads it: the log, all checkpoints ever published, and the tables that follow from the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import IsolationLevel

from ledger.application import ConsentLedger, open_ledger
from ledger.audit.findings import Finding
from ledger.audit.map_check import check_map
from ledger.audit.maps import Maps
from ledger.audit.source import Page, ReadTile, Source
from ledger.importing.watcher import Watcher
from ledger.projections import PROJECTIONS
from ledger.projections.rebuild import Difference, verify
from ledger.projections.runner import Runner
from ledger.projections.tables import Tables, unusable_as_error
from ledger.proof.merkle import HASH_SIZE
from ledger.settings import Place
from ledger.store.database import connect, unavailable_as_error
from ledger.store.proofs import ProofTables

#: Differing rows that are named of each projection; `consent projections verify` names more.
_MOST_ROWS = 10


class LedgerSource(Source):
    """Up to where the log stands when the audit begins."""

    def __init__(self, ledger: ConsentLedger, tables: ProofTables) -> None:
        self.name = ledger.place.name
        self._ledger = ledger
        self._tables = tables
        # In this order: of a log that goes on, what is signed lies within what is read.
        last = tables.last_checkpoint()
        self._last = -1 if last is None else last.size
        self._tree_size = tables.tree_size()
        self._head = ledger.recorder.head()

    def head(self) -> int | None:
        return self._head

    def pages(self) -> Iterator[Page]:
        after = 0
        while rows := self._ledger.recorder.page(after, self._head):
            yield Page([row[0] for row in rows], [bytes(row[4]) for row in rows])
            after = rows[-1][0]

    def checkpoints(self) -> Iterator[bytes]:
        for checkpoint in self._tables.checkpoints():
            if checkpoint.size > self._last:
                return
            yield checkpoint.note.encode()

    def tiles(self) -> tuple[int, ReadTile] | None:
        def read(level: int, number: int, width: int) -> bytes:
            return self._tables.read_tile(level, number)[: width * HASH_SIZE]

        return self._tree_size, read

    def own(self, maps: Maps, watch: Watcher) -> Iterator[Finding]:
        yield from self._map(maps, watch)
        yield from self._projections(watch)

    def _map(self, maps: Maps, watch: Watcher) -> Iterator[Finding]:
        """The map's tables, where they stand at the last map of the log, as they do while no sequencer works."""
        with unavailable_as_error(self.name), connect(self._ledger.url, self.name, "consent_service") as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            with connection.transaction():
                tables = ProofTables(connection)
                if tables.covers() == maps.covers:
                    yield from check_map(tables, maps, watch)

    def _projections(self, watch: Watcher) -> Iterator[Finding]:
        with Runner(self._ledger.url, self.name) as runner:
            for projection in PROJECTIONS.values():
                with unusable_as_error(projection, self.name):
                    if not Tables(runner.connection, projection, projection.tables).position():
                        continue  # nobody asked for it yet
                watch.now(f"verifying {projection.name}", runner.head())
                verified = verify(runner, projection, watch.advance)
                for difference in verified.named[:_MOST_ROWS]:
                    yield Finding(
                        "projection-differs",
                        f"expected the row {_key(difference)} of {projection.name} as the log says at position "
                        f"{verified.position}, found {_how(difference)}; {verified.differing} rows differ",
                        details={"projection": projection.name, "differing": verified.differing},
                    )


@contextmanager
def ledger_source(place: Place) -> Iterator[LedgerSource]:
    """The ledger at `place`, open while it is audited."""
    with (
        open_ledger(place) as ledger,
        unavailable_as_error(place.name),
        connect(ledger.url, place.name, "consent_service") as connection,
    ):
        yield LedgerSource(ledger, ProofTables(connection))


def _key(difference: Difference) -> str:
    return ", ".join(f"{column} {value}" for column, value in difference.key.items())


def _how(difference: Difference) -> str:
    if difference.live is None:
        return "no such row"
    if difference.rebuilt is None:
        return "a row that the log does not have"
    return "other values"
