"""A whole `jsonl` export as an audit reads it: each line one entry, and a checkpoint of the log beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ledger.audit.source import Row, Source
from ledger.domain.entry import LARGEST_ENTRY
from ledger.errors import Unavailable
from ledger.proof.note import LARGEST_NOTE

#: Lines that are read at once.
_PAGE = 2_000


class ExportSource(Source):
    """The lines of a file; the position of an entry is the number of its line."""

    def __init__(self, path: Path, checkpoint: Path | None = None) -> None:
        self.name = str(path)
        self._path = path
        self._checkpoint = checkpoint

    def head(self) -> int | None:
        return None

    def pages(self) -> Iterator[Sequence[Row]]:
        try:
            with self._path.open("rb") as file:
                position = 0
                while page := self._page(file, position):
                    yield page
                    position = page[-1].position
        except OSError as error:
            raise Unavailable(f"expected an export at {self._path}, found: {error.strerror or error}") from None

    def checkpoints(self) -> Iterator[bytes]:
        if self._checkpoint is not None:
            yield note_of(self._checkpoint)

    def _page(self, file: BinaryIO, position: int) -> list[Row]:
        rows: list[Row] = []
        # One byte for the line's end, and one that shows that it is too long.
        while len(rows) < _PAGE and (line := file.readline(LARGEST_ENTRY + 2)):
            rows.append(Row(position + len(rows) + 1, line.removesuffix(b"\n")))
            while line and not line.endswith(b"\n"):
                line = file.readline(LARGEST_ENTRY + 2)
        return rows


def note_of(path: Path) -> bytes:
    """The bytes of a file that should be a note, read no further than one can be long."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_NOTE + 1)
    except OSError as error:
        raise Unavailable(f"expected a checkpoint at {path}, found: {error.strerror or error}") from None
