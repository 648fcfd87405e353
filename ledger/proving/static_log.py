"""The log as files that any file server or object store can serve (C2SP tlog-tiles; FORMATS.md section 8).

Tiles first and the checkpoint last, so that whoever reads the checkpoint finds its tiles. What is there stays: a path
has the same bytes for ever, so each run adds what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ledger.application import ConsentLedger
from ledger.errors import NotVerified, Refused, Unavailable
from ledger.files import PRIVATE, whole_file
from ledger.proof.checkpoint import parse_checkpoint
from ledger.proof.merkle import HASH_SIZE, root_at
from ledger.proof.note import LARGEST_NOTE, parse_note
from ledger.proof.tiles import TILE_WIDTH, encode_entries, entries_path, tile_path, tiles_of
from ledger.proving.snapshot import Snapshot, snapshot
from ledger.store.proofs import StoredCheckpoint

CHECKPOINT = "checkpoint"

#: Told how many more files were looked at.
Watch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Written:
    """Up to which size the folder has the log, and how many tiles and bundles of entries are new in it."""

    size: int
    tiles: int
    bundles: int


def write_tiles(ledger: ConsentLedger, folder: Path, *, with_entries: bool, watch: Watch) -> Written:
    """Brings the folder up to the last checkpoint; `Refused` where it holds another log."""
    with snapshot(ledger) as now:
        last = now.checkpoint()
        _demand_same_log(now, last, folder, ledger.identity.origin)
        tiles = bundles = 0
        for level, number, width in tiles_of(last.size):
            place = folder / tile_path(level, number, width)
            if not place.exists():
                _write(place, _tile(now, level, number, width))
                tiles += 1
            # A bundle has the entries of a tile of level 0.
            place = folder / entries_path(number, width)
            if with_entries and level == 0 and not place.exists():
                first = number * TILE_WIDTH
                _write(place, encode_entries(now.entries(first, first + width)), PRIVATE)
                bundles += 1
            watch(1)
        _write(folder / CHECKPOINT, last.note.encode())
    return Written(last.size, tiles, bundles)


def _demand_same_log(now: Snapshot, last: StoredCheckpoint, folder: Path, origin: str) -> None:
    """What the folder's checkpoint says must be the beginning of this log: tiles of two logs make none."""
    try:
        with (folder / CHECKPOINT).open("rb") as file:
            found = parse_checkpoint(parse_note(file.read(LARGEST_NOTE + 1)).text)
    except FileNotFoundError:
        return
    except (OSError, NotVerified) as error:
        raise Unavailable(
            f"expected a checkpoint at {folder / CHECKPOINT}, found: {error}; use another folder"
        ) from None
    is_ours = found.origin == origin and found.size <= last.size
    if not is_ours or root_at(found.size, now.read_hash) != found.root:
        raise Refused(
            f"expected the tiles of {origin} up to at most size {last.size} in {folder}, found a checkpoint of "
            f"{found.origin} at size {found.size} that this log does not extend; use another folder"
        )


def _tile(now: Snapshot, level: int, number: int, width: int) -> bytes:
    # The tables may be ahead of the checkpoint.
    hashes = now.tables.read_tile(level, number)[: width * HASH_SIZE]
    if len(hashes) < width * HASH_SIZE:
        raise Unavailable(
            f"expected {width} hashes in {tile_path(level, number)}, found {len(hashes) // HASH_SIZE}; "
            "run `consent audit`, which says what is wrong"
        )
    return hashes


def _write(place: Path, data: bytes, mode: int | None = None) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"expected to make the folder {place.parent}, found: {error.strerror}") from None
    with whole_file(place) if mode is None else whole_file(place, mode) as file:
        file.write(data)
