"""From entries to rows: each stream folded by the domain, never by a copy of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter

from ledger.domain.consent import Record, fold
from ledger.domain.entry import Entry, decode_entry
from ledger.domain.replaying import PAGE, Decoder, Repeated
from ledger.domain.terms import Catalogue
from ledger.projections.projection import Projection, Row


class Published:
    """The catalogue as it stood at each position: a row must not depend on terms published after its entries."""

    def __init__(self, rows: Iterable[tuple[int, bytes]]) -> None:
        self._positions: list[int] = []
        self._catalogues = [Catalogue()]
        for position, stored in rows:
            self._positions.append(position)
            self._catalogues.append(self._catalogues[-1].with_terms(decode_entry(bytes(stored)).data))

    def at(self, position: int) -> Catalogue:
        return self._catalogues[bisect_right(self._positions, position)]


def rows_of(
    projection: Projection, entries: Iterable[tuple[str, int, bytes]], published: Published, after: int
) -> Iterator[Row]:
    """The rows above `after` of streams that come one by one: (stream, position, stored bytes).

    In memory are a page and the record of one stream. A stream of n decisions costs one fold, and for each purpose the
    time to sort them (`consent_of`), however many of the entries are new.
    """
    for stream, placed in groupby(_decoded(entries), key=itemgetter(0)):
        record = Record(stream=stream, catalogue=Catalogue())
        positions: dict[int, int] = {}
        for _, position, entry in placed:
            record.catalogue = published.at(position)
            fold((entry,), record)
            positions[entry.version] = position
        yield from (row for row in projection.rows(record, positions) if row.position > after)


def _decoded(entries: Iterable[tuple[str, int, bytes]]) -> Iterator[tuple[str, int, Entry | Repeated]]:
    """The same entries, decoded a page at a time."""
    decoder, pending = Decoder(), iter(entries)
    while page := list(islice(pending, PAGE)):
        decoded = decoder.decode([stored for _, _, stored in page])
        for (stream, position, _), entry in zip(page, decoded, strict=True):
            yield stream, position, entry
