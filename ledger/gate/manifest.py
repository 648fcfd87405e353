"""Manifests: what exactly was used, as one root a use (FORMATS.md section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from ledger.domain.entry import canonical
from ledger.domain.times import format_time
from ledger.gate.micros import moment_of
from ledger.proof.merkle import leaf_hash, root

#: A leaf with what the use counts: (stream, basis, leaf, kind, collected in microseconds).
LeafRow = tuple[str, int, str, str, int]
#: What a use counts of one kind, and the end of its stream as of the cutoff: (the stream's number, basis, kind, items,
#: earliest and latest collected in microseconds, stream, version, recorded in microseconds).
CountedRow = tuple[int, int, str, int, int, int, str, int, int]


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


def counted_uses(
    counted: Iterable[CountedRow], hashes: Iterable[tuple[int, int, bytes]]
) -> Iterator[tuple[Use, int, int]]:
    """The uses that counts and (number, basis, leaf hash) make, which both come sorted by number and basis, the hashes
    then in the order of their leaves; with each the end of its stream."""
    by_use = groupby(counted, key=itemgetter(0, 1)), groupby(hashes, key=itemgetter(0, 1))
    for (use, kinds), (same, leaves) in zip(*by_use, strict=True):
        if use != same:
            raise ValueError(f"expected the hashes of the leaves of {use}, found those of {same}")
        _, _, names, items, earliest, latest, streams, versions, recorded = zip(*kinds, strict=True)
        made = Use(
            stream=streams[0],
            basis=use[1],
            items=dict(zip(names, items, strict=True)),
            collected_from=format_time(moment_of(min(earliest))),
            collected_until=format_time(moment_of(max(latest))),
            manifest=root(leaf for _, _, leaf in leaves).hex(),
        )
        yield made, versions[0], recorded[0]


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
