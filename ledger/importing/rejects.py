"""What could not be taken in: each line with its number, the reason and its text, in a file beside the given one."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from ledger.errors import Unavailable
from ledger.files import whole_file
from ledger.importing.lines import RawLine
from ledger.importing.sorting import ExternalSort

#: More than any file has lines.
_NUMBER_DIGITS = 15


class Reject(Struct, frozen=True):
    """One line that was not taken in."""

    line: int
    reason: str
    text: str


class Rejects:
    """Collects the rejects of one file, and writes them in the order of its lines."""

    def __init__(self, of: Path) -> None:
        self.path = Path(f"{of}.rejects.jsonl")
        self._sorted = ExternalSort()

    @property
    def count(self) -> int:
        return self._sorted.count

    def add(self, line: RawLine, reason: str) -> None:
        text = line.text.decode(errors="replace")
        if line.is_too_long:
            text += f"… (cut: the first {len(line.text)} of {line.length} bytes)"
        self._sorted.add(
            b"%0*d" % (_NUMBER_DIGITS, line.number) + msgspec.json.encode(Reject(line.number, reason, text))
        )

    def write(self) -> None:
        """Writes the file whole; without rejects there is none, also where an earlier run had left one."""
        if self.count == 0:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                raise Unavailable(f"expected to remove {self.path}, found: {error.strerror}; remove it") from None
            return
        with whole_file(self.path) as file:
            for reject in self._sorted:
                file.write(reject[_NUMBER_DIGITS:] + b"\n")

    def close(self) -> None:
        self._sorted.close()
