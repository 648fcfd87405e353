"""Folding the subject map in its tables (FORMATS.md, sections 4 and 5): every stream's length and chain head.

The tables always are the fold of some positions 1 … C, for each step onwards is one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.domain.names import stream_key
from ledger.errors import NotVerified
from ledger.proof.chain import chain_next, chain_start
from ledger.proof.kept_map import Touched, refold, root_of
from ledger.proof.merkle import leaf_hash
from ledger.sequencer.reading import Stored, decoded, map_entry, pages
from ledger.store.database import Connection
from ledger.store.proofs import ProofTables, StoredCheckpoint
from ledger.store.recorder import LogRecorder

#: Length and head of streams, by key.
Heads = dict[bytes, tuple[int, bytes]]


def fold_to(
    connection: Connection, tables: ProofTables, recorder: LogRecorder, covers: int, told: Callable[[int], object]
) -> bytes:
    """Takes the map's tables from where they stand to `covers`; the map's root. A page of entries is in memory, and
    which areas of the map changed; these are hashed once, at the end, however often their streams changed."""
    if covers <= tables.covers():
        return root_of(tables.map_store())
    touched = Touched()
    streams = tables.streams()
    with connection.transaction():
        for page in pages(recorder, tables.covers(), covers):
            heads, new = _gone_on(tables, page)
            tables.write_heads(heads)
            touched.add(heads)
            streams += new
            told(len(page))
        tables.move_map(covers, streams)
        return refold(tables.map_store(), touched)


def mend_map(connection: Connection, tables: ProofTables, recorder: LogRecorder, last: StoredCheckpoint) -> None:
    """Makes the map's tables anew from the entries where they are not what the last checkpoint's map entry says."""
    published = map_entry(recorder, last.size)
    if published is None or tables.covers() != last.covers or root_of(tables.map_store()).hex() == published.root:
        return
    with connection.transaction():
        tables.forget_map()
        root = fold_to(connection, tables, recorder, last.covers, lambda _: None)
        if root.hex() != published.root:
            raise NotVerified(
                f"expected the map root {published.root} of the entry at position {last.size}, found {root.hex()} by "
                "the entries before it; the log was changed, and nothing is signed: run `consent audit`"
            )


def _gone_on(tables: ProofTables, page: Sequence[Stored]) -> tuple[Heads, int]:
    """The heads of the streams that a page of entries goes on, after it; and how many of them are new."""
    entries = [(position, decoded(position, stored), leaf_hash(stored)) for position, stored in page]
    keys = {entry.stream: stream_key(entry.stream) for _, entry, _ in entries}
    heads = tables.heads(list(keys.values()))
    new = len(keys) - len(heads)
    for position, entry, leaf in entries:
        key = keys[entry.stream]
        length, head = heads.get(key) or (0, chain_start(key))
        if entry.version != length + 1:
            raise NotVerified(
                f"expected version {length + 1} of stream {entry.stream} at position {position}, found "
                f"{entry.version}; the log was changed: run `consent doctor`"
            )
        heads[key] = entry.version, chain_next(head, entry.version, leaf)
    return heads, new
