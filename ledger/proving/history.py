"""A person's bundle: everything about one stream up to the last checkpoint, or that there is nothing (FORMATS.md 8)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.application import ConsentLedger
from ledger.domain.names import stream_key
from ledger.errors import Refused, Unavailable
from ledger.proof.bundle import Bundle, build_bundle, format_bundle
from ledger.proof.kept_map import prove
from ledger.proof.subject_map import MapProof
from ledger.proving.snapshot import PATIENCE_SECONDS, Snapshot, settled


@dataclass(frozen=True, slots=True)
class History:
    """The file's bytes, and what it shows: so many entries up to position `covers`; `newer` lie beyond it."""

    data: bytes
    entries: int
    covers: int
    size: int
    newer: int


def prove_history(ledger: ConsentLedger, stream: str, patience: float = PATIENCE_SECONDS) -> History:
    """The bundle of a subject's stream as of the last checkpoint; of one without entries it proves their absence."""
    with settled(ledger, patience) as now:
        bundle = bundle_of(now, stream)
        last = now.checkpoint()
        shown = len(bundle.streams[0].entries)
        newer = len(now.stream(stream)) - shown
        return History(format_bundle(bundle), shown, last.covers, last.size, newer)


def bundle_of(now: Snapshot, stream: str) -> Bundle:
    """The bundle under the newest checkpoint, of a snapshot whose map stands at it."""
    last = now.checkpoint()
    if last.size == 0:
        raise Refused("expected a checkpoint over entries, found one of an empty log; record something first")

    def prove_stream(of: str) -> MapProof:
        key = stream_key(of)
        return prove(now.tables.map_store(), key, now.tables.heads([key]).get(key))

    def entry_at(position: int) -> bytes:
        stored = now.entry_at(position)
        if stored is None:
            raise Unavailable(f"expected an entry at position {position}, found none; run `consent doctor`")
        return stored

    return build_bundle(
        stream,
        last.note.encode(),
        entry_at=entry_at,
        entries_of=now.stream,
        read=now.read_hash,
        prove=prove_stream,
    )
