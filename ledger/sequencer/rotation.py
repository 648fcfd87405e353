"""Changing the log's key: a second one signs beside the first, until the first is retired (FORMATS.md section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger import keyring as keys
from ledger.application import ConsentLedger
from ledger.errors import Refused
from ledger.proof.note import VerifierKey, parse_note
from ledger.sequencer.steps import turn


@dataclass(frozen=True, slots=True)
class Rotated:
    """A rotation: the two keys, from which size on both sign, and the note that says so, in bytes and as a file."""

    old: VerifierKey
    new: VerifierKey
    size: int
    note: bytes
    path: Path


def rotate(ledger: ConsentLedger) -> Rotated:
    """Makes a second log key; the last checkpoint gets its signature, and all that follow have both."""
    state, ledger_id = ledger.place.state, ledger.identity.id
    with turn(ledger) as sequencer:
        if len(sequencer.ring.log) > 1:
            raise Refused("expected one log key, found a second already; `consent keys retire` ends the last rotation")
        last = sequencer.settle()
        new = keys.new_key(sequencer.ring.origin)
        size = 0 if last is None else last.size
        path, note = keys.rotate(state, ledger_id, sequencer.ring, new, size)
        old = sequencer.ring.log[-1].verifier
    if last is not None:
        with turn(ledger) as sequencer:
            sequencer.run()
    return Rotated(old, new.verifier, size, note, path)


def retire(ledger: ConsentLedger) -> VerifierKey:
    """Destroys the older of two log keys, once the last checkpoint has the newer one's signature; its verifier key."""
    with turn(ledger) as sequencer:
        if len(sequencer.ring.log) < 2:
            raise Refused("expected two log keys, found one; `consent keys rotate` makes the second")
        last = sequencer.settle()
        stays = sequencer.ring.log[-1].verifier
        if last is not None and (stays.name, stays.id) not in parse_note(last.note.encode()).first_signatures():
            raise Refused(
                "expected a checkpoint that both keys signed, found none since the rotation; run `consent checkpoint`"
            )
        return keys.retire(ledger.place.state, ledger.identity.id)
