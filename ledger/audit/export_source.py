"""A whole `jsonl` export as an audit reads it: each line one entry, and a checkpoint of the log beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ledger.audit.source import Page, Source
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

    def pages(self) -> Iterator[Page]:
        try:
            with self._path.open("rb") as file:
                first = 1
                while lines := self._lines(file):
                    yield Page(range(first, first + len(lines)), lines)
                    first += len(lines)
        except OSError as error:
            raise Unavailable(f"expected an export at {self._path}, found: {error.strerror or error}") from None

    def checkpoints(self) -> Iterator[bytes]:
        if self._checkpoint is not None:
            yield note_of(self._checkpoint)

    def _lines(self, file: BinaryIO) -> list[bytes]:
        lines: list[bytes] = []
        # One byte for the line's end, and one that shows that it is too long.
        while len(lines) < _PAGE and (line := file.readline(LARGEST_ENTRY + 2)):
            if line.endswith(b"\n"):
                lines.append(line[:-1])
                continue
            lines.append(line)
            while line and not line.endswith(b"\n"):
                line = file.readline(LARGEST_ENTRY + 2)
        return lines


def note_of(path: Path) -> bytes:
    """The bytes of a file that should be a note, read no further than one can be long."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_NOTE + 1)
    except OSError as error:
        raise Unavailable(f"expected a checkpoint at {path}, found: {error.strerror or error}") from None
