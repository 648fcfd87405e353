"""Gathering the cosignatures of a trust's witnesses for the last checkpoint, each by itself."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.application import ConsentLedger
from ledger.errors import NotVerified, Refused, Unavailable
from ledger.proof.merkle import consistency_proof
from ledger.proof.note import Note, format_note, parse_note
from ledger.proof.policy import Trust
from ledger.proving.snapshot import Snapshot, snapshot
from ledger.sequencer.cosignatures import add_cosignatures
from ledger.store.proofs import StoredCheckpoint
from ledger.witness.client import cosignature_of


@dataclass(frozen=True, slots=True)
class Gathered:
    """The checkpoint with the cosignatures that came, and what each witness said that gave none, by its name."""

    checkpoint: StoredCheckpoint
    missing: dict[str, str]


def gather(ledger: ConsentLedger, trust: Trust) -> Gathered:
    """Asks every witness of the trust that has an address; none that declines or is away holds up the others."""
    if not trust.urls:
        raise Refused("expected a trust file whose witnesses have addresses, found none; add a url to their lines")
    missing: dict[str, str] = {}
    with snapshot(ledger) as now:
        checkpoint = now.checkpoint()
        note = parse_note(checkpoint.note.encode())
        for name, url in trust.urls.items():
            try:
                _ask(ledger, trust, name, url, note, now, checkpoint.size)
            except (NotVerified, Unavailable) as error:
                missing[name] = str(error)
    with snapshot(ledger) as now:
        return Gathered(now.tables.checkpoint_at(checkpoint.size) or checkpoint, missing)


def _ask(ledger: ConsentLedger, trust: Trust, name: str, url: str, note: Note, now: Snapshot, size: int) -> None:
    signature = cosignature_of(
        url, trust.witnesses[name], note, size, lambda old: consistency_proof(old, size, now.read_hash)
    )
    # Kept at once: what the next witness does is no matter of this one.
    add_cosignatures(ledger, format_note(Note(note.text, (signature,))))
