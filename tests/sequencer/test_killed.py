"""The sequencer, killed after each of its steps and within them: the next run goes on, and nothing signed is untrue."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.sequencer import sequence
from ledger.sequencer.rotation import rotate
from ledger.settings import Place
from tests import builders as b
from tests.sequencer.replay import assert_maps, assert_sound, keys_of, opened, outside, stored

ROOT = Path(__file__).parents[2]
SECONDS = 120

_STEPS = "ledger.sequencer.steps.Sequencer"
STEPS = {
    "1, the map folded": f"{_STEPS}.fold",
    "2, its root in the log": f"{_STEPS}.publish_map",
    "3, the entries hashed": f"{_STEPS}.hash_entries",
    "4, the copy kept outside": f"{_STEPS}.sign",
    "5, the checkpoint stored": f"{_STEPS}.publish",
}


def kill_after(place: Place, function: str, calls: int = 1) -> None:
    """Has a sequencer call a function so many times, and no more."""
    arguments = [place.url or "", str(place.state), function, str(calls)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.sequencer.killing", *arguments], cwd=ROOT, timeout=SECONDS, check=False
    )
    assert done.returncode == -signal.SIGKILL, "the sequencer never came there"


def test_killed_after_each_step_in_turn(ledger: ConsentLedger) -> None:
    """On one log: each run finds what the one before left, with more entries after it."""
    place = ledger.place
    b.grant(ledger, "ann", "bob")
    sequence(ledger)
    notes: list[bytes] = []
    for number, function in enumerate(STEPS.values()):
        ledger.record("ann", b.toggled("on" if number % 2 else "off"))
        # Of these two the first call is for what was signed before: hashed already, and not yet stored.
        kill_after(place, function, 2 if function.endswith((".hash_entries", ".publish")) else 1)
        notes += outside(place).values()
    assert len(stored(place)) == 3, "of the first, of step 4 by the run of step 5, and of step 5"
    last = sequence(ledger)
    assert last.size == len(b.whole_log(place)), "what the last one published is all there is"
    assert_sound(place, notes)


@pytest.mark.parametrize("function", STEPS.values(), ids=STEPS)
def test_run_again_without_a_new_entry(ledger: ConsentLedger, function: str) -> None:
    """What the killed one had begun is taken up, and not begun anew: there is one map in the log."""
    b.grant(ledger, "ann")
    kill_after(ledger.place, function)
    left = outside(ledger.place)
    checkpoint = sequence(ledger)
    assert (checkpoint.size, checkpoint.covers) == (4, 3)
    assert len(assert_maps([entry for *_, entry in b.whole_log(ledger.place)])) == 1
    assert assert_sound(ledger.place, list(left.values())) == [checkpoint]


WITHIN = {
    "heads written, not committed": "ledger.store.proofs.ProofTables.write_heads",
    "the map moved, not hashed": "ledger.store.proofs.ProofTables.move_map",
    "the map hashed, not committed": "ledger.sequencer.folding.refold",
    "tiles written, not committed": "ledger.store.proofs.ProofTables.write_tiles",
}


@pytest.mark.parametrize("function", WITHIN.values(), ids=WITHIN)
def test_killed_within_a_step(ledger: ConsentLedger, function: str) -> None:
    b.grant(ledger, "ann")
    sequence(ledger)
    b.grant(ledger, "bob")
    kill_after(ledger.place, function)
    ledger.record("ann", b.toggled("off"))
    sequence(ledger)
    assert_sound(ledger.place)


def test_killed_between_the_copies_of_two_keys(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    sequence(ledger)
    rotate(ledger)
    ledger.record("ann", b.toggled("off"))
    kill_after(ledger.place, "ledger.keyring.write_outside")
    copies = outside(ledger.place)
    assert sorted(opened(note, keys_of(ledger.place)).size for note in copies.values()) == [4, 6]
    assert sequence(ledger).size == 6
    assert_sound(ledger.place, list(copies.values()))
    assert len(set(outside(ledger.place).values())) == 1
