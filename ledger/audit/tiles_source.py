"""A folder of tiles with the entries as an audit reads it (C2SP tlog-tiles): what `consent tiles --entries` writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ledger.audit.export_source import note_of
from ledger.audit.source import Page, ReadTile, Source
from ledger.domain.entry import LARGEST_ENTRY
from ledger.errors import NotVerified, Unavailable
from ledger.proof.checkpoint import parse_checkpoint
from ledger.proof.merkle import HASH_SIZE
from ledger.proof.note import parse_note
from ledger.proof.tiles import TILE_WIDTH, decode_entries, entries_path, tile_path, tiles_of

#: 256 entries, each with its length in two bytes.
_LARGEST_BUNDLE = TILE_WIDTH * (LARGEST_ENTRY + 2)


class TilesSource(Source):
    """The folder as its `checkpoint` says that it is: no more entries are read than that has."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder
        self._note = note_of(folder / "checkpoint")
        self._size = parse_checkpoint(parse_note(self._note).text).size

    def head(self) -> int | None:
        return self._size

    def pages(self) -> Iterator[Page]:
        for level, number, width in tiles_of(self._size):
            if level:
                return
            first = number * TILE_WIDTH + 1
            entries = self._bundle(number, width, first)
            yield Page(range(first, first + width), entries)

    def checkpoints(self) -> Iterator[bytes]:
        yield self._note

    def tiles(self) -> tuple[int, ReadTile] | None:
        def read(level: int, number: int, width: int) -> bytes:
            found = self._read(tile_path(level, number, width), tile_path(level, number), TILE_WIDTH * HASH_SIZE)
            return (found or b"")[: width * HASH_SIZE]

        return self._size, read

    def _bundle(self, number: int, width: int, first: int) -> list[bytes]:
        path = entries_path(number, width)
        found = self._read(path, entries_path(number), _LARGEST_BUNDLE)
        if found is None:
            raise Unavailable(
                f"expected the entries from position {first} on in {self._folder / path}, found no such file; "
                "write the folder with `consent tiles --entries`"
            )
        where = f"the entries from position {first} on in {self._folder / path}"
        try:
            entries = decode_entries(found)
        except NotVerified as error:
            raise NotVerified(f"{where}: {error}") from None
        if len(entries) < width:
            raise NotVerified(f"{where}: expected {width} entries, found {len(entries)}; fetch the bundle anew")
        return entries[:width]

    def _read(self, partial: str, full: str, limit: int) -> bytes | None:
        """A partial tile, else the full one that came after it and begins as it does; None where neither is."""
        for path in dict.fromkeys((partial, full)):
            try:
                with (self._folder / path).open("rb") as file:
                    return file.read(limit + 1)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Unavailable(f"expected to read {self._folder / path}, found: {error.strerror}") from None
        return None
