"""The conformance table, and that it holds every case of the design's list."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from ledger.domain.consent import record_of
from ledger.domain.eligibility import Item, Reason, Verdict, judge_item
from ledger.domain.entry import Entry
from ledger.domain.events import Event
from ledger.domain.terms import Catalogue, Terms
from ledger.domain.times import parse_given_time
from ledger.domain.uses import judge_use
from tests.domain import given, reference

CASES = [
    "grant then item then run",
    "item before the first grant",
    "item at the very instant of the grant",
    "On-Off-On with the item in each of the three spans, the run in the last",
    "run started before the withdrawal, use after",
    "run started after the withdrawal, item before",
    "shown and not decided before and after the deadline",
    "deadline moved by an amendment",
    "Accept untouched, under both settings of `untouched_default`, alone and followed by an operated On, and by an Off",
    "Accept with Off",
    "Accept before the terms' effective date (starts at once)",
    "Accept without a notice, with another version's",
    "plan outside the terms at collection, plan changed before and after",
    "kind outside the purpose",
    "new terms, broader and accepted later (older items of the new kind), stricter and accepted later, "
    "accepted with Off",
    "Off and On at the same instant on two devices",
    "an On made offline before a known Off, arriving after it; the same, then an untouched Accept",
    "an Off made offline, arriving late, before and after another device's On",
    "two Offs, the earlier arriving last",
    "an Off from a slow clock",
    "a backdated grant, a future-dated one",
    "the same toggle twice",
    "Off twice",
    "an On and an Off by an administrator and by a migration",
    "settings Off before any Accept, then an untouched Accept",
    "an untouched Accept of new terms after an explicit Off",
    "a use recorded late",
    "a use whose run started after the withdrawal",
    "a withdrawal made before and arriving after the use was recorded",
    "excluded item",
    "retention passed with the toggle On, and Off",
    "subject erased before, and after",
    "two purposes that differ",
    "unknown subject",
    "a run that continues after a withdrawal, with old and with newly collected items",
    # Beyond the design's list.
    "reasons that no case above reaches",
]
RULES: tuple[given.Rule, ...] = ("future-data", "future-runs")

TABLE: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("conformance.toml").read_text())["case"]


@dataclass(frozen=True)
class Question:
    """One row of the table under one rule."""

    case: dict[str, Any]
    asked: dict[str, Any]
    rule: given.Rule

    @property
    def expected(self) -> Any:
        return self.asked["both"] if "both" in self.asked else self.asked[self.rule]

    @property
    def published(self) -> list[Terms]:
        listed = self.case.get("terms", [{"version": given.V1}])
        return [given.terms(**settings, withdrawal=self.rule) for settings in listed]

    @property
    def stream(self) -> list[Entry]:
        terms = {one.version: one for one in self.published}
        return [
            given.entry(
                _event(row, terms), version, _time(row["occurred"]), _time(row.get("recorded", row["occurred"]))
            )
            for version, row in enumerate(self.case["events"], start=1)
        ]

    def __str__(self) -> str:
        return f"{self.case['title']} | {self.case['about']} | {self.asked['why']} | {self.rule}"


def _time(text: str) -> datetime:
    return parse_given_time(text)


def _event(row: dict[str, Any], published: dict[str, Terms]) -> Event:
    terms = published[row.get("terms", given.V1)]
    plan = row.get("plan")
    match row["event"]:
        case "terms-shown":
            return given.shown(terms, plan=plan or "pro")
        case "accepted":
            return given.accepted(terms, touched=row.get("touched", ()), plan=plan or "pro", toggles=row.get("toggles"))
        case "toggle-changed":
            return given.toggled(
                row["to"],
                purpose=row.get("purpose", given.TRAINING),
                cause=row.get("cause", "person"),
                plan=plan,
            )
        case "data-used-for-training":
            return given.used(
                row["collected"],
                basis=row.get("basis"),
                attested=row.get("attested", False),
                kind=row.get("kind", "chat"),
                run=row["run"],
            )
        case _:
            assert row["event"] == "subject-erased"
            return given.ERASED


ITEMS = [Question(case, asked, rule) for case in TABLE for asked in case["judge"] if "item" in asked for rule in RULES]
USES = [Question(case, asked, rule) for case in TABLE for asked in case["judge"] if "use" in asked for rule in RULES]


def _matches(expected: str, found: Verdict | reference.Answer) -> bool:
    """Whether a verdict is what the table's notation says: `reason[, basis N, quality][, keep until TIME]`."""
    reason, *more = expected.split(", ")
    keep = [part for part in more if part.startswith("keep until ")]
    basis = [part for part in more if part not in keep]
    found_basis = [] if found.basis is None else [f"basis {found.basis}", str(found.quality)]
    if keep and found.keep_until != _time(keep[0].removeprefix("keep until ")):
        return False
    return found.reason == reason and found_basis == basis


def _asked(question: Question) -> tuple[str, Item, datetime, datetime]:
    asked = question.asked
    row = {"kind": "chat"} | asked["item"]
    item = Item(_time(row["collected"]), row["kind"], row.get("plan"), row.get("exclude"))
    return asked.get("purpose", given.TRAINING), item, _time(asked["run"]), _time(asked.get("judged", asked["run"]))


@pytest.mark.parametrize("question", ITEMS, ids=str)
def test_an_item_gets_the_verdict_of_the_table(question: Question) -> None:
    catalogue = Catalogue(question.published)
    record = record_of(given.STREAM, question.stream, catalogue) if question.stream else None
    verdict = judge_item(record, *_asked(question))
    assert _matches(question.expected, verdict), f"expected {question.expected}, found {verdict}"
    assert verdict.permitted == question.expected.startswith("granted")
    assert question.asked.get("detail", "") in (verdict.detail or "")


@pytest.mark.parametrize("question", ITEMS, ids=str)
def test_the_reference_reads_the_words_as_the_table_does(question: Question) -> None:
    published = {terms.version: terms for terms in question.published}
    answer = reference.judge(question.stream, published, *_asked(question))
    assert _matches(question.expected, answer), f"expected {question.expected}, found {answer}"


@pytest.mark.parametrize("question", USES, ids=str)
def test_a_use_gets_both_verdicts_of_the_table(question: Question) -> None:
    stream = question.stream
    row = question.case["events"][question.asked["use"] - 1]
    run = given.run_started(row["run-started"], recorded=row.get("run-recorded"), run=row["run"])
    judged = judge_use(stream[question.asked["use"] - 1], stream, run, Catalogue(question.published))
    for when, verdict in (("as-known", judged.known), ("in-hindsight", judged.hindsight)):
        expected = question.expected[when]
        assert _matches(expected, verdict), f"{when}: expected {expected}, found {verdict}"


def test_the_table_holds_every_case_of_the_design_and_no_other() -> None:
    titles = list(dict.fromkeys(case["title"] for case in TABLE))
    assert titles == CASES


def test_every_question_is_asked_under_both_rules() -> None:
    for question in [*ITEMS, *USES]:
        keys = question.asked.keys() & {"both", *RULES}
        assert keys in ({"both"}, set(RULES)), str(question)


def test_every_reason_of_the_domain_stands_somewhere_in_the_table() -> None:
    expected = {question.expected.split(", ")[0] for question in ITEMS}
    # These three are given by the gate, over rows of a file and over time.
    gate = {"item-unreadable", "item-ambiguous", "changed-during-run"}
    assert expected == set(get_args(Reason)) - gate
