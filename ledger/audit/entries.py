"""Every entry by itself and at its place: bytes, versions, times, chains (FORMATS.md sections 1 to 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from ledger.audit.findings import Finding, Kind
from ledger.audit.maps import Maps
from ledger.audit.reading import Read, Reader
from ledger.audit.source import Row
from ledger.audit.state import State
from ledger.audit.streams import Streams
from ledger.audit.times import wrong_times
from ledger.audit.trail import Trail
from ledger.domain.events import SubjectMapPublished
from ledger.domain.names import LOG_STREAM
from ledger.errors import InvalidEntry
from ledger.proof.chain import chain_next


class Entries:
    """What every entry goes through, once. Nothing here is asked again when the log goes on."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._reader = Reader()
        self._streams = Streams(state)
        self._maps = Maps(state)
        self._trail = Trail(state)
        #: The highest recorded_at of the entries that were not imported.
        self._highest: str = state.get("highest", "")
        self._found: list[Finding] = []
        self._map_entries: list[tuple[int, int, str]] = []

    @property
    def maps(self) -> Maps:
        return self._maps

    def take(self, rows: Sequence[Row], leaves: Sequence[bytes]) -> None:
        """The next entries with their leaf hashes."""
        reads = [self._read(row) for row in rows]
        self._streams.load({read.stream for read in reads if read is not None})
        standing = self._streams.standing
        moved = self._maps.moved
        keep = self._trail.keep
        for (position, stored), leaf, read in zip(rows, leaves, reads, strict=True):
            if read is None:
                continue
            data, stream, version, occurred_at, recorded_at, imported = read
            stands = standing[stream]
            if version != stands.length + 1:
                self._find(position, read, "version-wrong", f"version {version}, after {stands.length} of its stream")
            # What needs a look has a time that falls, was imported, or did not occur when it was recorded.
            is_plain = imported is UNSET
            if (
                recorded_at < stands.recorded
                or recorded_at < self._highest
                or not is_plain
                or occurred_at != recorded_at
            ):
                for kind, found in wrong_times(read, stands.recorded or None, self._highest):
                    self._find(position, read, kind, found)
            if is_plain and recorded_at > self._highest:
                self._highest = recorded_at
            stands.length = version
            stands.head = head = chain_next(stands.head, version, leaf)
            stands.recorded = max(recorded_at, stands.recorded)
            moved((position, stands.key, version, head))
            keep(position, stored, read, stands)
            if stream == LOG_STREAM and isinstance(data, SubjectMapPublished):
                self._found += self._maps.check(position, version, data)
                self._map_entries.append((position, data.covers, recorded_at))
                moved = self._maps.moved

    def save(self) -> None:
        """Writes what changed since the last commit."""
        self._state.add("log", "", self._found)
        self._state.write("INSERT INTO map_entry VALUES (?, ?, ?)", self._map_entries)
        self._found, self._map_entries = [], []
        self._streams.save()
        self._maps.save()
        self._trail.save()
        self._state.put(highest=self._highest)

    def _read(self, row: Row) -> Read | None:
        try:
            return self._reader.read(row.stored)
        except InvalidEntry as error:
            self._found.append(Finding("entry-invalid", f"position {row.position}: {error}", row.position))
            return None

    def _find(self, position: int, read: Read, kind: Kind, found: str) -> None:
        sentence = f"expected an entry at position {position} that may stand there, found {found}"
        self._found.append(Finding(kind, sentence, position, read.stream, read.version, _details(read)))


def _details(read: Read) -> dict[str, Any]:
    return {"recorded_at": read.recorded_at}
