"""Every use judged again from a bundle alone: what is permitted, what is a violation, and what is said of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs

from ledger.domain.as_of import Placed
from ledger.domain.entry import Imported
from ledger.domain.events import DataUsedForTraining
from ledger.errors import NotVerified
from ledger.proof.manifests import Leaf
from ledger.proof.statement import Statement
from ledger.proof.verdicts import judge_uses
from ledger.proof.verifying import verify_bundle
from tests.domain import given
from tests.domain.given import TRAINING, Given
from tests.proof.small_log import SUBJECT, SmallLog, a_person, item, used

ON: list[Given] = [(given.shown(), "2"), (given.accepted(touched=(TRAINING,)), "3")]
OFF: list[Given] = [*ON, (given.toggled("off"), "5")]
ONE = [item("chat-1", "4")]


def _log(events: Sequence[Given], *, started: str = "10", terms: Any = given.SHIPPED) -> SmallLog:
    """The terms, a run, and a person's events, on the map."""
    log = SmallLog().terms(terms)
    log.run(started)
    for event, *times in events:
        log.append(SUBJECT, event, *times)
    log.publish("28")
    return log


def _said(log: SmallLog, **asked: Any) -> Statement:
    """The same under every trust, but for who vouches."""
    statement = verify_bundle(log.bundle_file(), log.policy, **asked)
    assert verify_bundle(log.bundle_file(), log.bare, **asked).sentences[:-1] == statement.sentences[:-1]
    return statement


def _violation(log: SmallLog) -> tuple[list[str], str]:
    """The kinds, and the sentence, of the only violation."""
    statement = _said(log)
    (sentence,) = statement.violations
    assert sentence in statement.sentences
    assert sentence.startswith("VIOLATION: use of version ")
    (use,) = (use for use in statement.fields["uses"] if use["violations"])
    return [violation["kind"] for violation in use["violations"]], sentence


def test_a_use_inside_what_was_allowed() -> None:
    statement = _said(_log([*ON, (used(ONE, basis=2), "10 11:00")]))
    assert not statement.violations
    (use,) = statement.fields["uses"]
    assert (use["known"]["permitted"], use["hindsight"]["permitted"], use["violations"]) == (True, True, [])
    assert (use["basis"], use["known"]["quality"], use["known"]["reason"]) == (2, "explicit", "granted")


def test_nobody_used_anything() -> None:
    assert "no use for training is recorded" in _said(_log(ON)).sentences


def test_a_use_of_what_was_collected_while_off_is_a_violation_and_the_proofs_hold() -> None:
    log = _log([*OFF, (used([item("chat-1", "6")], basis=2), "10 11:00")])
    kinds, sentence = _violation(log)
    assert kinds == ["violation-known", "violation-in-hindsight"]
    assert "not allowed, as known when it was recorded and in hindsight (collected-while-off)" in sentence
    assert "the complete history" in _said(log).sentences[0]


def test_a_withdrawal_that_arrives_later_is_a_violation_in_hindsight_alone() -> None:
    late: Given = (given.toggled("off"), "3 12:00", "11")
    kinds, sentence = _violation(_log([*ON, (used(ONE, basis=2), "10 11:00"), late]))
    assert kinds == ["violation-in-hindsight"]
    assert "permitted as known when it was recorded, and not allowed in hindsight (collected-while-off)" in sentence


def test_what_was_refused_as_known_and_permitted_in_hindsight_is_a_violation() -> None:
    """An attested use is judged by what was recorded when it happened."""
    early: Given = (used(ONE, basis=2, attested=True), "2 12:00", "12")
    kinds, sentence = _violation(_log([*ON, early]))
    assert kinds == ["violation-known"]
    assert "not allowed as known when it was recorded (no-decision" in sentence
    assert "reported from outside the gate" in sentence


@pytest.mark.parametrize(
    ("terms", "is_violation"),
    [(given.SHIPPED, False), (given.terms(withdrawal="future-runs"), True)],
    ids=["future-data", "future-runs"],
)
def test_a_withdrawal_before_the_run(terms: Any, is_violation: bool) -> None:
    log = _log([*OFF, (used(ONE, basis=2), "10 11:00")], terms=terms)
    assert bool(_said(log).violations) == is_violation
    if is_violation:
        assert "withdrawn-before-run" in _violation(log)[1]


def test_a_kind_outside_the_purpose_and_data_kept_too_long() -> None:
    voice = used([item("voice-1", "4", "voice")], basis=2)
    assert "kind-not-covered: voice" in _violation(_log([*ON, (voice, "10 11:00")]))[1]
    short = given.terms(when_on="P1D")
    assert "retention-expired" in _violation(_log([*ON, (used(ONE, basis=2), "10 11:00")], terms=short))[1]


# The run


def test_a_run_that_is_not_in_the_log() -> None:
    log = _log([*ON, (used(ONE, basis=2, run="r9"), "10 11:00")])
    assert [one.stream for one in log.bundle().streams][-1] == "run/r9"
    kinds, sentence = _violation(log)
    assert kinds == ["violation-known"]
    assert "no run r9 was started before it" in sentence
    (use,) = _said(log).fields["uses"]
    assert use["known"] is None


def test_a_run_that_starts_after_its_use() -> None:
    log = SmallLog().terms()
    for event, *times in [*ON, (used(ONE, basis=2), "10 11:00")]:
        log.append(SUBJECT, event, *times)
    log.run("10")
    log.publish("28")
    assert "no run r1 was started before it" in _violation(log)[1]


def test_a_run_for_another_purpose() -> None:
    log = SmallLog().terms()
    log.run("10", purpose="research")
    for event, *times in [*ON, (used(ONE, basis=2), "10 11:00")]:
        log.append(SUBJECT, event, *times)
    log.publish("28")
    assert "run r1 was started for research, and not for model-training" in _violation(log)[1]


def test_a_backdated_run_is_named() -> None:
    log = SmallLog().terms()
    log.run("4 12:00", recorded="10")
    for event, *times in [*ON, (used(ONE, basis=2), "10 11:00")]:
        log.append(SUBJECT, event, *times)
    log.publish("28")
    assert "run r1 is backdated: it was recorded only at 2025-09-10T10:00:00.000000Z" in _said(log).sentences


# The basis


@pytest.mark.parametrize("basis", [1, 3, 4, 99])
def test_a_basis_that_is_no_grant_before_the_use(basis: int) -> None:
    """Version 1 is a showing, 3 the use itself, 4 a grant that comes after it."""
    log = _log([*ON, (used(ONE, basis=basis), "10 11:00"), (given.toggled("on"), "12")])
    kinds, sentence = _violation(log)
    assert set(kinds) == {"violation-known", "violation-in-hindsight"}
    assert f"it names version {basis} as its basis, which is no grant of model-training before it" in sentence


def test_a_basis_that_does_not_cover_what_another_does() -> None:
    again: list[Given] = [*OFF, (given.toggled("on"), "7"), (used([item("chat-1", "8")], basis=2), "10 11:00")]
    assert "it names version 2 as its basis, a grant that does not cover its items" in _violation(_log(again))[1]


def test_items_from_both_sides_of_an_off_hide_behind_no_basis() -> None:
    both = used([item("chat-1", "4"), item("chat-2", "8")], attested=True)
    kinds, sentence = _violation(_log([*OFF, (given.toggled("on"), "7"), (both, "10 11:00")]))
    assert set(kinds) == {"violation-known", "violation-in-hindsight"}
    assert "collected-while-off: no grant covers all the time its items were collected in" in sentence


def test_an_attested_use_without_a_basis_that_some_grant_covers_is_permitted() -> None:
    reported = used(ONE, attested=True)
    assert not _said(_log([*ON, (reported, "10 11:00")])).violations
    again = used([item("chat-1", "4"), item("chat-2", "8")], attested=True)
    assert not _said(_log([*ON, (given.toggled("on"), "7"), (again, "10 11:00")])).violations


def test_an_attested_use_without_any_grant_is_a_violation() -> None:
    assert "no-terms-shown" in _violation(_log([(used(ONE, attested=True), "10 11:00")]))[1]


def test_a_use_that_rests_on_an_imported_grant_is_never_called_proven() -> None:
    log = SmallLog().terms()
    log.run("10")
    log.append(SUBJECT, given.shown(), "2")
    imported = Imported(at="2025-09-20T10:00:00.000000Z", source="old system")
    log.append(SUBJECT, given.accepted(touched=(TRAINING,)), "3", imported=imported)
    log.append(SUBJECT, used(ONE, basis=2), "20 11:00")
    log.publish("28")
    statement = _said(log)
    assert (
        "the use of version 3 rests on an import of 2025-09-20T10:00:00.000000Z from old system" in statement.sentences
    )
    assert not any("proven" in sentence for sentence in statement.sentences)
    assert statement.fields["uses"][0]["imported"]["source"] == "old system"


def test_of_two_grants_of_one_version_which_no_ledger_writes_the_first_counts() -> None:
    twice = given.stream(*ON, (given.toggled("on"), "7"), (given.used("4", basis=2), "10 11:00"))
    twice[2] = structs.replace(twice[2], version=2, imported=given.IMPORTED)
    history = [Placed(position, entry) for position, entry in enumerate(twice, 2)]
    (use,) = judge_uses(history, {"r1": [Placed(1, given.run_started("10"))]}, given.catalogue())
    assert (use.violations, use.imported) == ((), None)


# The person


def test_what_is_on_and_what_does_not_count() -> None:
    untouched = given.terms(untouched_default="refused")
    log = _log([(given.shown(untouched), "2"), (given.accepted(untouched), "3")], terms=untouched)
    (state,) = (sentence for sentence in _said(log).sentences if sentence.startswith(TRAINING))
    assert state == "model-training: off, never on; the On of version 2 does not count (untouched-default)"


def test_every_withdrawal_with_its_times() -> None:
    log = _log([*OFF, (given.toggled("on"), "7"), (given.toggled("off"), "8", "9")])
    withdrawals = [sentence for sentence in _said(log).sentences if sentence.startswith("withdrawal")]
    assert withdrawals == [
        "withdrawal: model-training set to off by version 3 at 2025-09-05T10:00:00.000000Z",
        "withdrawal: model-training set to off by version 5 at 2025-09-08T10:00:00.000000Z, "
        "recorded 2025-09-09T10:00:00.000000Z",
    ]


def test_somebody_erased() -> None:
    log = _log([*ON, (used(ONE, basis=2), "10 11:00"), (given.ERASED, "12")])
    statement = _said(log)
    assert "erased 2025-09-12T10:00:00.000000Z: nothing is on, and nothing more is recorded" in statement.sentences
    assert not statement.violations, "what was used before the erasure stays used"
    before = _log([*ON, (given.ERASED, "8"), (used(ONE, basis=2), "10 11:00")])
    assert "erased" in _violation(before)[1]


# The items


def _items(*leaves: Leaf, version: int = 3) -> Any:
    return lambda stream: {version: list(leaves)} if stream == SUBJECT else {}


FIRST, SECOND = item("chat-1", "4"), item("chat-2", "5")


def test_a_manifest_is_made_again_from_the_items() -> None:
    statement = _said(a_person(), items_of=_items(SECOND, FIRST, FIRST))
    assert any(
        "the manifest of the uses of version 3 was made again from the items given" in s for s in statement.sentences
    )
    assert "which items a use used, their plans and that none was excluded is as the gate reported" not in (
        statement.sentences
    )
    assert statement.fields["uses"][0]["manifest_recomputed"]


@pytest.mark.parametrize(
    "leaves",
    [
        (FIRST,),
        (FIRST, SECOND, item("chat-3", "4")),
        (FIRST, item("chat-2", "5 10:01")),
        (FIRST, ("chat-3", *SECOND[1:])),
    ],
)
def test_other_items_make_another_manifest(leaves: tuple[Leaf, ...]) -> None:
    log = a_person()
    with pytest.raises(NotVerified, match="expected the items of the use of version 3, found"):
        verify_bundle(log.bundle_file(), log.policy, items_of=_items(*leaves))


def test_items_of_what_is_no_use_are_refused_and_those_of_later_ones_left_out() -> None:
    log = a_person()
    with pytest.raises(NotVerified, match="version 2, which is none"):
        verify_bundle(log.bundle_file(), log.policy, items_of=_items(FIRST, version=2))
    later = _said(log, items_of=_items(FIRST, version=9))
    assert "the items given hold none of the uses of version 3" in later.sentences


@pytest.mark.parametrize("changes", [{"items": {"chat": 3}}, {"collected_until": "2025-09-05T10:00:01.000000Z"}])
def test_a_use_that_counts_its_own_items_wrongly_is_refused_with_them(changes: dict[str, Any]) -> None:
    wrong: DataUsedForTraining = structs.replace(used([FIRST, SECOND], basis=2), **changes)
    log = _log([*ON, (wrong, "10 11:00")])
    assert not _said(log).violations
    with pytest.raises(NotVerified, match="the use was recorded wrongly"):
        verify_bundle(log.bundle_file(), log.policy, items_of=_items(FIRST, SECOND))
