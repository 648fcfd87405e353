"""Every entry by itself and at its place: bytes, versions, times, chains (FORMATS.md sections 1 to 4)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from msgspec import UNSET

from ledger.audit.findings import Finding, Kind
from ledger.audit.maps import Maps
from ledger.audit.pages import Columns, Pages
from ledger.audit.pages import Kind as PageKind
from ledger.audit.reading import Read, Reader
from ledger.audit.source import Page
from ledger.audit.state import State
from ledger.audit.streams import Standing, Streams
from ledger.audit.times import wrong_times
from ledger.audit.trail import Trail, unpublished
from ledger.domain.events import Accepted, SubjectMapPublished, TermsShown
from ledger.domain.names import stream_key
from ledger.errors import InvalidEntry
from ledger.proof.chain import chain_next


class Entries:
    """What every entry goes through, once. Nothing here is asked again when the log goes on."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._reader = Reader()
        self._pages = Pages(state.get("kinds", 1))
        self._streams = Streams(state)
        self._maps = Maps(state)
        self._trail = Trail(state)
        #: The highest recorded_at of the entries that were not imported.
        self._highest: bytes = state.get("highest", b"")
        self._found: list[Finding] = []
        self._map_entries: list[tuple[int, int, str]] = []

    @property
    def maps(self) -> Maps:
        return self._maps

    def take(self, page: Page, leaves: Sequence[bytes]) -> None:
        """The next entries with their leaf hashes."""
        columns = self._pages.read(page.stored)
        reads: list[Read | None] = [None] * len(leaves)
        if None in columns.kinds:
            valid = self._read_by_themselves(page, columns, reads)
            if not all(valid):
                page, columns = page.only(valid), columns.only(valid)
                leaves, reads = list(compress(leaves, valid)), list(compress(reads, valid))
        self._streams.load(set(columns.keys))
        self._walk(page, leaves, columns, reads)
        self._trail.history.keep_known(page.positions, columns)

    def _read_by_themselves(self, page: Page, columns: Columns, reads: list[Read | None]) -> list[bool]:
        """Reads what is of no known kind; which entries of the page are some."""
        valid = [True] * len(reads)
        for place, kind in enumerate(columns.kinds):
            if kind is not None:
                continue
            stored = page.stored[place]
            try:
                reads[place] = read = self._reader.read(stored)
            except InvalidEntry as error:
                position = page.positions[place]
                self._found.append(Finding("entry-invalid", f"position {position}: {error}", position))
                valid[place] = False
                continue
            self._pages.meet(stored, read)
            columns.keys[place] = stream_key(read.stream)
            columns.versions[place] = read.version
            columns.recorded[place] = read.recorded_at.encode()
        return valid

    def _walk(self, page: Page, leaves: Sequence[bytes], columns: Columns, reads: Sequence[Read | None]) -> None:
        """Each entry after the ones before it, in its stream and in the log."""
        standing = self._streams.standing
        unjudged = self._trail.unjudged.add
        positions, keys, versions = page.positions, columns.keys, columns.versions
        heads: list[bytes] = []
        mapped = 0
        highest = self._highest
        wanting = self._wanting_a_look(columns)
        rows = zip(leaves, columns.kinds, keys, versions, columns.recorded, strict=True)
        for place, (leaf, kind, key, version, recorded) in enumerate(rows):
            stands = standing[key]
            read = None
            if kind is None:
                read = reads[place]
                assert read is not None  # noqa: S101 - what is of no known kind was read by itself
                imported = read.imported is not UNSET
                self._look(positions[place], read, stands, highest)
                self._trail.keep(positions[place], key, page.stored[place], read, stands)
            else:
                # An import is as late as it was taken in.
                moment = kind.at or recorded
                imported = moment is not recorded
                if (
                    version != stands.length + 1
                    or recorded < stands.recorded
                    or moment < highest
                    or recorded > moment
                    or kind in wanting
                ):
                    self._look(positions[place], self._reader.read(page.stored[place]), stands, highest)
            if recorded > highest and not imported:
                highest = recorded
            stands.length = version
            stands.head = head = chain_next(stands.head, version, leaf)
            if recorded > stands.recorded:
                stands.recorded = recorded
            heads.append(head)
            if stands.uses:
                unjudged(key)
            if read is not None and isinstance(read.data, SubjectMapPublished):
                mapped = self._moved(positions, keys, versions, heads, mapped)
                self._found += self._maps.check(positions[place], version, read.data)
                self._map_entries.append((positions[place], read.data.covers, read.recorded_at))
        self._highest = highest
        self._moved(positions, keys, versions, heads, mapped)

    def _wanting_a_look(self, columns: Columns) -> set[PageKind]:
        """Of the kinds of a page, those of which every entry needs a look: by the terms published before the page."""
        published = self._trail.published
        kinds = {kind for kind in {*columns.kinds} if kind is not None}
        return {kind for kind in kinds if kind.moved or not (kind.terms is None or kind.terms in published)}

    def _moved(
        self, positions: Sequence[int], keys: list[bytes], versions: list[int], heads: list[bytes], after: int
    ) -> int:
        """Tells the maps of the streams that moved on; how many entries of the page they know of."""
        known = len(heads)
        self._maps.moved((positions[after:known], keys[after:known], versions[after:known], heads[after:]))
        return known

    def _look(self, position: int, read: Read, stands: Standing, highest: bytes) -> None:
        """What may be wrong with an entry at its place."""
        if read.version != stands.length + 1:
            found = f"version {read.version}, after {stands.length} of its stream"
            self._find(position, read, "version-wrong", found)
        for kind, found in wrong_times(read, stands.recorded.decode() or None, highest.decode()):
            self._find(position, read, kind, found)
        if isinstance(read.data, TermsShown | Accepted) and read.data.terms not in self._trail.published:
            self._found.append(unpublished(position, read, read.data.terms))

    def save(self) -> None:
        """Writes what changed since the last commit."""
        self._state.add("log", "", self._found)
        self._state.write("INSERT INTO map_entry VALUES (?, ?, ?)", self._map_entries)
        self._state.write("INSERT INTO kind VALUES (?, ?)", self._pages.new)
        self._found, self._map_entries = [], []
        self._pages.new.clear()
        self._streams.save()
        self._maps.save()
        self._trail.save()
        self._state.put(highest=self._highest, kinds=self._pages.next_number)

    def _find(self, position: int, read: Read, kind: Kind, found: str) -> None:
        sentence = f"expected an entry at position {position} that may stand there, found {found}"
        details = {"recorded_at": read.recorded_at}
        self._found.append(Finding(kind, sentence, position, read.stream, read.version, details))
