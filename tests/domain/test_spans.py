"""A person's spans say of every item what the domain says: between two cuts nothing changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import strategies as st

from ledger.domain.consent import Record, consent_of, record_of
from ledger.domain.eligibility import Item, judge_item, judge_with
from ledger.domain.spans import judge_standing, plan_changes, standing_of
from ledger.domain.terms import Terms
from tests.domain import given
from tests.domain.given import TRAINING, accepted, at, shown, toggled
from tests.domain.histories import PURPOSES, History, histories, items, judged_at, moment, run_starts
from tests.domain.test_laws import over_histories

#: The finest that times differ by.
TICK = timedelta(microseconds=1)


@over_histories(
    history=histories(), asked=items(), run=run_starts(), now=judged_at(), off=st.sampled_from((-TICK, 0 * TICK, TICK))
)
def test_a_standing_says_what_the_domain_says_also_at_the_edges(
    history: History, asked: list[Item], run: datetime, now: datetime, off: timedelta
) -> None:
    record = history.record
    standing = standing_of(record) if record.version else None
    for purpose in (*PURPOSES, "advertising"):
        for one in asked:
            item = Item(one.collected + off, one.kind, one.plan, one.exclude)
            reason, span, keep_until = judge_standing(standing, purpose, item, run, now)
            verdict = judge_item(record, purpose, item, run, now)
            assert (reason, span.basis, span.quality, span.terms, keep_until) == (
                verdict.reason,
                verdict.basis,
                verdict.quality,
                verdict.terms,
                verdict.keep_until,
            )


@over_histories(history=histories())
def test_the_plans_that_change_something_answer_like_all_of_them(history: History) -> None:
    record = history.record
    changes = plan_changes(record)
    for tick in range(-1, 40):
        known = [plan for recorded, _, plan in changes if recorded <= moment(tick)]
        assert (known[-1] if known else None) == record.plan_at(moment(tick))
    assert all(one[2] != other[2] for one, other in pairwise(changes))


@pytest.mark.parametrize("rule", ["future-data", "future-runs"])
def test_one_span_for_all_between_two_changes(rule: given.Rule) -> None:
    terms = given.terms(withdrawal=rule)
    events = ((shown(terms), "3"), (accepted(terms), "4"), (toggled("off"), "6"), (toggled("off"), "7"))
    record = given_record(terms, *events, (toggled("on"), "8"))
    (one,) = standing_of(record).purposes
    assert one.purpose == TRAINING
    assert one.starts == (at("4"), at("6"), at("8"))
    assert [(span.uncovered, span.basis, span.plan) for span in one.spans] == [
        ("collected-before-grant", None, None),
        (None, 2, "pro"),
        ("collected-while-off", None, None),
        (None, 5, "pro"),
    ]
    ends = [span.ends for span in one.spans]
    assert ends == ([None] * 4 if rule == "future-data" else [None, at("6"), None, None])


def given_record(terms: Terms, *events: given.Given) -> Record:
    return record_of(given.STREAM, given.stream(*events), given.catalogue(terms))


def test_many_decisions_of_one_person_make_no_more_spans_than_twice_as_many() -> None:
    """On and off, two hundred times; what is said of it is still the domain's."""
    events = [
        (toggled("on" if number % 2 else "off"), f"{3 + number // 24} {number % 24:02}:00") for number in range(200)
    ]
    record = given_record(given.SHIPPED, (shown(), "1"), (accepted(), "2"), *events)
    (one,) = standing_of(record).purposes
    assert len(one.spans) <= 202
    consent = consent_of(record, TRAINING)
    for hour in range(0, 24 * 10, 5):
        item = Item(at("2") + timedelta(hours=hour), "chat")
        reason, *_ = judge_standing(standing_of(record), TRAINING, item, at("29"), at("29"))
        assert reason == judge_with(consent, item, at("29"), at("29")).reason
