"""The laws of section 4, over random histories; and the domain code against the brute-force reading of its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, get_args

from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st
from msgspec import structs

from ledger.domain.consent import Record, consent_of, fold, record_of
from ledger.domain.eligibility import Item, Reason, Verdict, judge_item, judge_with
from ledger.domain.entry import Entry
from ledger.domain.events import Accepted, Event, ToggleChanged
from ledger.domain.terms import Catalogue
from ledger.domain.uses import judge_use
from tests.domain import given, reference
from tests.domain.histories import (
    HISTORIES,
    PURPOSES,
    TICKS,
    History,
    Step,
    accept,
    histories,
    items,
    judged_at,
    moment,
    run_starts,
    steps,
)

LONG_AFTER = moment(100)


def over_histories(**arguments: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Try a law on as many histories as this run asks for."""

    def decorate(law: Callable[..., None]) -> Callable[..., None]:
        tried: Callable[..., None] = forall(**arguments)(law)
        return settings(
            max_examples=HISTORIES,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )(tried)

    return decorate


def judged(history: History, purpose: str, item: Item, run: datetime, now: datetime = LONG_AFTER) -> Verdict:
    return judge_item(history.record, purpose, item, run, now)


def fields(verdict: Verdict | reference.Answer) -> tuple[object, ...]:
    return (verdict.reason, verdict.basis, verdict.quality, verdict.terms, verdict.keep_until)


def test_the_histories_reach_every_reason() -> None:
    reached: Counter[str] = Counter()

    @settings(
        max_examples=600,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @forall(history=histories(), asked=items(), run=run_starts(), now=judged_at())
    def count(history: History, asked: list[Item], run: datetime, now: datetime) -> None:
        record = history.record
        for purpose in PURPOSES:
            reached.update({judge_item(record, purpose, item, run, now).reason for item in asked})

    count()
    gate = {"item-unreadable", "item-ambiguous", "changed-during-run"}
    assert reached.keys() == set(get_args(Reason)) - gate
    assert reached["granted"] > 60


@over_histories(history=histories(), asked=items(), run=run_starts(), now=judged_at())
def test_the_domain_says_what_the_words_say(history: History, asked: list[Item], run: datetime, now: datetime) -> None:
    record = history.record
    for purpose in PURPOSES:
        for item in asked:
            verdict = judge_item(record, purpose, item, run, now)
            answer = reference.judge(history.entries, history.by_version, purpose, item, run, now)
            assert fields(verdict) == fields(answer)
            assert verdict.permitted == (answer.reason == "granted")


@over_histories(history=histories(), step=steps(), by_accept=st.booleans(), asked=items(), run=run_starts())
def test_an_off_as_the_newest_entry_turns_no_refusal_into_a_permission(
    history: History, step: Step, by_accept: bool, asked: list[Item], run: datetime
) -> None:
    terms = history.published[step.terms]
    event: Event = given.toggled("off", purpose=step.purpose, cause=step.cause)
    if by_accept and terms.purpose(step.purpose):
        accepted = accept(step, terms)
        event = structs.replace(accepted, toggles=accepted.toggles | {step.purpose: "off"})
    recorded = history.last_recorded + (moment(step.after) - moment(0))
    withdrawn = history.with_newest(event, recorded + (moment(step.skew) - moment(0)), recorded)
    for item in asked:
        before = judged(history, step.purpose, item, run)
        after = judged(withdrawn, step.purpose, item, run)
        assert before.permitted or not after.permitted


@over_histories(
    history=histories(),
    step=steps(),
    place=st.integers(0, 7),
    newest_accept=st.booleans(),
    asked=items(),
    run=run_starts(),
)
def test_a_grant_changes_no_permission_of_items_collected_before_it_starts(
    history: History, step: Step, place: int, newest_accept: bool, asked: list[Item], run: datetime
) -> None:
    # An Accept in the middle gives the toggles after it other terms, so it is added as the newest only; and what
    # an entry says of the plan is no part of the grant, so its items name theirs.
    index = len(history.entries) if newest_accept else min(place, len(history.entries))
    earlier, later = history.entries[:index], history.entries[index:]
    event: Event = given.toggled("on", purpose=step.purpose)
    granted = [step.purpose]
    if newest_accept:
        accepted = accept(step, history.published[step.terms])
        event, granted = accepted, [name for name, to in accepted.toggles.items() if to == "on"]
    if not newest_accept and not any(isinstance(entry.data, Accepted) for entry in earlier):
        return
    recorded = earlier[-1].recorded if earlier else moment(0)
    recorded += moment(step.after) - moment(0)
    if later:
        recorded = min(recorded, later[0].recorded)
    occurred = recorded + (moment(step.skew) - moment(0))
    starts = max(occurred, recorded - reference.FIVE_SECONDS)
    more = history.with_inserted(event, index, occurred, recorded)
    for purpose in granted:
        for item in asked:
            if item.collected >= starts or (item.plan is None and newest_accept):
                continue
            before, after = judged(history, purpose, item, run), judged(more, purpose, item, run)
            assert after.permitted == before.permitted
            if before.permitted:
                assert (after.quality, after.terms, after.keep_until) == (
                    before.quality,
                    before.terms,
                    before.keep_until,
                )


@over_histories(history=histories(), asked=items(), run=run_starts())
def test_what_future_runs_permits_future_data_permits(history: History, asked: list[Item], run: datetime) -> None:
    narrow, wide = history.under("future-runs").record, history.under("future-data").record
    for purpose in PURPOSES:
        for item in asked:
            if judge_item(narrow, purpose, item, run, LONG_AFTER).permitted:
                assert judge_item(wide, purpose, item, run, LONG_AFTER).permitted


@over_histories(history=histories(), asked=items(), run=run_starts())
def test_where_an_operated_off_stands_only_an_operated_on_recorded_and_made_after_it_permits(
    history: History, asked: list[Item], run: datetime
) -> None:
    record = history.record
    for purpose in PURPOSES:
        offs = [entry for entry in history.entries if _sets(entry, purpose, "off")]
        for item in asked:
            verdict = judge_item(record, purpose, item, run, LONG_AFTER)
            standing = [off for off in offs if min(off.occurred, off.recorded) <= item.collected]
            if not verdict.permitted or not standing:
                continue
            assert verdict.basis is not None
            on = history.entries[verdict.basis - 1]
            assert _sets(on, purpose, "on")
            for off in standing:
                assert on.occurred > off.occurred
                assert on.recorded >= off.recorded
                assert on.version > off.version


def _sets(entry: Entry, purpose: str, to: str) -> bool:
    """Whether this entry is an operated decision that sets the purpose so."""
    match entry.data:
        case Accepted(toggles=toggles, touched=touched):
            return purpose in touched and toggles[purpose] == to
        case ToggleChanged(purpose=changed, to=changed_to):
            return changed == purpose and changed_to == to
        case _:
            return False


@over_histories(
    history=histories(),
    place=st.integers(0, 7),
    late=st.integers(0, 6),
    tick=st.sampled_from(TICKS),
    purpose=st.sampled_from(PURPOSES),
    attested=st.booleans(),
    run=run_starts(),
)
def test_no_later_event_changes_the_as_known_verdict_of_a_recorded_use(
    history: History, place: int, late: int, tick: int, purpose: str, attested: bool, run: datetime
) -> None:
    history, use = _with_use(history, place, late, tick, purpose, attested, basis=None if attested else 2)
    started = given.run_started(_text(run))
    catalogue = Catalogue(history.published)
    prefixes = [history.entries[:end] for end in range(use.version, len(history.entries) + 1)]
    verdicts = [judge_use(use, prefix, started, catalogue).known for prefix in prefixes]
    assert verdicts == verdicts[:1] * len(verdicts)


@over_histories(
    history=histories(),
    place=st.integers(0, 7),
    late=st.integers(0, 6),
    tick=st.sampled_from(TICKS),
    purpose=st.sampled_from(PURPOSES),
    attested=st.booleans(),
    basis=st.integers(1, 8),
    run=run_starts(),
    run_recorded=st.sampled_from(TICKS),
)
def test_a_use_of_one_item_gets_the_verdict_of_that_item_whatever_basis_it_names(
    history: History,
    place: int,
    late: int,
    tick: int,
    purpose: str,
    attested: bool,
    basis: int,
    run: datetime,
    run_recorded: int,
) -> None:
    named = None if attested and basis == 8 else basis
    history, use = _with_use(history, place, late, tick, purpose, attested, named)
    started = given.run_started(_text(run), recorded=_text(moment(run_recorded)))
    found = judge_use(use, history.entries, started, Catalogue(history.published))
    began = max(run, moment(run_recorded))
    known = reference.known_before(history.entries, use)
    for verdict, entries in ((found.known, known), (found.hindsight, history.entries)):
        if not entries:
            continue  # a stream with nothing before the use: nobody is unknown who has one
        item = Item(moment(tick), "chat")
        now = max(began, item.collected)
        for _ in range(2):
            answer = reference.judge(entries, history.by_version, purpose, item, run, now, erased_counts_until=began)
            if answer.terms is not None:  # no use tells its items' plans: one that the basis covers is supposed
                item = Item(item.collected, "chat", plan=history.by_version[answer.terms].plans[0])
        assert fields(verdict) == fields(answer)


def _with_use(
    history: History, place: int, late: int, tick: int, purpose: str, attested: bool, basis: int | None
) -> tuple[History, Entry]:
    """The history with a use put in, recorded with the entry before it and reported up to `late` ticks after it was."""
    index = min(place, len(history.entries))
    recorded = history.entries[index - 1].recorded if index else moment(0)
    occurred = recorded - (moment(late) - moment(0))
    event = given.used(_text(moment(tick)), basis=basis, attested=attested, purpose=purpose)
    history = history.with_inserted(event, index, occurred if attested else recorded, recorded)
    return history, history.entries[index]


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@over_histories(history=histories())
def test_folding_on_equals_folding_from_scratch_at_every_version(history: History) -> None:
    catalogue = Catalogue(history.published)
    incremental = Record(stream=given.STREAM, catalogue=catalogue)
    for version, entry in enumerate(history.entries, start=1):
        incremental = fold([entry], incremental)
        scratch = record_of(given.STREAM, history.entries[:version], catalogue)
        assert incremental == scratch
        assert incremental.version == version
        for purpose in PURPOSES:
            assert consent_of(incremental, purpose) == consent_of(scratch, purpose)


@over_histories(history=histories(), asked=items(), run=run_starts(), now=judged_at())
def test_a_batch_is_judged_as_its_items_one_by_one(
    history: History, asked: list[Item], run: datetime, now: datetime
) -> None:
    if not history.entries:
        return
    for purpose in PURPOSES:
        consent = consent_of(history.record, purpose)
        batch = [judge_with(consent, item, run, now) for item in asked]
        assert batch == [judge_item(history.record, purpose, item, run, now) for item in asked]
