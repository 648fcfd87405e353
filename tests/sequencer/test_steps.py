"""Checkpoints over a log that grows: derived again from the entries, complete, and none where nothing is new."""

from __future__ import annotations

import pkgutil
import threading
from datetime import timedelta

import pytest

from ledger.application import ConsentLedger
from ledger.domain.names import stream_key
from ledger.proof.kept_map import prove, root_of
from ledger.proof.merkle import EMPTY_ROOT
from ledger.proof.subject_map import verify_map
from ledger.sequencer import follow, sequence, steps
from ledger.sequencer.steps import Sequencer
from ledger.store.proofs import FOLLOWED_DELAY, UNFOLLOWED_DELAY, ProofTables, StoredCheckpoint
from tests import builders as b
from tests.sequencer.replay import assert_sound, outside, stored

#: Until a test gives up waiting.
SECONDS = 60


def test_a_log_that_grows(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann", "bob")
    first = sequence(ledger)
    assert (first.size, first.covers) == (6, 5)
    ledger.record("ann", b.toggled("off"))
    ledger.record("cid", b.shown())
    second = sequence(ledger)
    assert (second.size, second.covers) == (9, 8)
    assert assert_sound(ledger.place) == [first, second]
    assert set(outside(ledger.place).values()) == {second.note.encode()}


def test_more_entries_than_a_page(ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.store.recorder.PAGE", 7)
    monkeypatch.setattr("ledger.store.recorder.LogRecorder.page.__defaults__", (None, None, 7))
    b.grant(ledger, *(f"person-{number}" for number in range(20)))
    heard: list[int] = []
    checkpoint = sequence(ledger, watch=heard.append)
    assert checkpoint.size == 42
    assert heard == [7] * 5 + [6] + [7] * 6  # folded, and with the map's entry hashed
    assert_sound(ledger.place)


def test_where_nothing_is_new_nothing_is_written(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    first = sequence(ledger)
    assert sequence(ledger) == first
    assert len(b.whole_log(ledger.place)) == first.size
    assert stored(ledger.place) == [first]


def test_an_empty_log_has_a_checkpoint_without_a_map(ledger: ConsentLedger) -> None:
    empty = sequence(ledger)
    assert (empty.size, empty.root, empty.covers) == (0, EMPTY_ROOT, 0)
    assert sequence(ledger) == empty
    assert b.whole_log(ledger.place) == []
    b.grant(ledger, "ann")
    assert sequence(ledger).size == 4
    assert_sound(ledger.place)


def test_what_is_appended_while_the_map_is_folded_comes_before_it(
    ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    b.grant(ledger, "ann", "bob")
    fold = Sequencer.fold

    def fold_late(self: Sequencer) -> steps.Fold:
        folded = fold(self)
        ledger.record("bob", b.toggled("off"))
        return folded

    monkeypatch.setattr(Sequencer, "fold", fold_late)
    first = sequence(ledger)
    assert (first.size, first.covers) == (7, 5)
    monkeypatch.undo()
    # The last entry is a map, but leaves one entry out.
    second = sequence(ledger)
    assert (second.size, second.covers) == (8, 7)
    assert sequence(ledger) == second
    assert_sound(ledger.place)


def test_the_map_proves_every_stream_and_that_a_stranger_has_none(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann", "bob")
    sequence(ledger)
    ledger.record("ann", b.toggled("off"))
    checkpoint = sequence(ledger)
    ann = ledger.subject("ann").stream or ""
    with b.admin(ledger.place) as admin:
        tables = ProofTables(admin)
        assert tables.covers() == checkpoint.covers
        root = root_of(tables.map_store())
        keys = {name: stream_key(name) for name in (ann, "terms", "log", b.stream_of(1), "run/none")}
        heads = tables.heads(list(keys.values()))
        found = {
            name: verify_map(key, prove(tables.map_store(), key, heads.get(key)), root) for name, key in keys.items()
        }
    lengths = {name: None if one is None else one[0] for name, one in found.items()}
    assert lengths == {ann: 3, "terms": 1, "log": 1, b.stream_of(1): None, "run/none": None}


@pytest.mark.parametrize("step", ["fold", "publish_map", "hash_entries", "sign", "publish"])
def test_appends_wait_for_no_step(ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The sequencer stands still at the end of a step, within its transaction where it has one; appends go on."""
    b.grant(ledger, "ann")
    inside, go_on = threading.Event(), threading.Event()
    where, name = {
        "fold": ("ledger.sequencer.folding", "refold"),
        "hash_entries": ("ledger.sequencer.steps", "grow"),
    }.get(step, ("ledger.sequencer.steps.Sequencer", step))

    original = pkgutil.resolve_name(f"{where}.{name}")

    def stand_still(*arguments: object) -> object:
        answer = original(*arguments)
        inside.set()
        assert go_on.wait(SECONDS)
        return answer

    monkeypatch.setattr(f"{where}.{name}", stand_still)
    sequencing = threading.Thread(target=sequence, args=[ledger])
    sequencing.start()
    assert inside.wait(SECONDS)
    before = len(b.whole_log(ledger.place))
    ledger.record("ann", b.toggled("off"))
    ledger.record("bob", b.shown())
    assert len(b.whole_log(ledger.place)) == before + 2
    go_on.set()
    sequencing.join(SECONDS)
    assert not sequencing.is_alive()
    monkeypatch.undo()
    sequence(ledger)
    assert_sound(ledger.place)


def test_following_signs_what_comes_and_says_so_to_promises(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    stop, signed = threading.Event(), threading.Semaphore(0)
    sizes: list[int] = []

    def told(checkpoint: StoredCheckpoint) -> None:
        sizes.append(checkpoint.size)
        signed.release()

    following = threading.Thread(target=follow, args=[ledger, 0.05, stop, told])
    assert merge_delay(ledger) == UNFOLLOWED_DELAY
    following.start()
    assert signed.acquire(timeout=SECONDS)
    ledger.record("ann", b.toggled("off"))
    assert signed.acquire(timeout=SECONDS)
    assert merge_delay(ledger) == FOLLOWED_DELAY
    stop.set()
    following.join(SECONDS)
    assert sizes == [4, 6]
    assert merge_delay(ledger) == UNFOLLOWED_DELAY
    assert_sound(ledger.place)


def merge_delay(ledger: ConsentLedger) -> timedelta:
    with b.admin(ledger.place) as admin:
        return ProofTables(admin).promising().delay
