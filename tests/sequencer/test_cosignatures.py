"""Cosignatures are taken in under the checkpoint that they are of, and nothing else is."""

from __future__ import annotations

import pytest

from ledger.application import ConsentLedger
from ledger.errors import NotVerified, Refused
from ledger.keyring import new_key
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.cosignature import verify_cosignature
from ledger.proof.note import Note, Signature, format_note, parse_note, sign_note
from ledger.sequencer import sequence
from ledger.sequencer.cosignatures import add_cosignatures
from tests import builders as b
from tests.sequencer.replay import ORIGIN, assert_sound, stored
from tests.sequencer.witnessing import cosigned, witness


def test_taken_in_and_renewed(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    first = sequence(ledger)
    one, two = witness(1), witness(2)
    assert len(parse_note(add_cosignatures(ledger, cosigned(first.note, one)).note.encode()).signatures) == 2
    ledger.record("ann", b.toggled("off"))
    sequence(ledger)
    # Of an older checkpoint too, and by one who cosigned it before.
    added = add_cosignatures(ledger, cosigned(first.note, one, two, time=1_770_000_000))
    note = parse_note(added.note.encode())
    assert [signature.name for signature in note.signatures] == [ORIGIN, one.verifier.name, two.verifier.name]
    for signature, key in zip(note.signatures[1:], (one, two), strict=True):
        assert verify_cosignature(note.text, signature, key.verifier) == 1_770_000_000
    assert stored(ledger.place)[0] == added
    assert_sound(ledger.place)


def test_what_is_not_taken_in(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    note = sequence(ledger).note
    parsed = parse_note(note.encode())
    other = Checkpoint(ORIGIN, 4, bytes(32)).text
    stranger = new_key(ORIGIN)
    short = Signature("witness.example.org", bytes(4), bytes(64))
    for data, found in [
        (note.encode(), "found none"),
        (b"nonsense", "expected a signed note"),
        (format_note(Note(parsed.text, (*parsed.signatures, sign_note(parsed.text, stranger)))), "found none"),
        (format_note(Note(parsed.text, (short,))), "found none"),
        (cosigned(format_note(Note(other, (sign_note(other, stranger),))).decode(), witness(1)), "that it did not"),
    ]:
        with pytest.raises((NotVerified, Refused), match=found):
            add_cosignatures(ledger, data)
    assert stored(ledger.place)[0].note == note


def test_no_more_than_a_note_may_have(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    note = sequence(ledger).note
    full = add_cosignatures(ledger, cosigned(note, *(witness(number) for number in range(99))))
    assert len(parse_note(full.note.encode()).signatures) == 100
    with pytest.raises(Refused, match="at most 100 signatures"):
        add_cosignatures(ledger, cosigned(note, witness(100)))
    assert stored(ledger.place) == [full]
