"""Proofs that an item was in a run's use, and that it was not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import NotVerified
from ledger.proof.asked import Asked
from ledger.proof.bundle import Included
from ledger.proof.item_proof import (
    Absence,
    Presence,
    format_absence,
    format_presence,
    parse_absence,
    parse_presence,
)
from ledger.proof.manifests import leaf_of
from ledger.proof.merkle import Tree, inclusion_proof, leaf_hash
from ledger.proof.verifying import kind_of, verify_file
from tests.domain import given
from tests.proof.small_log import OTHER, SUBJECT, Item, SmallLog, a_person, item, used

ITEMS = sorted((item(f"chat-{number}", f"4 1{number}:00") for number in range(6)), key=leaf_of)
POSITION = 6


@pytest.fixture(scope="module")
def log() -> SmallLog:
    return a_person(ITEMS)


def _presence(log: SmallLog, number: int = 2, items: list[Item] = ITEMS) -> Presence:
    tree = Tree(leaf_hash(leaf_of(one)) for one in items)
    path = tuple(inclusion_proof(number, tree.size, tree.read))
    return Presence(
        log.checkpoint(), items[number], number, path, Included(POSITION, log.entries[POSITION - 1], log.path(POSITION))
    )


def _absence(log: SmallLog, name: str = "chat-9", run: str = "r1", **changes: Any) -> Absence:
    return replace(Absence(log.bundle(), name, run, ((3, tuple(ITEMS)),)), **changes)


def _refused(data: bytes, log: SmallLog, saying: str) -> None:
    for trust in (log.policy, log.bare):
        with pytest.raises(NotVerified) as refusal:
            verify_file(data, trust)
        assert saying in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_presence_reads_as_it_was_written(log: SmallLog) -> None:
    data = format_presence(_presence(log))
    assert parse_presence(data) == _presence(log)
    assert kind_of(data) == "item-used"


@pytest.mark.parametrize("number", range(len(ITEMS)))
def test_every_item_of_a_use_is_shown_present(log: SmallLog, number: int) -> None:
    statement = verify_file(format_presence(_presence(log, number)), log.policy)
    name, collected, _ = ITEMS[number]
    assert f"item {name!r} (chat, collected {collected}) was used by run r1" in statement.sentences[0]
    assert statement.sentences[0].startswith(f"for stream {SUBJECT}, which you must compare with your receipt: ")


def test_presence_of_somebody_elses_item_is_refused(log: SmallLog) -> None:
    data = format_presence(_presence(log))
    assert verify_file(data, log.policy, Asked(f"key:{SUBJECT}")).sentences[0].startswith(f"for key:{SUBJECT}")
    with pytest.raises(NotVerified, match="expected a use of stream"):
        verify_file(data, log.policy, Asked(f"key:{OTHER}"))


PRESENCE: dict[str, tuple[dict[str, Any], str]] = {
    "another item": ({"item": item("chat-9", "4")}, "another root"),
    "another time": ({"item": (ITEMS[2][0], ITEMS[3][1], "chat")}, "another root"),
    "another kind": ({"item": (*ITEMS[2][:2], "voice")}, "another root"),
    "another index": ({"index": 3}, "another root"),
    "an index beyond": ({"index": 6}, "index below"),
    "a missing hash": ({"path": ()}, "whole path"),
}


@pytest.mark.parametrize("name", PRESENCE)
def test_a_tampered_presence_is_refused(log: SmallLog, name: str) -> None:
    changes, saying = PRESENCE[name]
    _refused(format_presence(replace(_presence(log), **changes)), log, saying)


def test_presence_in_what_is_no_use_is_refused(log: SmallLog) -> None:
    other = Included(4, log.entries[3], log.path(4))
    _refused(format_presence(replace(_presence(log), use=other)), log, "found accepted")
    moved = replace(other, position=POSITION)
    _refused(format_presence(replace(_presence(log), use=moved)), log, "another root")


def test_presence_in_a_use_that_denies_it_is_refused() -> None:
    """The manifest has it, and the entry says that all was collected earlier."""
    log = SmallLog().terms()
    log.append(SUBJECT, given.shown(), "2")
    log.append(OTHER, given.shown(), "2")
    log.append(SUBJECT, given.accepted(), "3")
    log.run("6")
    log.append(SUBJECT, used(ITEMS, basis=2, collected_until=ITEMS[1][1]), "6")
    log.publish("8")
    _refused(format_presence(_presence(log, 4)), log, "recorded wrongly")


def test_absence_reads_as_it_was_written(log: SmallLog) -> None:
    data = format_absence(_absence(log))
    assert parse_absence(data) == _absence(log)
    assert kind_of(data) == "item-not-used"


def test_an_item_is_shown_absent_by_the_complete_lists(log: SmallLog) -> None:
    statement = verify_file(format_absence(_absence(log)), log.policy)
    assert (
        "item 'chat-9' was not used by run r1, in whose 1 use of this person, with all 6 items"
        in (statement.sentences[0])
    )
    assert any("the complete history as of" in sentence for sentence in statement.sentences)


def test_an_item_is_absent_from_a_run_that_used_nothing(log: SmallLog) -> None:
    assert verify_file(format_absence(_absence(log, run="r7", lists=())), log.policy).kind == "item-not-used"


def test_an_item_of_a_list_is_not_absent(log: SmallLog) -> None:
    _refused(format_absence(_absence(log, name="chat-3")), log, "it was used")


ABSENCE: dict[str, tuple[dict[str, Any], str]] = {
    "no list": ({"lists": ()}, "(version 3), found those of none"),
    "a list too many": ({"lists": ((2, ()), (3, tuple(ITEMS)))}, "found those of version 2, 3"),
    "a list twice": ({"lists": ((3, tuple(ITEMS)), (3, tuple(ITEMS)))}, "found those of version 3, 3"),
    "an item left out": ({"lists": ((3, tuple(ITEMS[1:])),)}, "another manifest"),
    "an item added": ({"lists": ((3, (*ITEMS, item("chat-6", "5"))),)}, "another manifest"),
    "an item twice": ({"lists": ((3, (*ITEMS, ITEMS[-1])),)}, "each once"),
    "another order": ({"lists": ((3, tuple(ITEMS[::-1])),)}, "in their order"),
}


@pytest.mark.parametrize("name", ABSENCE)
def test_a_tampered_absence_is_refused(log: SmallLog, name: str) -> None:
    changes, saying = ABSENCE[name]
    _refused(format_absence(_absence(log, **changes)), log, saying)


def test_the_bundle_of_an_absence_is_verified_too(log: SmallLog) -> None:
    bundle = log.bundle()
    cut = replace(bundle.streams[0], entries=bundle.streams[0].entries[:-1])
    short = replace(bundle, streams=(cut, *bundle.streams[1:]))
    _refused(format_absence(_absence(log, bundle=short)), log, "left out or added")


@pytest.mark.parametrize("name", ["", "a\nb", "a\x7fb", "x" * 513])
def test_what_names_no_item_is_refused(log: SmallLog, name: str) -> None:
    with pytest.raises(NotVerified, match="a proof that an item was"):
        format_absence(_absence(log, name=name))
    with pytest.raises(NotVerified, match="a proof that an item was"):
        format_presence(replace(_presence(log), item=(name, *ITEMS[0][1:])))


def test_every_seventh_flipped_bit_is_refused(log: SmallLog) -> None:
    """Outside the checkpoint, whose bits the tests of bundles flip."""
    for data in (format_presence(_presence(log)), format_absence(_absence(log))):
        note = data.index(b'"checkpoint":"'), data.index(b'"', data.index(b'"checkpoint":"') + 14)
        for bit in range(0, 8 * len(data), 7):
            if note[0] < bit // 8 < note[1]:
                continue
            flipped = data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
            try:
                found = verify_file(flipped, log.bare)
            except NotVerified:
                continue
            # That another item was not used, or that nothing was by another run, is true.
            assert found.kind == "item-not-used"
            assert found.fields["item"] != "chat-9"
