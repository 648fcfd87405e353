"""That the log only grew: from a checkpoint that somebody has to the newest one (FORMATS.md section 8)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.application import ConsentLedger
from ledger.errors import NotVerified, Refused
from ledger.proof.checkpoint import parse_checkpoint
from ledger.proof.consistency import ConsistencyFile, format_consistency
from ledger.proof.merkle import consistency_proof, root_at
from ledger.proof.note import parse_note
from ledger.proving.snapshot import Snapshot, snapshot


@dataclass(frozen=True, slots=True)
class Growth:
    """The file's bytes, and the sizes of the two checkpoints in it."""

    data: bytes
    old: int
    new: int


def prove_growth(ledger: ConsentLedger, old: int | bytes) -> Growth:
    """From the checkpoint of a size, or from the note that somebody kept, to the newest checkpoint."""
    with snapshot(ledger) as now:
        last = now.checkpoint()
        note = _note_at(now, old) if isinstance(old, int) else old
        checkpoint = parse_checkpoint(parse_note(note).text)
        if checkpoint.origin != ledger.identity.origin:
            raise NotVerified(
                f"expected a checkpoint of {ledger.identity.origin}, found one of {checkpoint.origin}; ask that log"
            )
        if checkpoint.size > last.size:
            raise NotVerified(
                f"expected a checkpoint of at most size {last.size}, the newest, found one of size {checkpoint.size}: "
                "if its signature holds, this log lost entries; keep it"
            )
        if root_at(checkpoint.size, now.read_hash) != checkpoint.root:
            raise NotVerified(
                f"expected the root of this log at size {checkpoint.size}, found another: if its signature holds, two "
                "histories were signed; keep it, and verify it together with the newest checkpoint"
            )
        proof = consistency_proof(checkpoint.size, last.size, now.read_hash)
        data = format_consistency(ConsistencyFile(note.decode(), last.note, tuple(proof)))
        return Growth(data, checkpoint.size, last.size)


def _note_at(now: Snapshot, size: int) -> bytes:
    found = now.tables.checkpoint_at(size)
    if found is None:
        raise Refused(
            f"expected the size of a checkpoint, found {size}, at which none was signed; name one that was, or a file"
        )
    return found.note.encode()
