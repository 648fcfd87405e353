"""Where an audit reads a log: one interface over a ledger, a folder of tiles and an export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import NamedTuple, Protocol

from ledger.audit.findings import Finding
from ledger.audit.maps import Maps
from ledger.importing.watcher import Watcher


class Page(NamedTuple):
    """Some entries as the source has them, and beside them their positions, which rise."""

    positions: Sequence[int]
    stored: Sequence[bytes]

    def only(self, wanted: Sequence[bool]) -> Page:
        return Page(list(compress(self.positions, wanted)), list(compress(self.stored, wanted)))


#: (level, number, width) to the hashes of a tile that the source keeps, b"" where it has none.
ReadTile = Callable[[int, int, int], bytes]


class Source(Protocol):
    """A log that does not change while it is read: what is appended meanwhile is left to the next audit."""

    #: For sentences: what and where it is.
    name: str

    def head(self) -> int | None:
        """How many entries there are, None where only reading to the end tells."""
        ...

    def pages(self) -> Iterator[Page]:
        """All entries in the order of their positions, some at a time."""
        ...

    def checkpoints(self) -> Iterator[bytes]:
        """The signed checkpoints that the source has, as notes, in the order of their sizes."""
        ...

    def tiles(self) -> tuple[int, ReadTile] | None:
        """The size of the tree that the source keeps in tiles, and how to read one; None where it keeps none."""
        return None

    def own(self, maps: Maps, watch: Watcher) -> Iterator[Finding]:  # noqa: ARG002 - for those who have something
        """What only this kind of source has to be checked, once its entries were; `maps` as after the last of them."""
        yield from ()
