"""`consent import`: a file of events into the ledger, in batches; killed and run again it ends in the same state."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.application import MOST_ATTEMPTS, ConsentLedger
from ledger.errors import InvalidInput, Unavailable
from ledger.importing.decisions import Decisions
from ledger.importing.event_line import EventLine, event_line
from ledger.importing.lines import RawLine, lines_of
from ledger.importing.rejects import Rejects
from ledger.importing.shares import Share
from ledger.importing.sorting import ExternalSort
from ledger.importing.watcher import Watcher
from ledger.store.writer import Outcome

#: One transaction: its commit is spread over so many lines, and other writers wait no longer than it takes.
BATCH_LINES = 2_000
#: The same, where lines are long.
BATCH_BYTES = 4 * 1024 * 1024
#: What one person did at one moment stays together, unless it is more than any person can do.
MOST_BATCH_LINES = 10 * BATCH_LINES
#: Objects made between two collections of the youngest: more than a batch makes.
RARELY = 200_000
_NUMBER_BYTES = 8


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
    rejects = Rejects(path)
    catalogue = ledger.catalogue()
    lines: ExternalSort[EventLine] = ExternalSort(
        key=lambda line: line.order,
        to_bytes=lambda line: line.raw.number.to_bytes(_NUMBER_BYTES, "big") + line.raw.text,
        from_bytes=lambda kept: event_line(_raw(kept), catalogue),
    )
    try:
        watcher.now(f"reading {path.name}")
        count = 0
        with path.open("rb") as file:
            for raw in lines_of(file):
                count += 1
                try:
                    lines.add(event_line(raw, catalogue), raw.length)
                except InvalidInput as error:
                    rejects.add(raw, str(error))
                if count % BATCH_LINES == 0:
                    watcher.advance(BATCH_LINES)
        watcher.now(f"storing {path.name}", lines.count)
        importing = _Importing(ledger, source, rejects, watcher)
        with _collecting_rarely():
            importing.run(_batches(lines))
        rejects.write()
        return Imported(
            lines=count,
            stored=importing.stored,
            repeated=importing.repeated,
            rejected=rejects.count,
            rejects_file=rejects.path if rejects.count else None,
        )
    except OSError as error:
        raise Unavailable(f"expected to read the events of {path}, found: {error.strerror or error}") from None
    finally:
        lines.close()
        rejects.close()


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


def _raw(kept: bytes) -> RawLine:
    text = kept[_NUMBER_BYTES:]
    return RawLine(int.from_bytes(kept[:_NUMBER_BYTES], "big"), text, len(text))


def _batches(lines: Iterable[EventLine]) -> Iterator[list[EventLine]]:
    batch: list[EventLine] = []
    size = 0
    for line in lines:
        is_full = len(batch) >= BATCH_LINES or size >= BATCH_BYTES
        if is_full and (line.moment != batch[-1].moment or len(batch) >= MOST_BATCH_LINES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += line.raw.length
    if batch:
        yield batch


class _Importing:
    """One batch is stored by a thread of its own while the next is decided, as far as that needs no waiting."""

    def __init__(self, ledger: ConsentLedger, source: str, rejects: Rejects, watcher: Watcher) -> None:
        self._ledger = ledger
        self._decisions = Decisions(ledger, source)
        self._rejects = rejects
        self._watcher = watcher
        self._under_way: tuple[list[Share], Future[list[Outcome]]] | None = None
        #: What was stored last, by stream.
        self._stored: dict[str, Share] = {}
        self.stored = 0
        self.repeated = 0

    def run(self, batches: Iterable[list[EventLine]]) -> None:
        with ThreadPoolExecutor(1, "import") as thread:
            for lines in batches:
                shares = self._decisions.shares_of(lines)
                busy = {share.stream for share in self._under_way[0]} if self._under_way else set()
                self._decisions.decide([share for share in shares if share.stream not in busy], self._stored)
                self._settle()
                self._decisions.decide([share for share in shares if share.stream in busy], self._stored)
                self._under_way = shares, thread.submit(self._store, shares)
            self._settle()

    def _store(self, shares: list[Share]) -> list[Outcome]:
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
            self._decisions.decide(shares, {})
            outcomes = self._store(shares)
        raise Unavailable(f"expected to store within {MOST_ATTEMPTS} attempts, found a conflict each time; try again")

    def _count(self, shares: list[Share], outcomes: list[Outcome]) -> list[EventLine]:
        """Takes note of what was settled; the lines of the others, of whose streams or keys somebody was faster."""
        lost: list[EventLine] = []
        following = iter(outcomes)
        for share in shares:
            if share.is_lost or (share.append is not None and next(following).name != "stored"):
                lost += [turn.line for turn in share.turns]
                continue
            self.stored += len(share.entries)
            self.repeated += share.repeated
            for raw, reason in share.rejected:
                self._rejects.add(raw, reason)
            self._watcher.advance(len(share.turns))
            if share.entries:
                self._stored[share.stream] = share
        return lost
