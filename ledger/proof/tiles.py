"""The tree cut into tiles, and the entries into bundles, for any file server (C2SP tlog-tiles; FORMATS.md section 8).

A tile of level l holds 256 hashes, each the root over 256**l leaves; the last tile of a level may hold fewer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from ledger.domain.entry import LARGEST_ENTRY
from ledger.errors import NotVerified
from ledger.proof.merkle import HASH_SIZE, LARGEST_SIZE, ReadHash, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
#: The highest level that the specification names; a tree of LARGEST_SIZE has tiles up to level 7.
HIGHEST_LEVEL = 63

#: (level, number) to the tile's hashes so far, joined; b"" where there is none.
ReadTile = Callable[[int, int], bytes]

_PATH = re.compile(r"tile/(?:(entries)|([0-9]{1,2}))((?:/x[0-9]{3}){0,6})/([0-9]{3})(?:\.p/([0-9]{1,3}))?")


def tile_path(level: int, number: int, width: int = TILE_WIDTH) -> str:
    """Where a tile lies below the log's prefix; a width below 256 is a partial tile."""
    return f"tile/{level}/{_tail(number, width)}"


def entries_path(number: int, width: int = TILE_WIDTH) -> str:
    """Where the bundle of the entries lies whose leaf hashes make the tile of level 0 with this number."""
    return f"tile/entries/{_tail(number, width)}"


def parse_tile_path(path: str) -> tuple[int | None, int, int]:
    """(level, number, width), the level None for entries; inverse of `tile_path` and `entries_path`."""
    found = _PATH.fullmatch(path)
    if found is not None:
        entries, digits, groups, last, partial = found.groups()
        level = None if entries else int(digits)
        number = int(groups.replace("/x", "") + last)
        width = TILE_WIDTH if partial is None else int(partial)
        if (level is None or level <= HIGHEST_LEVEL) and number <= LARGEST_SIZE and _path(level, number, width) == path:
            return level, number, width
    raise NotVerified(f"expected a path like tile/0/x001/234 or tile/0/000.p/7, found {path!r}; see tlog-tiles")


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of every tile of a tree of this size; a width of 256 is a full one."""
    level, count = 0, size
    while count:
        full, partial = divmod(count, TILE_WIDTH)
        for number in range(full):
            yield level, number, TILE_WIDTH
        if partial:
            yield level, full, partial
        level, count = level + 1, full


def grow(size: int, leaves: Sequence[bytes], read: ReadTile) -> dict[tuple[int, int], bytes]:
    """Every tile that changes when leaf hashes are appended to a tree of `size`: (level, number) to all its hashes."""
    changed: dict[tuple[int, int], bytes] = {}
    level, count, fresh = 0, size, b"".join(leaves)
    while fresh:
        number, kept = divmod(count, TILE_WIDTH)
        if kept:
            fresh = _hashes(read, level, number, kept)[: kept * HASH_SIZE] + fresh
        full = []
        for start in range(0, len(fresh), TILE_WIDTH * HASH_SIZE):
            hashes = fresh[start : start + TILE_WIDTH * HASH_SIZE]
            changed[level, number] = hashes
            if len(hashes) == TILE_WIDTH * HASH_SIZE:
                full.append(_fold(hashes))
            number += 1
        level, count, fresh = level + 1, count // TILE_WIDTH, b"".join(full)
    return changed


def hash_reader(read: ReadTile) -> ReadHash:
    """Reads full subtrees out of tiles. Asks for a tile once a hash: whoever makes many proofs gives a cache."""

    def read_hash(height: int, index: int) -> bytes:
        level, above = divmod(height, TILE_HEIGHT)
        number, first = divmod(index << above, TILE_WIDTH)
        end = first + (1 << above)
        return _fold(_hashes(read, level, number, end)[first * HASH_SIZE : end * HASH_SIZE])

    return read_hash


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """The bundle of 1 to 256 entries: each with its length before it, two bytes."""
    if not 1 <= len(entries) <= TILE_WIDTH or not all(1 <= len(entry) <= LARGEST_ENTRY for entry in entries):
        raise ValueError(f"a bundle has 1 to {TILE_WIDTH} entries of 1 to {LARGEST_ENTRY} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_entries(data: bytes) -> list[bytes]:
    """The entries of a bundle; inverse of `encode_entries`. Whether they are entries is not looked at."""
    entries = []
    start = 0
    while start < len(data):
        end = start + 2 + int.from_bytes(data[start : start + 2], "big")
        entry = data[start + 2 : end]
        if not entry or end > len(data):
            raise NotVerified(f"expected an entry of its length at byte {start}, found none; fetch the bundle anew")
        entries.append(entry)
        start = end
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise NotVerified(f"expected 1 to {TILE_WIDTH} entries in a bundle, found {len(entries)}; fetch it anew")
    return entries


def _path(level: int | None, number: int, width: int) -> str | None:
    if not 1 <= width <= TILE_WIDTH:
        return None
    return entries_path(number, width) if level is None else tile_path(level, number, width)


def _tail(number: int, width: int) -> str:
    tail = f"{number % 1000:03}"
    while number := number // 1000:
        tail = f"x{number % 1000:03}/{tail}"
    return tail if width == TILE_WIDTH else f"{tail}.p/{width}"


def _hashes(read: ReadTile, level: int, number: int, needed: int) -> bytes:
    """A tile that has at least the `needed` hashes."""
    hashes = read(level, number)
    if len(hashes) % HASH_SIZE or not needed <= len(hashes) // HASH_SIZE <= TILE_WIDTH:
        raise NotVerified(
            f"expected at least {needed} hashes of {HASH_SIZE} bytes in {tile_path(level, number)}, "
            f"found {len(hashes)} bytes; rebuild the tiles"
        )
    return hashes


def _fold(hashes: bytes) -> bytes:
    """The root over a power of two of joined hashes."""
    nodes = [hashes[start : start + HASH_SIZE] for start in range(0, len(hashes), HASH_SIZE)]
    while len(nodes) > 1:
        nodes = [node_hash(left, right) for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
    return nodes[0]
