"""Whether the proof of one entry holds, and what a receipt promises (C2SP tlog-proof; FORMATS.md sections 7 and 8)."""

from __future__ import annotations

from datetime import datetime

from ledger.domain.as_of import Placed
from ledger.domain.entry import Entry, decode_entry
from ledger.domain.events import SubjectMapPublished
from ledger.errors import NotVerified
from ledger.proof.asked import Asked
from ledger.proof.bundle import entry_of
from ledger.proof.merkle import leaf_hash, verify_inclusion
from ledger.proof.policy import Opened, Trust, open_checkpoint
from ledger.proof.promise import open_receipt, parse_receipt
from ledger.proof.statement import Proven, Statement, checkpoint_fields, for_whom, signed_by
from ledger.proof.tlog_proof import parse_tlog_proof

_TLOG_PROOF = b"c2sp.org/tlog-proof@"


def is_tlog_proof(data: bytes) -> bool:
    """Whether a file claims to be the proof of an entry; which version, its parser asks."""
    return data.startswith(_TLOG_PROOF)


def statement_of_tlog_proof(data: bytes, trust: Trust, asked: Asked) -> Statement:
    """The entry is in the log, at that position."""
    proof = parse_tlog_proof(data)
    opened = open_checkpoint(proof.checkpoint, trust)
    if proof.extra is None:
        raise NotVerified("expected the entry's bytes in the extra line of a tlog-proof, found none; make it anew")
    leaf, position = leaf_hash(proof.extra), proof.index + 1
    verify_inclusion(leaf, proof.index, opened.checkpoint.size, proof.path, opened.checkpoint.root)
    entry = entry_of(proof.extra, "the entry of a tlog-proof")
    asked.demand_stream(entry.stream, "an entry")
    return Statement(
        kind="entry",
        sentences=(
            f"{for_whom(entry.stream, asked.subject)}: {entry.event} of version {entry.version}, recorded "
            f"{entry.recorded_at}, is in the log {opened.checkpoint.origin} at position {position}",
            signed_by(opened),
        ),
        fields={
            "stream": entry.stream,
            "subject": asked.subject,
            "position": position,
            "version": entry.version,
            "event": entry.event,
            "checkpoint": checkpoint_fields(opened),
        },
        proven=(Proven(opened, {position: (entry.stream, leaf)}, map_time=_map_time(entry, position, opened)),),
        history=(Placed(position, entry),),
    )


def _map_time(entry: Entry, position: int, opened: Opened) -> datetime | None:
    """When the map was begun that a checkpoint ends in, where this is its entry."""
    is_last = position == opened.checkpoint.size and isinstance(entry.data, SubjectMapPublished)
    return entry.occurred if is_last else None


def statement_of_receipt(data: bytes, trust: Trust, asked: Asked) -> Statement:
    """The receipt's key promised it; whether it was kept, the receipt alone does not say."""
    receipt = parse_receipt(data)
    promise = open_receipt(receipt, trust)
    entry = decode_entry(receipt.entry)
    asked.demand_stream(entry.stream, "a receipt")
    return Statement(
        kind="receipt",
        sentences=(
            f"{for_whom(entry.stream, asked.subject)}: the log {promise.origin} promises that {entry.event} of "
            f"version {entry.version}, recorded {entry.recorded_at}, is at position {promise.position}, "
            f"and covered by a checkpoint by {promise.covered_by}",
        ),
        fields={
            "stream": entry.stream,
            "subject": asked.subject,
            "position": promise.position,
            "version": entry.version,
            "event": entry.event,
            "origin": promise.origin,
            "covered_by": promise.covered_by,
        },
        history=(Placed(promise.position, entry),),
        promise=promise,
    )


def stream_of_receipt(data: bytes) -> str:
    """The stream that a receipt, or the proof of an entry that took its place, is about.

    It pins what else is verified, as an id does: the asker vouches for the file, so no signature is asked for.
    """
    if is_tlog_proof(data):
        entry = parse_tlog_proof(data).extra
        return entry_of(entry or b"", "the entry of a tlog-proof").stream
    return decode_entry(parse_receipt(data).entry).stream
