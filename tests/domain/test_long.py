"""Whoever toggles all the time: what is looked up of their decisions is what searching all of them finds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st

from ledger.domain.as_of import Placed, states_of
from ledger.domain.consent import FEW, Consent, Decision, GrantedInterval, consent_of, record_of
from ledger.domain.eligibility import Item, judge_with
from ledger.domain.entry import Entry
from ledger.domain.events import DataUsedForTraining, Event
from ledger.domain.spans import standing_of
from ledger.domain.terms import Catalogue
from ledger.domain.times import format_time
from ledger.domain.uses import Consents, was_known
from ledger.proof.verdicts import judge_uses
from tests.domain import given
from tests.domain.given import TRAINING
from tests.domain.histories import (
    PURPOSES,
    TICKS,
    TOGGLES,
    History,
    histories,
    long_histories,
    moment,
    toggled_all_day,
)
from tests.domain.test_laws import over_histories

# The plain definitions.


def plain_interval(grant: Decision, consent: Consent) -> GrantedInterval:
    """Up to the earliest start among the withdrawals that the grant does not beat; of two at once the lower version."""
    standing = [withdrawal for withdrawal in consent.withdrawals if not grant.beats(withdrawal)]
    ending = min(standing, key=lambda withdrawal: (withdrawal.start, withdrawal.version), default=None)
    if ending is None:
        return GrantedInterval(grant, grant.start, None, None)
    return GrantedInterval(grant, grant.start, ending.start, ending.version)


def plain_newest(intervals: Iterable[GrantedInterval], tick: int) -> GrantedInterval | None:
    covering = [interval for interval in intervals if interval.covers(moment(tick), moment(tick))]
    return max(covering, key=lambda interval: (interval.start, interval.grant.version), default=None)


@over_histories(history=long_histories())
def test_every_grant_ends_with_the_earliest_withdrawal_that_it_does_not_beat(history: History) -> None:
    consent = consent_of(history.record, PURPOSES[0])
    ons = [decision for decision in consent.decisions if decision.to == "on"]
    granted = [on for on in ons if on.denied is None]
    denied = [on for on in ons if on.denied in ("no-notice", "untouched-default")]
    assert list(consent.intervals) == [plain_interval(grant, consent) for grant in granted]
    assert list(consent.denied_at_accept) == [plain_interval(grant, consent) for grant in denied]
    for grant in granted:
        assert consent.interval_of(grant.version) == plain_interval(grant, consent)


@over_histories(history=long_histories())
def test_what_is_looked_up_of_a_moment_is_what_searching_all_finds(history: History) -> None:
    consent = consent_of(history.record, PURPOSES[0])
    for tick in TICKS:
        assert consent.basis_at(moment(tick)) == plain_newest(consent.intervals, tick)
        assert consent.denied_at(moment(tick)) == plain_newest(consent.denied_at_accept, tick)
        assert consent.plan_at(moment(tick)) == history.record.plan_at(moment(tick))


def test_the_long_histories_are_long_enough_to_look_up_in() -> None:
    looked_up = 0

    @settings(max_examples=100, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @forall(history=long_histories())
    def count(history: History) -> None:
        nonlocal looked_up
        consent = consent_of(history.record, PURPOSES[0])
        looked_up += min(len(consent.withdrawals), len(consent.intervals), len(history.record.plans)) > FEW

    count()
    assert looked_up > 20


@over_histories(
    history=histories() | long_histories(),
    places=st.lists(st.tuples(st.integers(0, 60), st.sampled_from(TICKS), st.booleans()), max_size=4),
)
def test_uses_that_share_a_consent_get_the_one_of_what_was_known(
    history: History, places: list[tuple[int, int, bool]]
) -> None:
    for place, tick, attested in places:
        used = given.used("3", basis=1, attested=attested, purpose=PURPOSES[0])
        history = history.with_inserted(used, min(place, len(history.entries)), moment(tick), moment(tick))
    catalogue = Catalogue(history.published)
    consents = Consents(history.entries, catalogue)
    deciding = [entry for entry in history.entries if not _is_use(entry)]
    for use in (entry for entry in history.entries if _is_use(entry)):
        known = [entry for entry in deciding if was_known(entry, use)]
        for found, entries in ((consents.known(use), known), (consents.hindsight(use), deciding)):
            assert found == consent_of(record_of(given.STREAM, entries, catalogue), use.data.purpose)


def _is_use(entry: Entry) -> bool:
    return isinstance(entry.data, DataUsedForTraining)


# At full length: nothing here is timed, but what goes through all pairs takes minutes.


def test_twenty_thousand_toggles_are_folded_and_many_items_judged() -> None:
    entries = toggled_all_day()
    record = record_of(given.STREAM, entries, given.catalogue())
    consent = consent_of(record, TRAINING)
    assert [interval.ended_by for interval in consent.intervals[:-1]] == list(range(3, TOGGLES + 2, 2))
    (spans,) = standing_of(record).purposes
    assert len(spans.starts) == TOGGLES + 1
    (state,) = states_of(record, entries[-1].recorded)
    assert (state.state, state.since) == ("on", entries[-1].recorded)
    run = given.at("29")
    early = [judge_with(consent, Item(given.at("2"), "chat"), run, run) for _ in entries]
    assert {verdict.reason for verdict in early} == {"collected-before-grant"}
    judged = [judge_with(consent, Item(entry.recorded, "chat", "pro"), run, run).reason for entry in entries[2:]]
    assert judged == ["collected-while-off", "granted"] * (TOGGLES // 2)


def test_an_off_stamped_ahead_bars_ten_thousand_ons() -> None:
    entries = toggled_all_day()
    ahead = entries[-1].recorded + timedelta(days=1)
    offs = [given.entry(given.toggled("off"), one.version, ahead, one.recorded) for one in entries[2 : TOGGLES // 2]]
    ons = [given.entry(given.toggled("on"), one.version, one.recorded, one.recorded) for one in entries[TOGGLES // 2 :]]
    record = record_of(given.STREAM, [*entries[:2], *offs, *ons], given.catalogue())
    (state,) = states_of(record, entries[-1].recorded)
    assert (state.state, len(state.not_counting)) == ("off", len(ons))
    assert {(one.why, one.until) for one in state.not_counting} == {("barred", ahead)}


def test_the_uses_of_every_grant_of_twenty_thousand_toggles_are_judged() -> None:
    entries = toggled_all_day()
    run = given.run_started("29")
    for grant in entries[3 : TOGGLES + 2 : 2]:
        at = format_time(grant.recorded)
        use = given.used(at, basis=grant.version)
        entries.append(given.entry(use, len(entries) + 1, run.recorded, run.recorded))
    history = [Placed(entry.version + 1, entry) for entry in entries]
    judged = judge_uses(history, {"r1": [Placed(1, run)]}, given.catalogue())
    assert len(judged) == TOGGLES // 2
    assert not any(use.violations for use in judged)


def test_who_is_shown_and_accepts_all_day_is_folded() -> None:
    """What is shown is not what is accepted, so that each Accept looks for its notice in vain."""
    other, start = given.terms("t2"), given.at("3")
    showings = [given.shown() for _ in range(TOGGLES // 2)]
    accepts = [given.accepted(other, toggles={TRAINING: "off"}) for _ in range(TOGGLES // 2)]
    events: list[Event] = [*showings, *accepts]
    entries = [given.entry(event, version, start, start) for version, event in enumerate(events, 1)]
    record = record_of(given.STREAM, entries, given.catalogue(given.SHIPPED, other))
    assert len(consent_of(record, TRAINING).withdrawals) == TOGGLES // 2
