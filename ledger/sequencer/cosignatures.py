"""Taking in what witnesses and auditors signed, under a checkpoint that is published (FORMATS.md section 7)."""

from __future__ import annotations

from ledger.application import ConsentLedger
from ledger.errors import NotVerified, Refused
from ledger.proof.checkpoint import parse_checkpoint
from ledger.proof.note import MOST_SIGNATURES, SIGNATURE_BYTES, Signature, format_signature, parse_note
from ledger.store.database import connect, unavailable_as_error
from ledger.store.proofs import ProofTables, StoredCheckpoint

#: The time of a cosignature stands before it (C2SP tlog-cosignature).
_COSIGNATURE_BYTES = 8 + SIGNATURE_BYTES


def add_cosignatures(ledger: ConsentLedger, data: bytes) -> StoredCheckpoint:
    """Adds the cosignatures of a note to the published checkpoint that it is of; that checkpoint with them.

    Whose they are and whether they hold, whoever trusts them checks; here nothing but cosignatures is let in.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    name = ledger.place.name
    with unavailable_as_error(name), connect(ledger.url, name, "consent_sequencer") as connection:
        tables = ProofTables(connection)
        stored = tables.checkpoint_at(checkpoint.size)
        if stored is None or parse_note(stored.note.encode()).text != note.text:
            raise NotVerified(
                f"expected a checkpoint that this log published, found one of {checkpoint.origin} at size "
                f"{checkpoint.size} that it did not"
            )
        has = parse_note(stored.note.encode()).first_signatures()
        new = [one for one in note.first_signatures().values() if _is_cosignature(one, ledger.identity.origin)]
        if not new:
            raise Refused("expected cosignatures of witnesses or auditors in the note, found none; cosign it first")
        if len(has.keys() | {(one.name, one.key_id) for one in new}) > MOST_SIGNATURES:
            raise Refused(f"expected at most {MOST_SIGNATURES} signatures under a checkpoint, found more")
        for one in new:
            tables.add_signature(checkpoint.size, one, format_signature(one))
        return tables.checkpoint_at(checkpoint.size) or stored


def _is_cosignature(signature: Signature, origin: str) -> bool:
    return signature.name != origin and len(signature.blob) == _COSIGNATURE_BYTES
