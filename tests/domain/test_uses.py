"""Recorded uses of several items, and what the conformance table does not show of judging them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec import structs

from ledger.domain.eligibility import Reason, Verdict
from ledger.domain.entry import Entry, encode_entry
from ledger.domain.terms import Terms
from ledger.domain.times import format_time
from ledger.domain.uses import JudgedUse, is_backdated, judge_use
from tests.domain.given import (
    SHIPPED,
    TRAINING,
    Given,
    accepted,
    at,
    catalogue,
    run_started,
    shown,
    stream,
    terms,
    toggled,
    used,
)

ON: list[Given] = [(shown(), "2"), (accepted(touched=(TRAINING,)), "3")]
ON_OFF_ON: list[Given] = [*ON, (toggled("off"), "5"), (toggled("on"), "7")]
RUNS = terms(withdrawal="future-runs")


def _judged(events: list[Given], *, run: Entry, published: tuple[Terms, ...] = (SHIPPED,)) -> JudgedUse:
    """The two verdicts on the last of these events."""
    entries = stream(*events)
    return judge_use(entries[-1], entries, run, catalogue(*published))


def _known(events: list[Given], *, started: str = "10", published: tuple[Terms, ...] = (SHIPPED,)) -> Verdict:
    return _judged(events, run=run_started(started), published=published).known


def _answer(verdict: Verdict) -> tuple[Reason, int | None]:
    return verdict.reason, verdict.basis


def test_a_use_is_as_good_as_the_worst_of_its_ends() -> None:
    assert _answer(_known([*ON, (used("4", until="6", basis=2), "10")])) == ("granted", 2)
    assert _answer(_known([*ON, (used("1", until="6", basis=2), "10")])) == ("collected-before-grant", None)
    assert _answer(_known([*ON_OFF_ON, (used("4", until="6", basis=2), "10")])) == ("collected-while-off", None)
    assert _answer(_known([*ON_OFF_ON, (used("6", until="8", basis=4), "10")])) == ("collected-while-off", None)


def test_items_may_not_hide_in_a_span_of_off_between_two_grants() -> None:
    for basis in (2, 4):
        verdict = _known([*ON_OFF_ON, (used("4", until="8", basis=basis), "10")])
        assert _answer(verdict) == ("collected-while-off", None)
        assert verdict.detail == f"version {basis} is not the basis of the items"
    attested = _known([*ON_OFF_ON, (used("4", until="8", attested=True), "10")])
    assert _answer(attested) == ("collected-while-off", None)
    assert attested.detail == "no grant covers all the time its items were collected in"


@pytest.mark.parametrize("basis", [1, 3, 5, 99])
def test_a_use_that_names_a_wrong_basis_is_judged_by_the_right_one(basis: int) -> None:
    verdict = _known([*ON, (toggled("off"), "8"), (used("4", until="5", basis=basis), "10")])
    assert _answer(verdict) == ("granted", 2)
    assert verdict.detail == f"version {basis} is not the basis of the items"


def test_a_use_that_names_no_basis_is_judged_by_the_grant_that_covers_it() -> None:
    assert _answer(_known([*ON, (used("4", attested=True), "10")])) == ("granted", 2)
    assert _answer(_known([(used("4", attested=True), "10")])) == ("no-terms-shown", None)
    assert _answer(_known([*ON[:1], (used("4", attested=True), "10")])) == ("no-decision", None)
    without = _known([*ON, (used("4", attested=True, purpose="research"), "10")])
    assert _answer(without) == ("no-decision", None)


def test_every_kind_of_a_use_is_asked() -> None:
    kinds = {"chat": 1, "voice": 3, "image": 1, "coding-session": 2}
    mixed = structs.replace(used("4", basis=2), items=kinds)
    verdict = _known([*ON, (mixed, "10")])
    assert _answer(verdict) == ("kind-not-covered", 2)
    assert verdict.detail == "image, voice"
    nameless = structs.replace(used("4", attested=True), items={"chat": 1, "voice": 1})
    assert _answer(_known([*ON, (nameless, "10")])) == ("kind-not-covered", 2)


def test_a_use_may_be_kept_as_long_as_its_earliest_item() -> None:
    week = terms(when_on="P1W")
    events: list[Given] = [*ON, (used("4", until="9", basis=2), "12")]
    verdict = _known(events, started="11", published=(week,))
    assert _answer(verdict) == ("granted", 2)
    assert verdict.keep_until == at("11")
    late = _known(events, started="11 10:00:00.000001", published=(week,))
    assert _answer(late) == ("retention-expired", 2)


def test_under_future_runs_an_item_collected_after_the_start_needs_the_grant_until_then() -> None:
    # A run that started at 4 and still collects: until is max(c, s), and an Off of 6 arrives late.
    events: list[Given] = [*ON, (used("5", until="6", basis=2), "6"), (toggled("off"), "6", "9")]
    entries = stream(*events)
    judged = judge_use(entries[2], entries, run_started("4"), catalogue(RUNS))
    assert _answer(judged.known) == ("granted", 2)
    assert _answer(judged.hindsight) == ("collected-while-off", None)


def test_the_versions_that_decided_are_told() -> None:
    entries = stream(*ON, (used("4", basis=2), "10"), (toggled("off"), "5", "11"))
    judged = judge_use(entries[2], entries, run_started("10"), catalogue(RUNS))
    assert judged.use == entries[2]
    assert judged.known.rests_on == (2,)
    assert judged.hindsight.rests_on == (2, 4)
    assert judged.hindsight.reason == "withdrawn-before-run"


def test_a_basis_recorded_after_an_attested_use_is_not_known_to_it() -> None:
    # The On of version 3 covers the item, by the tolerance, but was recorded after the use occurred: as known,
    # the Accept permits it.
    entries = stream(
        (shown(), "2"),
        (accepted(), "3"),
        (toggled("on"), "5 10:00:00", "5 10:00:03"),
        (used("5 10:00:00", attested=True, basis=3), "5 10:00:02", "9"),
    )
    judged = judge_use(entries[3], entries, run_started("5 10:00:01"), catalogue())
    assert _answer(judged.known) == ("granted", 2)
    assert _answer(judged.hindsight) == ("granted", 3)


def test_an_attested_use_at_the_end_of_the_calendar_is_judged() -> None:
    last = format_time(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
    events: list[Given] = [*ON, (used("4", until=last, attested=True), "10")]
    encode_entry(stream(*events)[-1])  # a log may hold it
    assert _answer(_known(events)) == ("granted", 2)


@pytest.mark.parametrize(
    ("recorded", "backdated"),
    [("10", False), ("10 10:01:00", False), ("10 10:01:00.000001", True), ("11", True), ("9", False)],
)
def test_a_run_recorded_more_than_a_minute_after_its_start_is_backdated(recorded: str, backdated: bool) -> None:
    assert is_backdated(run_started("10", recorded=recorded)) is backdated
