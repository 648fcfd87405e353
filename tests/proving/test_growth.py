"""From each checkpoint to the newest; and what is no beginning of this log has no proof."""

from __future__ import annotations

import pytest

from ledger.application import ConsentLedger
from ledger.errors import NotVerified, Refused
from ledger.keyring import new_key, read_keyring
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.consistency import parse_consistency
from ledger.proof.merkle import EMPTY_ROOT, verify_consistency
from ledger.proof.note import Note, format_note, sign_note
from ledger.proof.policy import Trust, open_checkpoint
from ledger.proving.growth import prove_growth
from ledger.sequencer import sequence
from ledger.store.proofs import StoredCheckpoint
from tests.builders import grant


@pytest.fixture
def checkpoints(peopled: ConsentLedger) -> list[StoredCheckpoint]:
    """Four, of growing sizes."""
    made = [sequence(peopled)]
    for number in range(3):
        grant(peopled, *(f"person {number} {other}" for other in range(number + 1)))
        made.append(sequence(peopled))
    assert [one.size for one in made] == sorted({one.size for one in made})
    return made


def test_from_every_checkpoint_by_its_size_and_by_its_note(
    peopled: ConsentLedger, checkpoints: list[StoredCheckpoint], trust: Trust
) -> None:
    newest = checkpoints[-1]
    for old in checkpoints:
        growth = prove_growth(peopled, old.size)
        assert growth == prove_growth(peopled, old.note.encode())
        assert (growth.old, growth.new) == (old.size, newest.size)
        file = parse_consistency(growth.data)
        assert (file.old, file.new) == (old.note, newest.note)
        before, after = (open_checkpoint(note.encode(), trust).checkpoint for note in (file.old, file.new))
        verify_consistency(before.size, after.size, before.root, after.root, file.proof)


def test_what_is_no_beginning_of_this_log(peopled: ConsentLedger, checkpoints: list[StoredCheckpoint]) -> None:
    ring = read_keyring(peopled.place.state, peopled.identity.id, peopled.identity.origin)

    def signed(origin: str, size: int, root: bytes) -> bytes:
        key = ring.log[0] if origin == ring.origin else new_key(origin)
        text = Checkpoint(origin, size, root).text
        return format_note(Note(text, (sign_note(text, key),)))

    old, newest = checkpoints[0], checkpoints[-1]
    with pytest.raises(Refused, match=f"found {old.size + 1}, at which none was signed"):
        prove_growth(peopled, old.size + 1)
    with pytest.raises(NotVerified, match="two histories were signed"):
        prove_growth(peopled, signed(ring.origin, old.size, newest.root))
    with pytest.raises(NotVerified, match="this log lost entries"):
        prove_growth(peopled, signed(ring.origin, newest.size + 1, newest.root))
    with pytest.raises(NotVerified, match=r"found one of other\.test"):
        prove_growth(peopled, signed("other.test", old.size, old.root))
    with pytest.raises(NotVerified, match="a signed note"):
        prove_growth(peopled, b"no note")
    # Nothing was yet, and everything extends it.
    assert parse_consistency(prove_growth(peopled, signed(ring.origin, 0, EMPTY_ROOT)).data).proof == ()


def test_before_the_first_checkpoint(peopled: ConsentLedger) -> None:
    with pytest.raises(Refused, match="run `consent checkpoint` first"):
        prove_growth(peopled, 1)
