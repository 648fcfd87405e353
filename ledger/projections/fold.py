"""From entries to rows: each stream folded by the domain, never by a copy of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from ledger.domain.consent import Record, fold
from ledger.domain.entry import decode_entry
from ledger.domain.replaying import Decoder
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

    In memory is the record of one stream. A stream of n decisions costs one fold, and for each purpose the
    product of its grants and its withdrawals (`consent_of`), however many of the entries are new.
    """
    decode = Decoder().decode
    for stream, stored in groupby(entries, key=itemgetter(0)):
        record = Record(stream=stream, catalogue=Catalogue())
        positions: dict[int, int] = {}
        for _, position, bytes_ in stored:
            entry = decode(bytes(bytes_))
            record.catalogue = published.at(position)
            fold([entry], record)
            positions[entry.version] = position
        yield from (row for row in projection.rows(record, positions) if row.position > after)
