"""The items that a run may be trained on: those of its uses in the log, proven from the log's first entry on.

The log is hashed up to a checkpoint that the caller's trust vouches for, so each of its entries is proven. Of the items
that the gate released every manifest is made again, and must be that of a use which the gate recorded for this run.
What is proven then is a file of hashes on the disk, and an item costs a hash and a look-up.
"""

from __future__ import annotations

import mmap
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import duckdb

from ledger.audit.source import Source
from ledger.audit.tree import GrowingTree
from ledger.domain.entry import Entry, canonical, decode_entry
from ledger.domain.events import DataUsedForTraining, RunFinished
from ledger.domain.names import run_stream
from ledger.errors import NotVerified, Unavailable
from ledger.gate.duckdb_engine import Engine
from ledger.gate.duckdb_text import first_line
from ledger.gate.manifest import uses_of
from ledger.gate.output import PERMITTED
from ledger.gate.record_uses import is_use_of
from ledger.gate.released import picked_items
from ledger.proof.merkle import HASH_SIZE, leaf_hash, leaf_hashes
from ledger.proof.policy import Opened, Trust, open_checkpoint
from ledger.store.statements import statement

#: While the proof is made; what does not fit is spilled into the working folder.
MEMORY = "1GB"
#: Of two bytes. Hashes are spread evenly, so a table of these leaves a few steps to halve.
_PAIRS = 1 << 16


class ProvenItems:
    """Which leaves are proven. Their hashes lie on the disk, 32 bytes each, and the system keeps in memory what it can;
    any number of threads, and of processes that are forked off, may ask."""

    def __init__(self, run: str, opened: Opened, hashes: bytes | mmap.mmap, starts: array[int]) -> None:
        """`hashes` in order, and where those begin that start with each of 65,536 pairs of bytes, and end."""
        self.run = run
        #: The checkpoint under which it was proven, and who vouches for it.
        self.opened = opened
        self._hashes = hashes
        self._starts = starts

    def __len__(self) -> int:
        """How many items are proven, equal rows counted once."""
        return len(self._hashes) // HASH_SIZE

    def has(self, leaf: bytes) -> bool:
        """Whether this leaf, as bytes, is in the manifest of a use by the run."""
        wanted = leaf_hash(leaf)
        pair = int.from_bytes(wanted[:2], "big")
        start, end = self._starts[pair], self._starts[pair + 1]
        at = bisect_left(range(end), wanted, start, end, key=self._hash)
        return at < end and self._hash(at) == wanted

    def _hash(self, index: int) -> bytes:
        return self._hashes[index * HASH_SIZE : (index + 1) * HASH_SIZE]


@contextmanager
def proven_items(released: Path, run: str, log: Source, trust: Trust) -> Iterator[ProvenItems]:
    """What the gate released for `run` into the folder `released`, proven in `log`: a folder of tiles with entries, an
    export beside its checkpoint, or the ledger.

    `NotVerified` where the log is not the one that `trust` vouches for, where the run is not finished in it, or where a
    use's items are not, to the last one, those that were recorded. Nothing passes then.
    """
    with tempfile.TemporaryDirectory(prefix="consent-guard-") as name:
        folder = Path(name)
        try:
            with closing(Engine(folder, MEMORY)) as engine:
                opened = _load_recorded(engine, log, trust, run)
                _load_made(engine, released / PERMITTED)
                _demand_recorded(engine, run, released)
                starts = _write_hashes(engine, folder / "hashes")
        except duckdb.Error as error:
            raise Unavailable(f"expected to read released items in {released}, found: {first_line(error)}") from None
        if not starts[-1]:
            yield ProvenItems(run, opened, b"", starts)  # an empty file cannot be mapped
            return
        with (folder / "hashes").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as hashes:
            yield ProvenItems(run, opened, hashes, starts)


def _load_recorded(engine: Engine, log: Source, trust: Trust, run: str) -> Opened:
    """The run's uses, as the log has them up to its checkpoint."""
    note = None
    for note in log.checkpoints():  # noqa: B007 - the last one is wanted
        pass
    if note is None:
        raise NotVerified(f"expected a signed checkpoint of {log.name}, found none; run `consent checkpoint` first")
    opened = open_checkpoint(note, trust)
    engine.connection.execute("CREATE TABLE recorded (stream VARCHAR, use BIGINT, said VARCHAR)")
    engine.insert("recorded", _recorded(log, opened, run))
    return opened


def _recorded(log: Source, opened: Opened, run: str) -> Iterator[list[Any]]:
    """The uses by `run` among all entries under the checkpoint, whose root is held to at the end."""
    checkpoint, stream = opened.checkpoint, run_stream(run)
    # In the canonical form of an entry about the run one of these stands, and no other entry is parsed.
    names = [b'"run":' + canonical(run), b'"stream":' + canonical(stream)]
    tree, finished = GrowingTree(), False
    for page in log.pages():
        stored = page.stored[: checkpoint.size - tree.size]
        if list(page.positions[: len(stored)]) != list(range(tree.size + 1, tree.size + len(stored) + 1)):
            raise NotVerified(f"expected the entries of {log.name} one after another, found a gap after {tree.size}")
        tree.extend(leaf_hashes(stored))
        for one in stored:
            if any(name in one for name in names):
                entry = decode_entry(one)
                finished |= entry.stream == stream and isinstance(entry.data, RunFinished)
                if is_use_of(entry, run):
                    yield [entry.stream, entry.version, _said_by(entry)]
        if tree.size == checkpoint.size:
            break
    if (tree.size, tree.root()) != (checkpoint.size, checkpoint.root):
        raise NotVerified(
            f"expected the {checkpoint.size} entries of {log.name} that its checkpoint signs, found {tree.size} that "
            "make another root; the entries were changed"
        )
    if not finished:
        raise NotVerified(
            f"expected run {run} finished in the log of {checkpoint.size} entries, found that it is not; check its "
            "name, or run `consent checkpoint` once `consent filter` is done"
        )


def _said_by(entry: Entry) -> str:
    use: DataUsedForTraining = entry.data
    return _said(use.manifest, use.items, use.collected_from, use.collected_until)


def _said(*parts: Any) -> str:
    """All that a use says of its items, as one text to compare."""
    return canonical(list(parts)).decode()


def _load_made(engine: Engine, permitted: Path) -> None:
    """The uses that the released items make."""
    items = picked_items(engine.connection, permitted)
    engine.connection.execute(statement("released", "ledger.client.sql").format(items=items))
    (unreadable,) = engine.one("SELECT count(*) FROM released WHERE stream IS NULL OR use IS NULL OR leaf IS NULL")
    if unreadable:
        raise NotVerified(
            f"expected items with their name, time, kind, stream and use in {permitted}, found {unreadable} without"
        )
    engine.connection.execute("CREATE TABLE made (stream VARCHAR, use BIGINT, said VARCHAR)")
    engine.insert("made", _made(engine.stream(statement("released_leaves", "ledger.client.sql"))))


def _made(leaves: Iterable[tuple[Any, ...]]) -> Iterator[list[Any]]:
    for use in uses_of(leaves):
        # `basis` groups there; here it is the use's own version.
        yield [use.stream, use.basis, _said(use.manifest, use.items, use.collected_from, use.collected_until)]


def _demand_recorded(engine: Engine, run: str, released: Path) -> None:
    wrong = engine.connection.execute(statement("unrecorded", "ledger.client.sql")).fetchone()
    if wrong is not None:
        stream, use, is_there = wrong
        found = "other items than were recorded: some were added, changed or taken away" if is_there else "no such use"
        raise NotVerified(
            f"expected the items of {released} as run {run} recorded them, found of version {use} of stream {stream} "
            f"{found}; take the folder as `consent filter` wrote it"
        )


def _write_hashes(engine: Engine, path: Path) -> array[int]:
    """The hashes in their order, and where those begin that start with each pair of bytes."""
    counts = array("Q", [0]) * _PAIRS
    with path.open("wb") as file:
        for (found,) in engine.stream(statement("leaf_hashes", "ledger.client.sql")):
            file.write(found)
            counts[int.from_bytes(found[:2], "big")] += 1
    return array("Q", accumulate(counts, initial=0))
