"""What was on as of a moment or a position: by examples, and by laws over random histories."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st
from msgspec import structs

from ledger.domain.as_of import (
    History,
    Placed,
    PurposeState,
    as_of_moment,
    as_of_position,
    replay,
    states_of,
)
from ledger.domain.consent import Record, consent_of, record_of
from ledger.domain.eligibility import Item, judge_item
from ledger.domain.entry import Entry, make_entry
from ledger.domain.explanation import rests_on
from ledger.domain.terms import Catalogue, Terms
from ledger.domain.times import format_time
from tests.domain import given, reference
from tests.domain.given import SHIPPED, TRAINING, V1, accepted, at, shown, stream, terms, toggled
from tests.domain.histories import HISTORIES, TICKS, histories, moment
from tests.domain.histories import History as Random

over_histories = settings(
    max_examples=HISTORIES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def record(*events: given.Given, published: tuple[Terms, ...] = (SHIPPED,)) -> Record:
    return record_of(given.STREAM, stream(*events), Catalogue(published))


def state(moment: str, *events: given.Given, published: tuple[Terms, ...] = (SHIPPED,)) -> PurposeState:
    """The state of the one purpose at a moment."""
    (only,) = states_of(record(*events, published=published), at(moment))
    return only


# What is on, since when, by what.


def test_somebody_shown_and_no_more_is_undecided_and_the_notice_is_named() -> None:
    found = state("5", (shown(), "3"))
    assert (found.state, found.since, found.decision, found.notice) == ("undecided", None, None, 1)


def test_an_accept_is_on_since_its_start_by_the_notice_of_its_own_terms() -> None:
    other = terms("t2")
    found = state("5", (shown(), "2"), (shown(other), "3"), (accepted(), "4"), published=(SHIPPED, other))
    assert found.decision is not None
    assert (found.state, found.since, found.decision.version, found.notice) == ("on", at("4"), 3, 1)
    assert found.decision.quality == "default-untouched"


def test_a_renewed_grant_is_on_since_the_first_by_the_second() -> None:
    found = state("9", (shown(), "3"), (accepted(), "4"), (toggled("on"), "6"))
    assert found.decision is not None
    assert (found.since, found.decision.version, found.decision.quality) == (at("4"), 3, "explicit")


def test_on_again_after_off_is_on_since_the_second_time() -> None:
    found = state("9", (shown(), "3"), (accepted(), "4"), (toggled("off"), "5"), (toggled("on"), "6"))
    assert (found.state, found.since) == ("on", at("6"))


def test_off_twice_is_off_since_the_first_that_ended_it() -> None:
    found = state("9", (shown(), "3"), (accepted(), "4"), (toggled("off"), "5"), (toggled("off"), "6"))
    assert found.decision is not None
    assert (found.state, found.since, found.decision.version) == ("off", at("5"), 3)


def test_off_that_was_never_on_is_off_since_the_accept() -> None:
    found = state("9", (shown(), "3"), (accepted(toggles={TRAINING: "off"}), "4"))
    assert found.decision is not None
    assert (found.state, found.since, found.decision.at_accept) == ("off", at("4"), True)


def test_a_withdrawal_before_any_accept_belongs_to_no_terms_and_rests_on_no_notice() -> None:
    found = state("9", (shown(), "3"), (toggled("off"), "4"))
    assert found.decision is not None
    assert (found.state, found.decision.terms, found.notice) == ("off", None, None)


def test_purposes_are_told_apart_and_come_in_the_order_of_the_terms() -> None:
    two = terms(purposes={"research": ["chat"], TRAINING: ["chat"]})
    toggles = {TRAINING: "off", "research": "on"}
    found = states_of(
        record((shown(two), "3"), (accepted(two, toggles=dict(toggles)), "4"), published=(two,)),  # type: ignore[arg-type]
        at("5"),
    )
    assert [(one.purpose, one.state) for one in found] == [("research", "on"), (TRAINING, "off")]


def test_nothing_is_on_of_somebody_erased() -> None:
    assert states_of(record((shown(), "3"), (accepted(), "4"), (given.ERASED, "5")), at("6")) == ()


# An On that does not count, or not yet.


def test_an_on_that_starts_later_says_when() -> None:
    found = state("5", (shown(), "3"), (accepted(), "9", "4"))
    (waiting,) = found.not_counting
    assert (found.state, found.since, found.decision) == ("off", None, None)
    assert (waiting.grant.version, waiting.why, waiting.until) == (2, "starts-later", at("9"))


def test_an_on_that_starts_later_is_no_remark_once_it_started() -> None:
    assert state("9", (shown(), "3"), (accepted(), "9", "4")).not_counting == ()


def test_an_on_barred_by_an_off_stamped_ahead_says_after_when_one_will_count() -> None:
    history = ((shown(), "3"), (accepted(), "4"), (toggled("off"), "20", "5"), (toggled("on"), "6"))
    found = state("7", *history)
    (barred,) = found.not_counting
    assert (found.state, found.since) == ("off", at("5"))
    assert (barred.grant.version, barred.why, barred.until) == (4, "barred", at("20"))
    # And so it is: at that very instant not yet, a moment later it does.
    assert state("21", *history, (toggled("on"), "20")).state == "off"
    assert state("21", *history, (toggled("on"), "20 10:00:00.000001")).state == "on"


def test_of_two_offs_ahead_the_later_bars() -> None:
    offs = ((toggled("off"), "25", "5"), (toggled("off"), "20", "5"))
    found = state("7", (shown(), "3"), (accepted(), "4"), *offs, (toggled("on"), "6"))
    assert [one.until for one in found.not_counting] == [at("25")]


def test_an_on_made_offline_before_a_known_off_is_barred_by_it() -> None:
    found = state("9", (shown(), "3"), (accepted(), "4"), (toggled("off"), "6"), (toggled("on"), "5", "7"))
    assert [(one.why, one.until) for one in found.not_counting] == [("barred", at("6"))]


def test_an_untouched_accept_after_an_operated_off_says_why_it_undoes_nothing() -> None:
    found = state("9", (shown(), "3"), (toggled("off"), "4"), (accepted(), "5"))
    assert [(one.why, one.until) for one in found.not_counting] == [("untouched-after-off", None)]


def test_an_off_that_comes_last_leaves_nothing_to_remark() -> None:
    found = state("9", (shown(), "3"), (accepted(), "4"), (toggled("off"), "20", "5"), (toggled("off"), "6"))
    assert found.not_counting == ()


@pytest.mark.parametrize(
    ("why", "published", "events"),
    [
        ("no-notice", SHIPPED, [(accepted(), "4")]),
        ("untouched-default", terms(untouched_default="refused"), [(shown(), "3"), (accepted(), "4")]),
        (
            "not-a-person",
            SHIPPED,
            [
                (shown(), "3"),
                (accepted(toggles={TRAINING: "off"}), "4"),
                (toggled("on", cause="administrator"), "5"),
            ],
        ),
    ],
)
def test_an_on_that_is_no_grant_says_why(why: str, published: Terms, events: list[given.Given]) -> None:
    found = state("9", *events, published=(published,))
    assert (found.state, [one.why for one in found.not_counting]) == ("off", [why])


# As of a moment, as of a position.


def placed(entries: list[Entry], first: int) -> list[Placed]:
    return [Placed(position, entry) for position, entry in enumerate(entries, start=first)]


def published_at(*times: str) -> list[Placed]:
    """Versions of terms, the shipped first, published at these moments at the positions 1, 2, …"""
    return [
        Placed(
            version,
            make_entry(
                structs.replace(SHIPPED, version=V1 if version == 1 else f"t{version}"),
                stream="terms",
                version=version,
                occurred_at=format_time(at(recorded)),
                recorded_at=format_time(at(recorded)),
                nonce=given.NONCE,
            ),
        )
        for version, recorded in enumerate(times, start=1)
    ]


EVENTS = placed(stream((shown(), "3"), (accepted(), "4"), (toggled("off"), "5", "7")), first=2)


def test_as_of_a_moment_are_the_entries_recorded_by_then_judged_then() -> None:
    before = as_of_moment(given.STREAM, EVENTS, published_at("1"), 4, at("6"))
    assert [one.position for one in before.entries] == [2, 3]
    assert states_of(before.record, before.moment)[0].state == "on"
    # Recorded at that very moment is recorded by then, and the Off reaches back to when it was made.
    after = as_of_moment(given.STREAM, EVENTS, published_at("1"), 4, at("7"))
    assert [one.position for one in after.entries] == [2, 3, 4]
    assert states_of(after.record, after.moment)[0].since == at("5")


def test_as_of_a_position_are_the_entries_up_to_it() -> None:
    found = as_of_position(given.STREAM, EVENTS, published_at("1"), 3, at("4"))
    assert [one.position for one in found.entries] == [2, 3]
    assert (found.moment, states_of(found.record, found.moment)[0].state) == (at("4"), "on")


def test_terms_published_after_the_past_was_imported_are_still_those_it_refers_to() -> None:
    """Publication comes before by position: a ledger may be filled with the past."""
    terms_entries = published_at("28", "29")
    found = as_of_moment(given.STREAM, placed([one.entry for one in EVENTS], 3)[:2], terms_entries, 9, at("6"))
    assert states_of(found.record, found.moment)[0].state == "on"


def test_terms_published_later_are_not_known_before() -> None:
    later = [published_at("1")[0], Placed(8, published_at("1", "9")[1].entry)]
    assert [t.version for t in as_of_moment(given.STREAM, EVENTS, later, 9, at("8")).catalogue.all()] == [V1]
    assert [t.version for t in as_of_moment(given.STREAM, EVENTS, later, 9, at("9")).catalogue.all()] == [V1, "t2"]
    assert [t.version for t in as_of_position(given.STREAM, EVENTS, later, 7, at("9")).catalogue.all()] == [V1]


# Laws.


def as_history(random: Random) -> History:
    terms_entries = [
        Placed(
            number,
            make_entry(
                one,
                stream="terms",
                version=number,
                occurred_at=format_time(moment(-9)),
                recorded_at=format_time(moment(-9)),
                nonce=given.NONCE,
            ),
        )
        for number, one in enumerate(random.published, start=1)
    ]
    entries = placed(list(random.entries), first=len(terms_entries) + 1)
    return History(given.STREAM, moment(100), 100, tuple(entries), tuple(terms_entries))


@over_histories
@forall(history=histories())
def test_each_step_of_a_replay_is_the_state_as_of_its_position(history: Random) -> None:
    whole = as_history(history)
    for step in replay(whole):
        alone = as_of_position(
            whole.stream, whole.entries, whole.terms, step.placed.position, step.placed.entry.recorded
        )
        assert step.states == states_of(alone.record, alone.moment)


@over_histories
@forall(history=histories(), tick=st.sampled_from(TICKS))
def test_what_is_on_is_what_covers_an_item_of_that_moment(history: Random, tick: int) -> None:
    """Held against the brute-force reading: the basis, and since when there is one without a break."""
    for found in states_of(history.record, moment(tick)):
        basis = _reference(history, found.purpose, moment(tick)).basis
        assert (found.state == "on") == (basis is not None)
        if found.decision is not None and found.state == "on":
            assert found.decision.version == basis
        if found.state == "on" and found.since is not None:
            since = found.since
            on = [t for t in TICKS if since <= moment(t) <= moment(tick)]
            assert all(_reference(history, found.purpose, moment(t)).basis is not None for t in on)
            before = max((t for t in TICKS if moment(t) < since), default=None)
            assert before is None or _reference(history, found.purpose, moment(before)).basis is None


def _reference(history: Random, purpose: str, moment: datetime) -> reference.Answer:
    entries = [one for one in history.entries if one.event != "subject-erased"]
    return reference.judge(entries, history.by_version, purpose, Item(moment, "chat"), moment, moment)


@over_histories
@forall(history=histories(), tick=st.sampled_from(TICKS))
def test_what_is_said_of_an_on_that_does_not_count_comes_true(history: Random, tick: int) -> None:
    for found in states_of(history.record, moment(tick)):
        for one in found.not_counting:
            if one.why == "starts-later":
                assert one.until is not None
                assert one.until > moment(tick)
                (then,) = [s for s in states_of(history.record, one.until) if s.purpose == found.purpose]
                assert then.state == "on"
            elif one.why == "barred":
                assert one.until is not None
                now = just_after(max(one.until, history.last_recorded))
                for made, counts in ((one.until, False), (now, True)):
                    again = history.with_newest(given.toggled("on", purpose=found.purpose), made, now)
                    newest = again.entries[-1].version
                    intervals = consent_of(again.record, found.purpose).intervals
                    covering = [i.covers(i.start, i.start) for i in intervals if i.grant.version == newest]
                    # Without an Accept before it, as after an Off in the settings alone, an On is no grant at all.
                    assert covering == ([counts] if again.record.accepted else [])


def just_after(moment: datetime) -> datetime:
    return moment + timedelta(microseconds=1)


@over_histories
@forall(history=histories(), tick=st.sampled_from(TICKS), purpose=st.sampled_from(("training", "research")))
def test_the_entries_that_are_named_are_there_and_hold_the_basis(history: Random, tick: int, purpose: str) -> None:
    item = Item(moment(tick), "chat")
    verdict = judge_item(history.record, purpose, item, moment(100), moment(100))
    versions = rests_on(verdict, history.record, purpose, item)
    assert set(versions) <= {entry.version for entry in history.entries}
    assert list(versions) == sorted(set(versions))
    assert verdict.basis is None or verdict.basis in versions
    if verdict.reason not in ("unknown-subject", "no-terms-shown", "collected-in-future", "collected-before-grant"):
        assert versions


@pytest.mark.parametrize(
    ("item", "events", "versions"),
    [
        (Item(at("5"), "chat"), [(shown(), "2"), (shown(), "3"), (accepted(), "4")], (2, 3)),
        (Item(at("5"), "chat"), [(shown(), "3"), (accepted(), "4"), (toggled("off"), "6")], (1, 2, 3)),
        (Item(at("7"), "chat"), [(shown(), "3"), (accepted(), "4"), (toggled("off"), "6")], (2, 3)),
        (Item(at("7"), "chat"), [(shown(), "3"), (accepted(), "4"), (toggled("on"), "6")], (1, 3)),
        (Item(at("3"), "chat"), [(shown(), "3"), (accepted(), "4"), (accepted(), "5")], (2,)),
        (Item(at("5"), "chat"), [(shown(), "3"), (shown(), "4")], (1, 2)),
        (
            Item(at("5"), "chat"),
            [
                (shown(), "2"),
                (accepted(), "3"),
                (toggled("off", plan="team"), "9"),
            ],
            (1, 2, 3),
        ),
        (Item(at("7"), "chat"), [(shown(), "2"), (accepted(), "3"), (shown(plan="team"), "6")], (1, 2, 3)),
        (Item(at("5"), "chat"), [(shown(), "3"), (accepted(), "4"), (given.ERASED, "8")], (3,)),
    ],
)
def test_the_entries_that_a_verdict_rests_on(item: Item, events: list[given.Given], versions: tuple[int, ...]) -> None:
    of = record(*events)
    verdict = judge_item(of, TRAINING, item, at("10"), at("10"))
    assert rests_on(verdict, of, TRAINING, item) == versions
