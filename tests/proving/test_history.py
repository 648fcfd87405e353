"""Bundles of real ledgers: whole up to the last checkpoint, whatever goes on beside; and the proof of absence."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.application import ConsentLedger
from ledger.domain.names import subject_stream
from ledger.errors import Refused
from ledger.proof.bundle import Bundle, parse_bundle
from ledger.proof.bundle_opening import OpenBundle, open_bundle
from ledger.proof.policy import Trust
from ledger.proving.history import prove_history
from ledger.sequencer import sequence
from ledger.sequencer.steps import turn
from tests.builders import grant, shown, toggled, whole_log

NOBODY = subject_stream(b"nobody was here.")


def stream_of(ledger: ConsentLedger, named: str) -> str:
    return ledger.subject(named).stream or ""


def opened(data: bytes, trust: Trust) -> OpenBundle:
    """Everything in it holds."""
    return open_bundle(parse_bundle(data), trust)


def shown_in(bundle: Bundle) -> dict[str, list[tuple[int, bytes]]]:
    """Stream → its entries with their positions."""
    return {one.stream: [(entry.position, entry.entry) for entry in one.entries] for one in bundle.streams}


def test_everything_about_a_person_and_nobody_else(peopled: ConsentLedger, trust: Trust) -> None:
    checkpoint = sequence(peopled)
    ann = stream_of(peopled, "ann")
    history = prove_history(peopled, ann)
    log = [(position, stream, entry) for position, stream, _, entry in whole_log(peopled.place)]
    of = {name: [(position, entry) for position, stream, entry in log if stream == name] for name in (ann, "terms")}
    bundle = parse_bundle(history.data)
    assert shown_in(bundle) == of
    assert bundle.checkpoint == checkpoint.note.encode()
    assert bundle.map_entry == log[-1][-1]
    assert (history.entries, history.covers, history.size, history.newer) == (3, 6, 7, 0)
    held = opened(history.data, trust)
    assert [placed.entry.event for placed in held.history] == ["terms-shown", "accepted", "toggle-changed"]
    assert (held.stream, held.covers, held.size) == (ann, 6, 7)


def test_what_was_recorded_since_is_said_to_be_missing(peopled: ConsentLedger) -> None:
    sequence(peopled)
    bob = stream_of(peopled, "bob")
    before = prove_history(peopled, bob)
    peopled.record("bob", toggled("off"))
    peopled.record("bob", toggled("on"))
    after = prove_history(peopled, bob)
    assert (after.data, after.entries, after.newer) == (before.data, 2, 2)
    sequence(peopled)
    assert prove_history(peopled, bob).entries == 4


def test_of_whom_nothing_was_recorded_that_is_proven(peopled: ConsentLedger, trust: Trust) -> None:
    sequence(peopled)
    # Linked and recorded after the checkpoint: up to it there was nothing.
    peopled.record("cem", shown())
    for stream, newer in ((NOBODY, 0), (stream_of(peopled, "cem"), 1)):
        history = prove_history(peopled, stream)
        assert (history.entries, history.newer) == (0, newer)
        held = opened(history.data, trust)
        assert held.stream == stream
        assert held.histories == {stream: ()}


def test_without_a_checkpoint_there_is_no_bundle(ledger: ConsentLedger) -> None:
    grant(ledger, "ann")
    with pytest.raises(Refused, match="run `consent checkpoint` first"):
        prove_history(ledger, stream_of(ledger, "ann"))


def test_a_map_ahead_of_the_checkpoint_is_waited_for_and_not_for_ever(peopled: ConsentLedger) -> None:
    sequence(peopled)
    ann = stream_of(peopled, "ann")
    peopled.record("ann", toggled("on"))
    with turn(peopled) as sequencer:
        sequencer.fold()  # and it is stopped here
    with pytest.raises(Refused, match=r"found it ahead.*run `consent checkpoint`"):
        prove_history(peopled, ann, patience=0.3)
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(prove_history, peopled, ann, 60)
        sequence(peopled)
        assert waiting.result().entries == 4


def test_beside_a_sequencer_at_work_each_bundle_is_whole(peopled: ConsentLedger, trust: Trust) -> None:
    sequence(peopled)
    ann = stream_of(peopled, "ann")
    stop = threading.Event()

    def go_on() -> int:
        rounds = 0
        while not stop.is_set():
            peopled.record("ann", toggled("off" if rounds % 2 else "on"))
            sequence(peopled)
            rounds += 1
        return rounds

    lengths: list[int] = []
    with ThreadPoolExecutor(1) as beside:
        working = beside.submit(go_on)
        try:
            while len(set(lengths)) < 5:
                history = prove_history(peopled, ann, patience=60)
                assert len(opened(history.data, trust).history) == history.entries
                lengths.append(history.entries)
        finally:
            stop.set()
        assert working.result() >= 4
    assert lengths == sorted(lengths)
