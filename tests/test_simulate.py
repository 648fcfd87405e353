"""The synthetic population: repeatable, labelled, importable, and as mixed as it says."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import simulate as module
from ledger.application import ConsentLedger
from ledger.domain.eligibility import Item, judge_item
from ledger.domain.terms import Terms
from ledger.domain.times import parse_time, start_of_day
from ledger.simulate import BEHAVIOURS, HORIZON, simulate, subjects
from tests.domain.given import SHIPPED, at, terms
from tests.importing.events import PURPOSE, take

LATE = terms("late", announced="2025-01-01", decide_by="2027-01-01", effective="2027-01-01")
TWO = terms("two", purposes={"a": ["chat"], "b": ["chat"]}, untouched_default="refused")


def population(of: Terms, count: int, seed: int = 1) -> tuple[list[dict[str, Any]], Counter[str]]:
    counts: Counter[str] = Counter()
    return [json.loads(line) for line in simulate(of, subjects(count), seed, counts)], counts


def test_the_same_seed_and_terms_are_the_same_bytes_on_every_machine() -> None:
    lines = b"\n".join(simulate(SHIPPED, subjects(200), 1, Counter()))
    assert hashlib.sha256(lines).hexdigest() == "3989ff0fb48b1578fb256d1ddf5163248ed66323a1c76c35d947401ee1db2489"
    assert lines != b"\n".join(simulate(SHIPPED, subjects(200), 2, Counter()))


def test_what_one_person_does_depends_on_nobody_else() -> None:
    alone = list(simulate(SHIPPED, ["ann"], 3, Counter()))
    among = list(simulate(SHIPPED, ["bob", "ann", "cem"], 3, Counter()))
    assert [line for line in among if b'"subject":"ann"' in line] == alone


def test_people_behave_in_the_stated_proportions() -> None:
    _, counts = population(SHIPPED, 5_000)
    assert sum(BEHAVIOURS.values()) == 100
    assert counts.total() == 5_000
    for behaviour, percent in BEHAVIOURS.items():
        assert abs(counts[behaviour] / 50 - percent) < 2.5, behaviour
    assert max(counts, key=counts.__getitem__) == "accepted-untouched"


@pytest.mark.parametrize("of", [SHIPPED, LATE, TWO], ids=lambda of: of.version)
def test_everything_is_labelled_and_lies_between_the_announcement_and_the_horizon(of: Terms) -> None:
    lines, _ = population(of, 2_000)
    announced = start_of_day(of.announced)
    for line in lines:
        assert line["data"]["surface"].startswith("simulated-")
        occurred, recorded = line["occurred_at"], line.get("recorded_at", line["occurred_at"])
        assert announced <= parse_time(occurred) <= parse_time(recorded) <= announced + HORIZON
    longest = module.SHOWN_WITHIN + timedelta(days=3) + module.OFF_AFTER[1] + module.ON_AGAIN_AFTER[1]
    assert longest < HORIZON


def test_every_kind_of_life_is_there() -> None:
    lines, _ = population(SHIPPED, 3_000)
    accepts = [line["data"] for line in lines if line["event"] == "accepted"]
    changes = [line["data"] for line in lines if line["event"] == "toggle-changed"]
    assert {(data["toggles"][PURPOSE], bool(data["touched"])) for data in accepts} == {
        ("on", False),
        ("on", True),
        ("off", True),
    }
    assert {(data["to"], data["cause"]) for data in changes} == {
        ("off", "person"),
        ("on", "person"),
        ("off", "administrator"),
    }
    assert any("recorded_at" in line for line in lines)
    plans = {line["data"]["plan"] for line in lines}
    assert plans == {*SHIPPED.plans, module.OUTSIDE_PLAN}
    shown = Counter(line["subject"] for line in lines if line["event"] == "terms-shown")
    assert set(shown.values()) == {1, 2, 3}


@pytest.mark.parametrize("of", [SHIPPED, TWO, LATE], ids=lambda of: of.version)
def test_a_ledger_takes_all_of_it_in(ledger: ConsentLedger, tmp_path: Path, of: Terms) -> None:
    ledger.publish(of)
    file = tmp_path / "decisions.jsonl"
    lines = list(simulate(of, subjects(400), 5, Counter()))
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    done = take(ledger, file)
    assert (done.stored, done.repeated, done.rejected) == (len(lines), 0, 0)


def test_its_people_get_verdicts_of_many_reasons(ledger: ConsentLedger, tmp_path: Path) -> None:
    ledger.publish(SHIPPED)
    file = tmp_path / "decisions.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in simulate(SHIPPED, subjects(300), 5, Counter())))
    take(ledger, file)
    found = ledger.identities.find(list(subjects(300)))
    reasons = Counter(
        judge_item(
            ledger.record_of(person.stream) if person.stream else None,
            PURPOSE,
            Item(at(day), "chat"),
            at("2026-07-01T00:00:00Z"),
            at("2026-07-01T00:00:00Z"),
        ).reason
        for person in found.values()
        for day in ("2025-08-01T00:00:00Z", "2025-10-10T00:00:00Z", "2026-06-25T00:00:00Z")
    )
    assert reasons.keys() >= {
        "granted",
        "collected-before-grant",
        "collected-while-off",
        "no-decision",
        "refused-at-accept",
        "unknown-subject",
        "plan-not-covered",
    }
