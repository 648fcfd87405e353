"""One entry's proof: a `tlog-proof` once a checkpoint covers it, until then its receipt (FORMATS.md sections 7, 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ledger.application import ConsentLedger
from ledger.errors import Refused
from ledger.proof.merkle import inclusion_proof
from ledger.proof.promise import format_receipt
from ledger.proof.tlog_proof import TlogProof, format_tlog_proof
from ledger.proving.snapshot import snapshot
from ledger.receipts import covered_by, promise


@dataclass(frozen=True, slots=True)
class EntryProof:
    """The file's bytes and what it is: a proof under the checkpoint of `size`, or a promise of one by `covered_by`."""

    kind: Literal["proof", "promise"]
    data: bytes
    size: int | None = None
    covered_by: str | None = None


def prove_entry(ledger: ConsentLedger, position: int) -> EntryProof:
    """The proof of the entry at a position; `Refused` where the log has none there, or nothing to promise of it."""
    with snapshot(ledger) as now:
        stored = now.entry_at(position)
        if stored is None:
            raise Refused(
                f"expected a position from 1 to {now.tables.head()}, where the log ends, found {position}; check it"
            )
        last = now.tables.last_checkpoint()
        if last is None or last.size < position:
            receipt = promise(ledger.place, ledger.identity, now.tables, position, stored, ledger.clock.now())
            return EntryProof("promise", format_receipt(receipt), covered_by=covered_by(receipt))
        path = inclusion_proof(position - 1, last.size, now.read_hash)
        proof = TlogProof(position - 1, tuple(path), stored, last.note.encode())
        return EntryProof("proof", format_tlog_proof(proof), size=last.size)
