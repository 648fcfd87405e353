"""`consent import`: a file of events into the ledger, in batches; killed and run again it ends in the same state."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from ledger.application import MOST_ATTEMPTS, ConsentLedger
from ledger.errors import InvalidInput, Unavailable
from ledger.importing.decisions import Decisions, Line
from ledger.importing.lines import lines_of
from ledger.importing.newcomers import Newcomer
from ledger.importing.order import SALT_BYTES, NamedOtherwise, Order, raw_of
from ledger.importing.plain import Reader
from ledger.importing.rejects import Rejects
from ledger.importing.shares import Share
from ledger.importing.sorting import ExternalSort
from ledger.importing.watcher import Watcher
from ledger.store.writer import Outcome

#: One transaction: its commit is spread over so many lines, and other writers wait no longer than it takes.
BATCH_LINES = 4_000
#: The same, where lines are long.
BATCH_BYTES = 4 * 1024 * 1024
#: What one person did at one moment stays together, unless it is more than any person can do.
MOST_BATCH_LINES = 10 * BATCH_LINES
#: Objects made between two collections of the youngest: more than a batch makes.
RARELY = 400_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the lines of one file, blank ones not counted."""

    lines: int
    stored: int
    repeated: int
    rejected: int
    rejects_file: Path | None


def import_events(ledger: ConsentLedger, path: Path, source: str, watcher: Watcher) -> Imported:
    """Takes in the events of `path`. Each line is stored, was before, or is in the rejects file with its reason.

    A subject's lines are taken in the order of `recorded_at`. Raises `Unavailable` where the file cannot be read.
    """
    reader = Reader(ledger.catalogue())
    try:
        try:
            # What can be read only once, a pipe, is taken in the order in which any names may come.
            return _import(ledger, path, source, watcher, reader, by_person=path.is_file())
        except NamedOtherwise:
            return _import(ledger, path, source, watcher, reader, by_person=False)
    except OSError as error:
        raise Unavailable(f"expected to read the events of {path}, found: {error.strerror or error}") from None


def _import(
    ledger: ConsentLedger, path: Path, source: str, watcher: Watcher, reader: Reader, by_person: bool
) -> Imported:
    rejects = Rejects(path)
    lines: ExternalSort[bytes] = ExternalSort(key=None, to_bytes=bytes, from_bytes=bytes)
    try:
        watcher.now(f"reading {path.name}")
        with path.open("rb", buffering=0) as unbuffered, BufferedReader(unbuffered, SALT_BYTES) as file:
            order = Order(reader, file.peek(SALT_BYTES), by_person)
            count = _sort(lines, file, order, rejects, watcher)
        watcher.now(f"storing {path.name}", lines.count)
        importing = _Importing(ledger, Decisions(ledger, source, reader), reader, rejects, watcher)
        with _collecting_rarely():
            importing.run(order.batches(lines, BATCH_LINES, BATCH_BYTES, MOST_BATCH_LINES))
        rejects.write()
        return Imported(
            lines=count,
            stored=importing.stored,
            repeated=importing.repeated,
            rejected=rejects.count,
            rejects_file=rejects.path if rejects.count else None,
        )
    finally:
        lines.close()
        rejects.close()


def _sort(lines: ExternalSort[bytes], file: BinaryIO, order: Order, rejects: Rejects, watcher: Watcher) -> int:
    """Puts all lines of a file in their order, but for those that cannot have one; how many there are."""
    count = 0
    for raw in lines_of(file):
        count += 1
        try:
            placed = order.placed(raw)
        except InvalidInput as error:
            rejects.add(raw, str(error))
        else:
            lines.add(placed, len(placed))
        if count % BATCH_LINES == 0:
            watcher.advance(BATCH_LINES)
    return count


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Python's collector would look again and again at the lines that are held, and never finds a cycle among them:
    a quarter of the time of an import."""
    thresholds = gc.get_threshold()
    gc.set_threshold(RARELY, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


class _Importing:
    """One batch is stored by a thread of its own while the next is decided, as far as that needs no waiting."""

    def __init__(
        self, ledger: ConsentLedger, decisions: Decisions, reader: Reader, rejects: Rejects, watcher: Watcher
    ) -> None:
        self._ledger = ledger
        self._decisions = decisions
        self._reader = reader
        self._rejects = rejects
        self._watcher = watcher
        self._under_way: tuple[list[Newcomer | Share], Future[list[Outcome]]] | None = None
        #: What was stored last, by stream.
        self._stored: dict[str, Share] = {}
        self.stored = 0
        self.repeated = 0

    def run(self, batches: Iterable[list[bytes]]) -> None:
        with ThreadPoolExecutor(1, "import") as thread:
            for batch in batches:
                shares = self._decisions.shares_of(self._read(batch))
                busy = {share.stream for share in self._under_way[0]} if self._under_way else set()
                self._decide([share for share in shares if share.stream not in busy])
                self._settle()
                self._decide([share for share in shares if share.stream in busy])
                self._under_way = shares, thread.submit(self._store, shares)
            self._settle()

    def _read(self, batch: list[bytes]) -> list[Line]:
        lines: list[Line] = []
        for placed in batch:
            raw = raw_of(placed)
            try:
                lines.append(self._reader.line(raw))
            except InvalidInput as error:
                self._rejects.add(raw, str(error))
                self._watcher.advance()
        return lines

    def _decide(self, shares: list[Newcomer | Share]) -> None:
        self._decisions.decide([share for share in shares if isinstance(share, Share)], self._stored)
        self._decisions.link(shares)

    def _store(self, shares: list[Newcomer | Share]) -> list[Outcome]:
        appends = [append for share in shares if (append := share.append) is not None]
        return self._ledger.recorder.insert_many(appends) if appends else []

    def _settle(self) -> None:
        """Waits for the batch under way; what could not be stored as decided is decided again until it is."""
        if self._under_way is None:
            return
        shares, storing = self._under_way
        outcomes = storing.result()
        self._stored = {}
        for _ in range(MOST_ATTEMPTS):
            lost = self._count(shares, outcomes)
            if not lost:
                self._under_way = None
                return
            shares = self._decisions.shares_of(lost)
            self._decide(shares)
            outcomes = self._store(shares)
        raise Unavailable(f"expected to store within {MOST_ATTEMPTS} attempts, found a conflict each time; try again")

    def _count(self, shares: list[Newcomer | Share], outcomes: list[Outcome]) -> list[Line]:
        """Takes note of what was settled; the lines of the others, of whose streams or keys somebody was faster."""
        lost: list[Line] = []
        following = iter(outcomes)
        for share in shares:
            if share.is_lost or (share.append is not None and next(following).name != "stored"):
                lost += share.lines
                continue
            self.stored += len(share.entries)
            self.repeated += share.repeated
            for raw, reason in share.rejected:
                self._rejects.add(raw, reason)
            self._watcher.advance(len(share.lines))
            if share.entries and isinstance(share, Share):
                self._stored[share.stream] = share
        return lost
