"""Manifests: what exactly was used, as one root a use (FORMATS.md section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from ledger.domain.entry import canonical
from ledger.domain.times import format_time
from ledger.gate.micros import moment_of
from ledger.proof.merkle import leaf_hash, root

#: A leaf with what the use counts: (stream, basis, leaf, kind, collected in microseconds).
LeafRow = tuple[str, int, str, str, int]


@dataclass(frozen=True, slots=True)
class Use:
    """One use to record: the items of one subject under one grant."""

    stream: str
    basis: int
    items: dict[str, int]
    collected_from: str
    collected_until: str
    manifest: str


def leaf_of(item: str, collected: datetime, kind: str) -> bytes:
    """A manifest's leaf."""
    return canonical([item, format_time(collected), kind])


def uses_of(leaves: Iterable[LeafRow]) -> Iterator[Use]:
    """The uses that leaves make, which come sorted by stream, basis and bytes, each once; one leaf in memory."""
    for (stream, basis), group in groupby(leaves, key=lambda row: (row[0], row[1])):
        yield _use_of(stream, basis, group)


def _use_of(stream: str, basis: int, leaves: Iterable[LeafRow]) -> Use:
    items: dict[str, int] = {}
    earliest, latest = None, None

    def hashes() -> Iterator[bytes]:
        nonlocal earliest, latest
        for _, _, leaf, kind, collected in leaves:
            items[kind] = items.get(kind, 0) + 1
            earliest = collected if earliest is None else min(earliest, collected)
            latest = collected if latest is None else max(latest, collected)
            yield leaf_hash(leaf.encode())

    manifest = root(hashes()).hex()
    return Use(
        stream=stream,
        basis=basis,
        items=items,
        collected_from=format_time(moment_of(earliest or 0)),
        collected_until=format_time(moment_of(latest or 0)),
        manifest=manifest,
    )


def run_root(uses: Iterable[tuple[str, int]]) -> str:
    """`root` of `run-finished`: over `["<stream>",<version>]` of every use, which come sorted by these bytes."""
    return root(leaf_hash(canonical([stream, version])) for stream, version in uses).hex()
