"""The tree that a source keeps in tiles, against the one over its entries (C2SP tlog-tiles)."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.audit.findings import Finding
from ledger.audit.source import ReadTile
from ledger.audit.state import State
from ledger.audit.tree import GrowingTree
from ledger.importing.watcher import Watcher
from ledger.proof.merkle import HASH_SIZE
from ledger.proof.tiles import TILE_WIDTH, tile_path

_TILE_BYTES = TILE_WIDTH * HASH_SIZE


def check_tiles(size: int, read: ReadTile, state: State, watch: Watcher) -> Iterator[Finding]:
    """Every tile of a tree of `size` that does not say what the entries say."""
    watch.now("checking the tiles", -(-size // TILE_WIDTH))
    tiles = _tiles(_leaves(state, size))
    level = 0
    while True:
        full: list[bytes] = []
        for number, hashes in enumerate(tiles):
            width = len(hashes) // HASH_SIZE
            found = read(level, number, width)
            if found != hashes:
                yield Finding(
                    "tiles-differ",
                    f"expected the {width} hashes of {tile_path(level, number, width)} to be those of the entries, "
                    f"found {'other ones' if found else 'none'}",
                    number * TILE_WIDTH ** (level + 1) + 1,
                    details={"level": level, "number": number},
                )
            if width == TILE_WIDTH:
                full.append(_root(hashes))
            if level == 0:
                watch.advance()
        if not full:
            return
        level += 1
        tiles = _tiles(iter(full))


def _leaves(state: State, size: int) -> Iterator[bytes]:
    """Joined leaf hashes of the first `size` entries, some at a time."""
    left = size * HASH_SIZE
    for (hashes,) in state.rows("SELECT hashes FROM leaves ORDER BY first"):
        yield hashes[:left]
        left -= len(hashes)
        if left <= 0:
            return


def _tiles(joined: Iterator[bytes]) -> Iterator[bytes]:
    """The same hashes cut into tiles."""
    pending = b""
    for hashes in joined:
        pending += hashes
        whole = len(pending) - len(pending) % _TILE_BYTES
        for start in range(0, whole, _TILE_BYTES):
            yield pending[start : start + _TILE_BYTES]
        pending = pending[whole:]
    if pending:
        yield pending


def _root(hashes: bytes) -> bytes:
    tree = GrowingTree()
    tree.extend([hashes[start : start + HASH_SIZE] for start in range(0, len(hashes), HASH_SIZE)])
    return tree.root()
