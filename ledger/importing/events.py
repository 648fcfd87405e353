"""`consent import`: a file of events into the ledger, in batches; killed and run again it ends in the same state."""

from __future__ import annotations

import gc
from collections import deque
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
from ledger.importing.plain import PlainLine, Reader
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
#: Batches in memory beside the one that is decided: one that is linked, and one that is stored.
MOST_UNDER_WAY = 2
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
    lines = ExternalSort()
    try:
        watcher.now(f"reading {path.name}")
        with path.open("rb", buffering=0) as unbuffered, BufferedReader(unbuffered, SALT_BYTES) as file:
            order = Order(reader, file.peek(SALT_BYTES), by_person)
            count = _sort(lines, file, order, rejects, watcher)
        watcher.now(f"storing {path.name}", lines.count)
        importing = _Importing(ledger, Decisions(ledger, source, reader), reader, rejects, watcher, by_person)
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


def _sort(lines: ExternalSort, file: BinaryIO, order: Order, rejects: Rejects, watcher: Watcher) -> int:
    """Puts all lines of a file in their order, but for those that cannot have one; how many there are."""
    count = 0
    for raw in lines_of(file):
        count += 1
        try:
            placed = order.placed(raw)
        except InvalidInput as error:
            rejects.add(raw, str(error))
        else:
            lines.add(placed)
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


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A batch that is decided and being stored; meanwhile nothing else about its people or its keys is decided."""

    shares: list[Newcomer | Share]
    people: set[str | None]
    keys: set[str]
    storing: Future[list[Outcome]]


class _Importing:
    """While one batch is stored the next one's people are linked and the one after it is decided.

    Each of the three waits for nothing but the server or this process, so that both are at work all the time.
    """

    def __init__(
        self,
        ledger: ConsentLedger,
        decisions: Decisions,
        reader: Reader,
        rejects: Rejects,
        watcher: Watcher,
        by_person: bool,
    ) -> None:
        self._ledger = ledger
        self._decisions = decisions
        self._reader = reader
        self._rejects = rejects
        self._watcher = watcher
        self._by_person = by_person
        self._under_way: deque[_UnderWay] = deque()
        #: What was stored last, by stream.
        self._stored: dict[str, Share] = {}
        self.stored = 0
        self.repeated = 0

    def run(self, batches: Iterable[list[bytes]]) -> None:
        with ThreadPoolExecutor(1, "link") as linker, ThreadPoolExecutor(1, "store") as storer:
            for batch in batches:
                lines = self._read(batch)
                people, keys = _people_of(lines), _keys_of(lines)
                if self._must_wait(people, keys):
                    self._settle(0)
                shares = self._decisions.shares_of(lines)
                self._decide(shares)
                linking = linker.submit(self._link, shares)
                storing = storer.submit(self._store_linked, shares, linking)
                self._under_way.append(_UnderWay(shares, people, keys, storing))
                self._settle(MOST_UNDER_WAY)
            self._settle(0)

    def _must_wait(self, people: set[str | None], keys: set[str]) -> bool:
        """Whether what is under way may decide on what these lines become: it is about the same, by whatever names."""
        if not self._by_person:
            return True
        return any(not (people.isdisjoint(one.people) and keys.isdisjoint(one.keys)) for one in self._under_way)

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
        """Decides on those who need be looked up."""
        known = [share for share in shares if isinstance(share, Share)]
        if known:
            self._decisions.decide(known, self._stored)
            self._decisions.link(known)

    def _link(self, shares: list[Newcomer | Share]) -> None:
        self._decisions.link_new([share for share in shares if isinstance(share, Newcomer)])

    def _store_linked(self, shares: list[Newcomer | Share], linking: Future[None]) -> list[Outcome]:
        linking.result()
        return self._store(shares)

    def _store(self, shares: list[Newcomer | Share]) -> list[Outcome]:
        appends = [append for share in shares if (append := share.append) is not None]
        return self._ledger.recorder.insert_many(appends) if appends else []

    def _settle(self, left: int) -> None:
        """Waits until no more than `left` batches are under way."""
        while len(self._under_way) > left:
            batch = self._under_way[0]
            self._finish(batch.shares, batch.storing.result())
            self._under_way.popleft()

    def _finish(self, shares: list[Newcomer | Share], outcomes: list[Outcome]) -> None:
        """Takes note of a batch; what could not be stored as decided is decided again until it is."""
        self._stored = {}
        for _ in range(MOST_ATTEMPTS):
            lost = self._count(shares, outcomes)
            if not lost:
                return
            shares = self._decisions.shares_of(lost, again=True)
            self._decide(shares)
            self._link(shares)
            outcomes = self._store(shares)
        raise Unavailable(f"expected to store within {MOST_ATTEMPTS} attempts, found a conflict each time; try again")

    def _count(self, shares: list[Newcomer | Share], outcomes: list[Outcome]) -> list[Line]:
        """Takes note of what was settled; the lines of the others, of whose streams or keys somebody was faster."""
        lost: list[Line] = []
        following = iter(outcomes)
        for share in shares:
            if share.is_lost or (share.entries and next(following).name != "stored"):
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


def _people_of(lines: Iterable[Line]) -> set[str | None]:
    """Whom or what lines are about, by the names they have there."""
    return {line.named if isinstance(line, PlainLine) else line.named or line.run for line in lines}


def _keys_of(lines: Iterable[Line]) -> set[str]:
    """The keys that sources gave to lines."""
    return {line.key for line in lines if not isinstance(line, PlainLine) and line.key is not None}
