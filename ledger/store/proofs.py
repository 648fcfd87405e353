"""The tables of tree, subject map and checkpoints (migrations, 0004 and 0009; design, section 6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from ledger.proof.kept_map import DEPTH, MapStore, Place, bucket_of
from ledger.proof.subject_map import KEY_BITS, Node, Pair
from ledger.store.database import Connection
from ledger.store.statements import statement

if TYPE_CHECKING:
    from ledger.proof.note import Signature

#: What a promise says (FORMATS.md, section 7): where a sequencer follows, and where somebody runs it once a day.
FOLLOWED_DELAY = timedelta(seconds=60)
UNFOLLOWED_DELAY = timedelta(hours=24)
#: Checkpoints, with their notes, that are read at once.
_PAGE = 1_000
#: A stream as `select_pairs` gives it: its key, then its value.
_HASH = 32
_PAIR = 2 * _HASH


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A published checkpoint; `covers` is its map's, `note` has the signatures that came later at its end."""

    size: int
    root: bytes
    covers: int
    note: str


@dataclass(frozen=True, slots=True)
class Promising:
    """What a promise rests on: the size of the last checkpoint, 0 without one, and how long it takes to the next."""

    checkpointed: int
    delay: timedelta


class ProofTables:
    """Tree, map and checkpoints over one connection: reading for every role, writing for the sequencer's.

    Who reads more than one thing that must belong together does so in one transaction, REPEATABLE READ.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Checkpoints.

    def last_checkpoint(self) -> StoredCheckpoint | None:
        """The newest checkpoint."""
        return next(self._checkpoints("select_last_checkpoint"), None)

    def checkpoint_at(self, size: int) -> StoredCheckpoint | None:
        """The checkpoint of exactly this size."""
        return next(self._checkpoints("select_checkpoint", size=size), None)

    def checkpoints(self, after: int = -1) -> Iterator[StoredCheckpoint]:
        """All checkpoints above a size, by size; one page in memory."""
        while page := list(self._checkpoints("select_checkpoints", after=after, limit=_PAGE)):
            yield from page
            after = page[-1].size

    def _checkpoints(self, name: str, **parameters: Any) -> Iterator[StoredCheckpoint]:
        for size, root, covers, note in self._rows(name, **parameters):
            yield StoredCheckpoint(size, bytes(root), covers, note)

    def publish(self, checkpoint: StoredCheckpoint, previous: int | None) -> bool:
        """Stores a checkpoint where the newest still has the size `previous`; False where it has not."""
        parameters = {"size": checkpoint.size, "root": checkpoint.root, "covers": checkpoint.covers}
        parameters |= {"note": checkpoint.note, "previous": -1 if previous is None else previous}
        return self._run("insert_checkpoint", **parameters).rowcount == 1

    def add_signature(self, size: int, signature: Signature, line: str) -> None:
        """Keeps a signature line of the checkpoint of this size; a later one of the same key takes its place."""
        self._run("write_cosignature", size=size, name=signature.name, key_id=signature.key_id, line=line)

    # The tree.

    def read_tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile so far, 32 bytes each; empty where there are none."""
        row = self._run("select_tile", level=level, number=number).fetchone()
        return b"" if row is None else bytes(row[0])

    def write_tiles(self, tiles: Mapping[tuple[int, int], bytes], size: int) -> None:
        """Stores tiles that grew, and that the tree has `size` entries with them; to be called in a transaction."""
        places = list(tiles)
        levels, numbers = [level for level, _ in places], [number for _, number in places]
        self._run("write_tiles", levels=levels, numbers=numbers, hashes=[tiles[place] for place in places])
        self._run("move_tree", size=size)

    def forget_tree(self) -> None:
        """Empties the tree's tables, which are made again from the entries."""
        self._run("delete_tiles")
        self._run("move_tree", size=0)

    # The map.

    def map_store(self) -> MapStore:
        """The map's pairs and nodes."""
        return _MapTables(self._connection)

    def nodes_between(self, depth: int, first: int, end: int) -> dict[Place, Node]:
        """All nodes kept at a depth from the index `first` to before `end`."""
        rows = self._rows("select_nodes_between", depth=depth, first=first, end=end)
        return {(depth, index): Node(kind, bytes(hash_)) for index, kind, hash_ in rows}

    def heads(self, keys: Collection[bytes]) -> dict[bytes, tuple[int, bytes]]:
        """Length and chain head of those of these streams that the map has."""
        found = self._rows("select_heads", buckets=[bucket_of(key) for key in keys], keys=list(keys))
        return {bytes(key): (length, bytes(head)) for key, length, head in found}

    def write_heads(self, heads: Mapping[bytes, tuple[int, bytes]]) -> None:
        """Stores streams that are new or have grown."""
        self._run(
            "write_heads",
            buckets=[bucket_of(key) for key in heads],
            keys=list(heads),
            lengths=[length for length, _ in heads.values()],
            heads=[head for _, head in heads.values()],
        )

    def move_map(self, covers: int, streams: int) -> None:
        """Says that the map's tables are the fold of the entries 1 to `covers`, of so many streams."""
        self._run("move_map", covers=covers, streams=streams)

    def forget_map(self) -> None:
        """Empties the map's tables, which are made again from the entries."""
        self._run("delete_heads")
        self._run("delete_nodes")
        self.move_map(0, 0)

    # Where they stand.

    def tree_size(self) -> int:
        """How many entries the tree's tables have."""
        return int(self._sequenced()[0])

    def covers(self) -> int:
        """Up to which position the map's tables are folded: between runs that of the last checkpoint, in one ahead."""
        return int(self._sequenced()[1])

    def streams(self) -> int:
        """How many streams the map has."""
        return int(self._sequenced()[2])

    def promising(self) -> Promising:
        """What a promise rests on, as it stands now."""
        size, follows = self._rows("select_promising")[0]
        return Promising(size, FOLLOWED_DELAY if follows else UNFOLLOWED_DELAY)

    def follow_for(self, seconds: float | None) -> None:
        """Says that a sequencer follows for that time to come; with None that it no longer does."""
        self._run("move_following", seconds=seconds)

    def _sequenced(self) -> tuple[int, int, int]:
        size, covers, streams = self._rows("select_sequenced")[0]
        return size, covers, streams

    # The log, as the sequencer needs it.

    def head(self) -> int:
        """The highest position of the log."""
        return int(self._rows("select_head")[0][0])

    def clock(self) -> datetime:
        """The ledger's clock, asked now."""
        moment: datetime = self._rows("clock")[0][0]
        return moment

    def last_of(self, stream: str) -> tuple[int, datetime | None]:
        """A stream's last version and when it was recorded; 0 and None where it has no entry."""
        rows = self._rows("select_last_of_stream", stream=stream)
        return (rows[0][0], rows[0][1]) if rows else (0, None)

    def _run(self, file: str, /, **parameters: Any) -> psycopg.Cursor[Any]:
        return self._connection.cursor(binary=True).execute(statement(file), parameters)

    def _rows(self, file: str, /, **parameters: Any) -> list[Any]:
        return self._run(file, **parameters).fetchall()


class _MapTables:
    """The map's tables as `ledger.proof.subject_map` asks for them: many places in one statement."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pairs(self, places: Collection[Place]) -> Mapping[Place, Sequence[Pair]]:
        asked = list(places)
        rows = self._run(
            "select_pairs",
            buckets=[index >> depth - DEPTH for depth, index in asked],
            firsts=[_first_key(depth, index) for depth, index in asked],
            lasts=[_last_key(depth, index) for depth, index in asked],
        )
        return {asked[number - 1]: _pairs(bytes(pairs)) for number, pairs in rows}

    def nodes(self, places: Collection[Place]) -> Mapping[Place, Node]:
        depths, indexes = [depth for depth, _ in places], [index for _, index in places]
        rows = self._run("select_nodes", depths=depths, indexes=indexes)
        return {(depth, index): Node(kind, bytes(hash_)) for depth, index, kind, hash_ in rows}

    def write_nodes(self, nodes: Mapping[Place, Node]) -> None:
        self._run(
            "write_nodes",
            depths=[depth for depth, _ in nodes],
            indexes=[index for _, index in nodes],
            kinds=[node.kind for node in nodes.values()],
            hashes=[node.hash for node in nodes.values()],
        )

    def _run(self, name: str, **parameters: Any) -> Iterable[Any]:
        return self._connection.cursor(binary=True).execute(statement(name), parameters)


def _first_key(depth: int, index: int) -> bytes:
    return (index << KEY_BITS - depth).to_bytes(_HASH, "big")


def _last_key(depth: int, index: int) -> bytes:
    return ((index + 1 << KEY_BITS - depth) - 1).to_bytes(_HASH, "big")


def _pairs(joined: bytes) -> list[Pair]:
    return [(joined[at : at + _HASH], joined[at + _HASH : at + _PAIR]) for at in range(0, len(joined), _PAIR)]
