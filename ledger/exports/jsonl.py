"""`jsonl`: each line the bytes of one entry, exactly as they are stored and hashed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ledger.exports.selection import Exported


def write(entries: Iterable[Exported]) -> Iterator[bytes]:
    """One line an entry. Canonical JSON has no line end inside, so the line without its own is the entry."""
    for entry in entries:
        yield entry.stored + b"\n"
