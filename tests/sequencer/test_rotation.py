"""Rotating and retiring the log's key: both sign in between, and every checkpoint can be verified by one of them."""

from __future__ import annotations

import pytest

from ledger.application import ConsentLedger
from ledger.errors import Refused
from ledger.proof.note import VerifierKey, parse_note, verify_note
from ledger.proof.rotation import Rotation, open_rotation
from ledger.sequencer import rotation, sequence
from ledger.sequencer.cosignatures import add_cosignatures
from ledger.store.proofs import StoredCheckpoint
from tests import builders as b
from tests.sequencer.replay import ORIGIN, assert_sound, keys_of, outside


def signers(checkpoint: StoredCheckpoint, *keys: VerifierKey) -> tuple[VerifierKey, ...]:
    return verify_note(parse_note(checkpoint.note.encode()), keys)


def test_from_one_key_to_the_next(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    before = sequence(ledger)
    rotated = rotation.rotate(ledger)
    old, new = rotated.old, rotated.new
    assert [old] == keys_of(ledger.place)[:1]
    assert open_rotation(rotated.note) == Rotation(ORIGIN, old, new, before.size)

    # The last checkpoint has the new signature at once: an idle log may have no other for long.
    again = sequence(ledger)
    assert again.size == before.size
    assert signers(again, old, new) == (old, new)
    assert set(outside(ledger.place).values()) == {before.note.encode(), again.note.encode()}

    ledger.record("ann", b.toggled("off"))
    both = sequence(ledger)
    assert signers(both, old, new) == (old, new)
    with pytest.raises(Refused, match="found a second already"):
        rotation.rotate(ledger)

    assert rotation.retire(ledger) == old
    ledger.record("ann", b.toggled("on"))
    after = sequence(ledger)
    assert signers(after, old, new) == (new,)
    assert [one.size for one in assert_sound(ledger.place)][:3] == [before.size, both.size, after.size]
    with pytest.raises(Refused, match="expected two log keys, found one"):
        rotation.retire(ledger)


def test_before_the_first_checkpoint(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    rotated = rotation.rotate(ledger)
    assert rotated.size == 0
    assert signers(sequence(ledger), rotated.old, rotated.new) == (rotated.old, rotated.new)
    rotation.retire(ledger)
    assert_sound(ledger.place)


def test_not_retired_before_the_new_key_has_signed(ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    b.grant(ledger, "ann")
    sequence(ledger)
    with monkeypatch.context() as patched:
        # As of one who was killed once the key was there.
        patched.setattr("ledger.sequencer.steps.Sequencer.run", lambda _: None)
        rotation.rotate(ledger)
    with pytest.raises(Refused, match="run `consent checkpoint`"):
        rotation.retire(ledger)
    sequence(ledger)
    rotation.retire(ledger)
    sequence(ledger)
    assert_sound(ledger.place)


def test_cosignatures_and_the_new_signature_stand_beside_each_other(ledger: ConsentLedger) -> None:
    from tests.sequencer.witnessing import cosigned, witness

    b.grant(ledger, "ann")
    first = sequence(ledger)
    one, two = witness(1), witness(2)
    add_cosignatures(ledger, cosigned(first.note, one, two))
    rotated = rotation.rotate(ledger)
    last = sequence(ledger)
    names = [signature.name for signature in parse_note(last.note.encode()).signatures]
    assert names == [ORIGIN, ORIGIN, one.verifier.name, two.verifier.name]
    assert signers(last, rotated.old, rotated.new) == (rotated.old, rotated.new)
