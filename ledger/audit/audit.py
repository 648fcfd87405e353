"""One audit from beginning to end: read, compare what was seen before, check what is new, judge, and report."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ledger.audit.checkpoints import Checkpoints
from ledger.audit.entries import Entries
from ledger.audit.findings import DAMAGE, DIFFERENCES, REMARKS, VIOLATIONS, Finding
from ledger.audit.judging import judge_streams
from ledger.audit.runs import judge_runs
from ledger.audit.source import Page, Source
from ledger.audit.state import State
from ledger.audit.tile_check import check_tiles
from ledger.audit.tree import GrowingTree
from ledger.errors import Refused
from ledger.importing.watcher import Watcher
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.merkle import HASH_SIZE, leaf_hashes
from ledger.proof.note import Note
from ledger.proof.policy import Trust

#: Entries between two commits: enough to spread the writing of their streams, little to do again after a kill.
BATCH = 50_000
#: The same, where entries are long.
BATCH_BYTES = 64 * 1024 * 1024
#: Objects made between two collections of the youngest: more than a page of the log makes.
RARELY = 200_000
#: Findings that a report has at hand of what is wrong, and of remarks; all are counted, and the state has them all.
MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit says of a log of so many `entries`, the first `seen` of which an earlier one had checked."""

    source: str
    entries: int
    seen: int
    root: bytes
    streams: int
    maps: int
    checkpoints: int
    uses: int
    runs: int
    #: Of each kind of finding, how many there are.
    counts: dict[str, int]
    wrong: tuple[Finding, ...]
    remarks: tuple[Finding, ...]
    #: The largest checkpoint of the source that its entries bear out.
    newest: tuple[Checkpoint, Note] | None
    #: When the map at its end was recorded.
    newest_map: str | None

    @property
    def is_right(self) -> bool:
        """Whether what an auditor's cosignature says is true of this log (FORMATS.md section 7)."""
        return not DAMAGE.intersection(self.counts)

    @property
    def has_violations(self) -> bool:
        """Whether a use was recorded that was not allowed, or a run that is not as it says."""
        return bool(VIOLATIONS.intersection(self.counts))

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to report but remarks."""
        return not self.wrong


def audit(source: Source, state: State, trust: Trust | None, watch: Watcher, batch: int = BATCH) -> Report:
    """Audits all of `source`, going on from `state`.

    `Refused` where the source does not extend what the state saw; `Unavailable` where it cannot be read.
    """
    with _collecting_rarely():
        return _audit(source, state, trust, watch, batch)


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Python's collector would look again and again at the streams that are held, and never finds a cycle among them:
    half of the time of an audit."""
    thresholds = gc.get_threshold()
    gc.set_threshold(RARELY, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _audit(source: Source, state: State, trust: Trust | None, watch: Watcher, batch: int) -> Report:
    state.forget("checkpoint")
    state.forget("kept")
    replay = _Replay(source, state, trust, watch, batch)
    seen = replay.seen
    replay.run()
    judge_streams(state, watch)
    judge_runs(state, watch)
    tiles = source.tiles()
    if tiles is not None and tiles[0] <= replay.tree.size:
        state.add("kept", "", check_tiles(*tiles, state, watch))
    state.add("kept", "", source.own(replay.entries.maps, watch))
    state.commit()
    return _report(source, state, seen, replay.tree, replay.checkpoints)


class _Replay:
    """The reading of the log, once through."""

    def __init__(self, source: Source, state: State, trust: Trust | None, watch: Watcher, batch: int) -> None:
        self._source = source
        self._state = state
        self._watch = watch
        self._batch = batch
        self.seen: int = state.get("size", 0)
        self.tree = GrowingTree()
        self.checkpoints = Checkpoints(source.checkpoints(), trust, state)
        self.entries = Entries(state)
        self._before = _before(state)
        self._last: int = state.get("position", 0)
        self._leaves: list[bytes] = []
        self._bytes = 0

    def run(self) -> None:
        self._watch.now("reading the log", self._source.head())
        for page in self._source.pages():
            leaves = leaf_hashes(page.stored)
            old = min(max(self.seen - self.tree.size, 0), len(leaves))
            if old:
                self._demand_same(page.positions[:old], leaves[:old])
            self.checkpoints.grow(self.tree, leaves)
            if old < len(leaves):
                self._take(Page(page.positions[old:], page.stored[old:]), leaves[old:])
            self._watch.advance(len(leaves))
        if self.tree.size < self.seen:
            raise self._refused(
                f"only {self.tree.size} entries: it was cut short, or an older copy was put in its place"
            )
        self._save()
        self.checkpoints.finish(self.tree)

    def _demand_same(self, positions: Sequence[int], leaves: Sequence[bytes]) -> None:
        before = self._before(len(leaves))
        if b"".join(leaves) == before:
            return
        for position, leaf, start in zip(positions, leaves, range(0, len(before), HASH_SIZE), strict=True):
            if leaf != before[start : start + HASH_SIZE]:
                raise self._refused(f"another entry at position {position}, so that its root there differs")

    def _refused(self, found: str) -> Refused:
        root: bytes = self._state.get("root", b"")
        return Refused(
            f"expected the log at {self._source.name} to extend the {self.seen} entries, root {root.hex()}, that this "
            f"state saw, found {found}; keep the state: it is what the log showed before"
        )

    def _take(self, page: Page, leaves: Sequence[bytes]) -> None:
        for position in page.positions:
            if position != self._last + 1:
                self._miss(position)
            self._last = position
        self._bytes += sum(map(len, page.stored))
        self.entries.take(page, leaves)
        self._leaves += leaves
        if len(self._leaves) >= self._batch or self._bytes >= BATCH_BYTES:
            self._save()

    def _miss(self, position: int) -> None:
        missing = f"{self._last + 1}" if position == self._last + 2 else f"{self._last + 1} to {position - 1}"
        sentence = f"expected an entry at every position, found none at {missing}"
        self._state.add("log", "", [Finding("position-missing", sentence, self._last + 1)])

    def _save(self) -> None:
        if self._leaves:
            first = self.tree.size - len(self._leaves)
            self._state.write("INSERT INTO leaves VALUES (?, ?)", [(first, b"".join(self._leaves))])
            self._state.put(size=self.tree.size, root=self.tree.root(), position=self._last)
            self.entries.save()
            self._leaves, self._bytes = [], 0
        self._state.commit()


def _before(state: State) -> Callable[[int], bytes]:
    """Gives the leaf hashes that the state saw, so many more of them at each call."""
    rows = state.rows("SELECT hashes FROM leaves ORDER BY first")
    pending = b""

    def following(count: int) -> bytes:
        nonlocal pending
        while len(pending) < count * HASH_SIZE:
            pending += next(rows)[0]
        taken, pending = pending[: count * HASH_SIZE], pending[count * HASH_SIZE :]
        return taken

    return following


def _report(source: Source, state: State, seen: int, tree: GrowingTree, checkpoints: Checkpoints) -> Report:
    def one(query: str) -> int:
        (count,) = next(state.rows(query))
        return int(count)

    newest = checkpoints.newest
    size = newest[0].size if newest else 0
    (newest_map,) = next(state.rows("SELECT recorded FROM map_entry WHERE position = ?", size), (None,))
    return Report(
        source=source.name,
        entries=tree.size,
        seen=seen,
        root=tree.root(),
        streams=one("SELECT count(*) FROM stream"),
        maps=one("SELECT count(*) FROM map_entry"),
        checkpoints=checkpoints.count,
        uses=one("SELECT count(*) FROM use"),
        runs=one("SELECT count(*) FROM run"),
        counts={str(kind): count for kind, count in state.counts().items()},
        wrong=tuple(state.findings(DAMAGE | DIFFERENCES | VIOLATIONS, MOST_LISTED)),
        remarks=tuple(state.findings(REMARKS, MOST_LISTED)),
        newest=newest,
        newest_map=newest_map,
    )
