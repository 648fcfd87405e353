"""The formats of an export (design, section 9). A new one is a file with one function, and a line here.

A format gets the entries that were selected, in the order of their positions, and gives the bytes of the file, bit by
bit: it holds nothing back, reads no clock, and asks nobody, so the same range is always the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ledger.exports import csv, jsonl
from ledger.exports.selection import Exported

Format = Callable[[Iterable[Exported]], Iterator[bytes]]

FORMATS: dict[str, Format] = {"jsonl": jsonl.write, "csv": csv.write}
