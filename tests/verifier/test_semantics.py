"""The page's rules are the domain's: the same conformance table, and the same answers on random histories."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import given as forall
from hypothesis import strategies as st
from msgspec import structs

from ledger.domain.as_of import PurposeState, states_of
from ledger.domain.consent import Record, record_of
from ledger.domain.eligibility import Item, Verdict, judge_item
from ledger.domain.entry import Entry
from ledger.domain.terms import Catalogue, Terms
from ledger.domain.times import add_duration, format_time, parse_time
from ledger.domain.uses import judge_use
from tests.domain import given
from tests.domain.histories import (
    PURPOSES,
    TICKS,
    TOGGLES,
    History,
    histories,
    items,
    judged_at,
    long_histories,
    moment,
    run_starts,
    toggled_all_day,
)
from tests.domain.test_conformance import ITEMS, USES, _asked, _matches
from tests.verifier.page import Verifier

#: Enough that every reason comes up many times, and few enough for a second.
HISTORIES = 300
LONG_HISTORIES = 100

#: One question is a history with items, or with uses, or both; every answer has its moments as entries write them.
_JUDGE = """(questions) => {
  const inText = (verdict) => ({...verdict, keepUntil: verdict.keepUntil && formatTime(verdict.keepUntil)});
  return questions.map(({published, entries, items, uses, moment}) => {
    const catalogue = catalogueOf(published);
    const stream = entries.map(withTimes);
    const record = entries.length > 0 ? recordOf(stream, catalogue) : null;
    const decided = new Set(record?.decisions.map((one) => one.purpose));
    const consents = [...decided].map((name) => consentOf(record, name));
    const consented = consentsOf(stream, catalogue);
    return {
      items: items.map(({purpose, item, run, judged}) => inText(judgeItem(
        record, purpose, {...item, collected: parseTime(item.collected)}, parseTime(run), parseTime(judged)))),
      uses: uses.map(({version, run}) => {
        const {known, hindsight} = judgeUse(stream[version - 1], consented, withTimes(run));
        return [inText(known), inText(hindsight)];
      }),
      states: consents.map((consent) => {
        const {state, since} = stateOf({consent, spans: spansOf(consent), moment: parseTime(moment)});
        return [consent.purpose, state, since && formatTime(since)];
      }),
    };
  });
}"""


@dataclass(frozen=True)
class AskedItem:
    purpose: str
    item: Item
    run: datetime
    judged: datetime

    def document(self) -> dict[str, Any]:
        item = asdict(self.item) | {"collected": format_time(self.item.collected)}
        return {
            "purpose": self.purpose,
            "item": item,
            "run": format_time(self.run),
            "judged": format_time(self.judged),
        }


@dataclass(frozen=True)
class AskedUse:
    version: int
    run: Entry


@dataclass(frozen=True)
class Asked:
    """A history, and what the page is asked about it."""

    published: list[Terms]
    entries: list[Entry]
    items: list[AskedItem]
    uses: list[AskedUse]
    moment: datetime

    def document(self) -> dict[str, Any]:
        return {
            "published": msgspec.to_builtins(self.published),
            "entries": msgspec.to_builtins(self.entries),
            "items": [item.document() for item in self.items],
            "uses": [{"version": use.version, "run": msgspec.to_builtins(use.run)} for use in self.uses],
            "moment": format_time(self.moment),
        }


def _verdict(found: dict[str, Any]) -> Verdict:
    return Verdict(
        reason=found["reason"],
        basis=found["basis"],
        quality=found["quality"],
        terms=found["terms"],
        keep_until=parse_time(found["keepUntil"]) if found["keepUntil"] else None,
        detail=found["detail"],
        rests_on=tuple(found["restsOn"]),
    )


def _judge(verifier: Verifier, asked: list[Asked]) -> list[dict[str, Any]]:
    """The page's answers to everything, in one call."""
    found: list[dict[str, Any]] = verifier.ask(_JUDGE, [one.document() for one in asked])
    return found


def test_the_page_gives_the_verdicts_of_the_conformance_table(verifier: Verifier) -> None:
    item_questions = [
        Asked(question.published, question.stream, [AskedItem(*_asked(question))], [], given.NEVER)
        for question in ITEMS
    ]
    use_questions = []
    for question in USES:
        row = question.case["events"][question.asked["use"] - 1]
        run = given.run_started(row["run-started"], recorded=row.get("run-recorded"), run=row["run"])
        use = AskedUse(question.asked["use"], run)
        use_questions.append(Asked(question.published, question.stream, [], [use], given.NEVER))
    answers = _judge(verifier, item_questions + use_questions)

    wrong = []
    for question, answer in zip(ITEMS, answers[: len(ITEMS)], strict=True):
        verdict = _verdict(answer["items"][0])
        if not _matches(question.expected, verdict) or question.asked.get("detail", "") not in (verdict.detail or ""):
            wrong.append(f"{question}: expected {question.expected}, found {verdict}")
        assert answer["items"][0]["permitted"] == question.expected.startswith("granted")
    for question, answer in zip(USES, answers[len(ITEMS) :], strict=True):
        for when, found in zip(("as-known", "in-hindsight"), answer["uses"][0], strict=True):
            if not _matches(question.expected[when], _verdict(found)):
                wrong.append(f"{question}, {when}: expected {question.expected[when]}, found {_verdict(found)}")
    assert not wrong, "\n".join(wrong)
    assert len(ITEMS) > 100
    assert len(USES) > 10


def test_the_page_and_the_domain_judge_random_histories_alike(verifier: Verifier) -> None:
    met = _demand_alike(verifier, _draw(HISTORIES, histories()))
    assert len(met) > 20, met


def test_the_page_and_the_domain_judge_long_histories_alike_also_with_times_in_any_order(verifier: Verifier) -> None:
    met = _demand_alike(verifier, _draw(LONG_HISTORIES, long_histories()))
    assert len(met) > 10, met


def test_the_page_reads_twenty_thousand_toggles_and_a_use_of_what_each_on_allowed(verifier: Verifier) -> None:
    """Nothing is timed, but what goes through all pairs of them takes minutes."""
    entries = toggled_all_day()
    run = given.run_started("29")
    grants = entries[3 : TOGGLES + 2 : 2]
    uses = [
        given.entry(given.used(grant.recorded_at, basis=grant.version), number, run.recorded, run.recorded)
        for number, grant in enumerate(grants, len(entries) + 1)
    ]
    asked = msgspec.to_builtins([[given.SHIPPED], [*entries, *uses], run])
    assert verifier.ask(_READ, asked) == {
        "violations": 0,
        "uses": len(uses),
        "remarks": TOGGLES + 1,
        "state": "on",
        "spans": len(grants) + 1,
    }


#: What the page does with all entries of a bundle once it has proven them, but for drawing.
_READ = """([published, entries, run]) => {
  const catalogue = catalogueOf(published);
  const subject = entries.map((entry) => ({...withTimes(entry), position: 1}));
  const runs = new Map([['r1', [{...withTimes(run), position: 0}]]]);
  const {value: uses} = checkUses(subject, runs, catalogue);
  const map = {occurred: subject.at(-1).recorded};
  const [purpose] = purposesOf({subject, catalogue, uses, map});
  return {
    violations: uses.flatMap((judged) => judged.violations).length,
    uses: uses.length,
    remarks: remarksByVersion([purpose.consent]).size,
    state: stateOf(purpose).state,
    spans: purpose.spans.length,
  };
}"""


def test_a_deadline_has_passed_at_its_very_instant(verifier: Verifier) -> None:
    deadline = given.SHIPPED.deadline
    moments = [deadline - timedelta(microseconds=1), deadline, deadline + timedelta(microseconds=1)]
    items = [AskedItem(given.TRAINING, Item(given.at("3"), "chat"), one, one) for one in moments]
    met = _demand_alike(verifier, [Asked([given.SHIPPED], given.stream((given.shown(), "2")), items, [], deadline)])
    assert met == {"no-decision": 3}


def _demand_alike(verifier: Verifier, asked: list[Asked]) -> Counter[str]:
    """That the domain gives the page's answers; how often each reason came up."""
    met: Counter[str] = Counter()
    for one, answer in zip(asked, _judge(verifier, asked), strict=True):
        catalogue = Catalogue(one.published)
        record = record_of(given.STREAM, one.entries, catalogue) if one.entries else None
        for item, found in zip(one.items, answer["items"], strict=True):
            verdict = judge_item(record, item.purpose, item.item, item.run, item.judged)
            assert _verdict(found) == verdict, one
            met[verdict.reason] += 1
        for use, pair in zip(one.uses, answer["uses"], strict=True):
            judged = judge_use(one.entries[use.version - 1], one.entries, use.run, catalogue)
            assert [_verdict(found) for found in pair] == [judged.known, judged.hindsight], one
            met[f"use {judged.hindsight.reason}"] += 1
        assert answer["states"] == _states(record, one.moment), one
    return met


def _states(record: Record | None, moment: datetime) -> list[list[str | None]]:
    if record is None:
        return []
    decided = list(dict.fromkeys(decision.purpose for decision in record.decisions))
    if record.erased is not None:
        return [[purpose, "off", format_time(record.erased)] for purpose in decided]
    states: dict[str, PurposeState] = {state.purpose: state for state in states_of(record, moment)}
    since = {purpose: states[purpose].since for purpose in decided}
    return [
        [purpose, states[purpose].state, None if (at := since[purpose]) is None else format_time(at)]
        for purpose in decided
    ]


def _draw(count: int, some: st.SearchStrategy[History]) -> list[Asked]:
    """Such histories with the uses that they have, and some more that may name anything."""
    asked: list[Asked] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @forall(
        some, items(), run_starts(), judged_at(), _late(), st.lists(st.tuples(_uses(), st.integers(0, 999)), max_size=6)
    )
    def collect(
        history: History,
        drawn: list[Item],
        run: datetime,
        judged: datetime,
        recorded_late: timedelta,
        used: list[tuple[dict[str, Any], int]],
    ) -> None:
        started = given.run_started("3")
        started = structs.replace(
            started,
            data=structs.replace(started.data, started_at=format_time(run)),
            recorded_at=format_time(run + recorded_late),
        )
        for fields, place in used if history.entries else []:
            index = place % (len(history.entries) + 1)
            at = history.entries[max(index - 1, 0)].recorded
            history = history.with_inserted(structs.replace(given.used("3", basis=1), **fields), index, at, at)
        uses = [AskedUse(one.version, started) for one in history.entries if one.event == "data-used-for-training"]
        questions = [AskedItem(purpose, item, run, judged) for purpose in PURPOSES for item in drawn]
        asked.append(Asked(list(history.published), list(history.entries), questions, uses, judged))

    collect()
    return asked


@st.composite
def _uses(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of a use."""
    first = draw(st.sampled_from(TICKS))
    last = draw(st.sampled_from([first, first, *[tick for tick in TICKS if tick >= first]]))
    attested = draw(st.booleans())
    basis = draw(st.integers(1, 8)) if not attested or draw(st.booleans()) else msgspec.UNSET
    return {
        "purpose": draw(st.sampled_from(PURPOSES)),
        "items": draw(st.sampled_from([{"chat": 1}, {"chat": 1}, {"voice": 2}, {"voice": 1, "chat": 3}])),
        "collected_from": format_time(moment(first)),
        "collected_until": format_time(moment(last)),
        "attested": attested,
        "basis": basis,
    }


def _late() -> st.SearchStrategy[timedelta]:
    """How long after its start a run was recorded."""
    return st.sampled_from([timedelta(0), timedelta(seconds=20), timedelta(days=1)])


_MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)).map(  # noqa: DTZ001 - UTC
    lambda naive: naive.isoformat(timespec="microseconds") + "Z"
)
_DURATIONS = st.builds(
    "P{}{}".format, st.integers(0, 130) | st.integers(0, 99999), st.sampled_from(["Y", "M", "W", "D"])
)
_EDGES = [
    ("2024-02-29T23:59:59.999999Z", "P1Y"),
    ("2024-02-29T00:00:00.000000Z", "P4Y"),
    ("2023-01-31T12:00:00.000001Z", "P1M"),
    ("2100-01-31T00:00:00.000000Z", "P1M"),
    ("1970-01-01T00:00:00.000000Z", "P0D"),
    ("9999-12-31T23:59:59.999999Z", "P0M"),
    ("9999-12-31T00:00:00.000000Z", "P1D"),
    ("9999-11-30T00:00:00.000000Z", "P1M"),
    ("9998-12-31T00:00:00.000000Z", "P1Y"),
    ("2025-12-31T00:00:00.000000Z", "P14M"),
]


def test_durations_are_added_to_the_microsecond_as_the_domain_adds_them(verifier: Verifier) -> None:
    pairs = list(_EDGES)

    @settings(max_examples=500, phases=[Phase.generate], database=None, deadline=None)
    @forall(_MOMENTS, _DURATIONS)
    def collect(moment: str, duration: str) -> None:
        pairs.append((moment, duration))

    collect()
    found = verifier.ask("(pairs) => pairs.map(([m, d]) => formatTime(addDuration(parseTime(m), d)))", pairs)
    for (text, duration), added in zip(pairs, found, strict=True):
        assert added == format_time(add_duration(parse_time(text), duration)), (text, duration)


def test_the_page_reads_the_times_that_the_domain_reads(verifier: Verifier) -> None:
    texts = [
        "2025-09-28T00:00:00.000000Z",
        "2024-02-29T00:00:00.000000Z",
        "2025-02-29T00:00:00.000000Z",
        "2100-02-29T00:00:00.000000Z",
        "2000-02-29T00:00:00.000000Z",
        "2025-04-31T00:00:00.000000Z",
        "2025-00-01T00:00:00.000000Z",
        "2025-01-00T00:00:00.000000Z",
        "2025-13-01T00:00:00.000000Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59.999999Z",
        "2025-09-28T24:00:00.000000Z",
        "2025-09-28T23:59:60.000000Z",
        "2025-09-28T00:00:00.000000z",
        "2025-09-28T00:00:00.00000Z",
        "2025-09-28T00:00:00.000000Z\n",
        "2025-09-28 00:00:00.000000Z",
        "\u0662025-09-28T00:00:00.000000Z",
    ]
    assert verifier.ask("(texts) => texts.map(isTime)", texts) == [_is_time(text) for text in texts]


def _is_time(text: str) -> bool:
    from ledger.errors import InvalidInput

    try:
        parse_time(text)
    except InvalidInput:
        return False
    return True
