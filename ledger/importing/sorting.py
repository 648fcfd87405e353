"""Sorting more than memory holds: sorted runs in one temporary file, merged as they are read."""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, cast

#: What is held in memory before it is written out as one run: about 50 MB with what holds it.
MOST_BYTES = 32 * 1024 * 1024
MOST_ITEMS = 100_000
#: Read ahead of each run while they are merged; a thousand runs are 100 million lines.
READ_AHEAD = 32 * 1024
_LENGTH_BYTES = 4

T = TypeVar("T")


class ExternalSort(Generic[T]):
    """Takes items in any order and gives them back in that of `key`, or their own; `from_bytes` inverts `to_bytes`."""

    def __init__(
        self, key: Callable[[T], Any] | None, to_bytes: Callable[[T], bytes], from_bytes: Callable[[bytes], T]
    ) -> None:
        self._key = key
        self._to_bytes = to_bytes
        self._from_bytes = from_bytes
        self._held: list[T] = []
        self._held_bytes = 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        #: Where each run begins and ends in the file.
        self._runs: list[tuple[int, int]] = []
        self.count = 0

    def add(self, item: T, size: int) -> None:
        """One item, of about so many bytes."""
        self.count += 1
        self._held.append(item)
        self._held_bytes += size
        if len(self._held) >= MOST_ITEMS or self._held_bytes >= MOST_BYTES:
            self._write_run()

    def __iter__(self) -> Iterator[T]:
        self._held.sort(key=cast(Any, self._key))
        if not self._runs:
            return iter(self._held)
        self._file.flush()
        runs = [self._read_run(begin, end) for begin, end in self._runs]
        return heapq.merge(*runs, self._held, key=cast(Any, self._key))

    def close(self) -> None:
        self._held.clear()
        self._file.close()

    def _write_run(self) -> None:
        self._held.sort(key=cast(Any, self._key))
        begin = self._file.tell()
        for item in self._held:
            written = self._to_bytes(item)
            self._file.write(len(written).to_bytes(_LENGTH_BYTES, "big") + written)
        self._runs.append((begin, self._file.tell()))
        self._held.clear()
        self._held_bytes = 0

    def _read_run(self, begin: int, end: int) -> Iterator[T]:
        file, place = self._file.fileno(), begin
        while place < end:
            block, at = os.pread(file, min(READ_AHEAD, end - place), place), 0
            last = len(block)
            while (body := at + _LENGTH_BYTES) <= last:
                following = body + int.from_bytes(block[at:body], "big")
                if following > last:
                    break
                yield self._from_bytes(block[body:following])
                at = following
            if at == 0:  # longer than what is read ahead
                at = _LENGTH_BYTES + int.from_bytes(os.pread(file, _LENGTH_BYTES, place), "big")
                yield self._from_bytes(os.pread(file, at, place)[_LENGTH_BYTES:])
            place += at
