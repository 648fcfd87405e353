"""Sorting more than memory holds: sorted runs in one temporary file, merged as they are read."""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterator

#: What is held in memory before it is written out as one run: about 50 MB with what holds it.
MOST_BYTES = 32 * 1024 * 1024
MOST_ITEMS = 100_000
#: Read ahead of each run while they are merged; a thousand runs are 100 million lines.
READ_AHEAD = 32 * 1024
#: Written at one go.
_TOGETHER = 1_000


class ExternalSort:
    """Takes lines of bytes, which have no newline in them, in any order, and gives them back sorted."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        #: Where each run begins and ends in the file.
        self._runs: list[tuple[int, int]] = []
        self.count = 0

    def add(self, line: bytes) -> None:
        self.count += 1
        self._held.append(line)
        self._held_bytes += len(line)
        if len(self._held) >= MOST_ITEMS or self._held_bytes >= MOST_BYTES:
            self._write_run()

    def __iter__(self) -> Iterator[bytes]:
        self._held.sort()
        if not self._runs:
            return iter(self._held)
        self._file.flush()
        runs = [self._read_run(begin, end) for begin, end in self._runs]
        return heapq.merge(*runs, self._held)

    def close(self) -> None:
        self._held.clear()
        self._file.close()

    def _write_run(self) -> None:
        self._held.sort()
        begin = self._file.tell()
        for at in range(0, len(self._held), _TOGETHER):
            self._file.write(b"\n".join([*self._held[at : at + _TOGETHER], b""]))
        self._runs.append((begin, self._file.tell()))
        self._held.clear()
        self._held_bytes = 0

    def _read_run(self, begin: int, end: int) -> Iterator[bytes]:
        rest = b""
        for place in range(begin, end, READ_AHEAD):
            block = os.pread(self._file.fileno(), min(READ_AHEAD, end - place), place)
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
