"""What others append between the gate's decision and its own append: no item is released without its use."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from ledger.application import ConsentLedger
from ledger.settings import Place
from tests import builders
from tests.domain import given
from tests.gate import people, runs
from tests.gate.people import COLLECTED, GRANTED, PAST, late
from tests.gate.runs import (
    decided,
    filtered,
    finished,
    item,
    jsonl,
    permitted,
    reasons,
    refused,
    use_in,
    uses_of,
)

#: Another process records that dora turned the toggle off on 25 September.
WITHDRAWAL = """
from ledger.application import open_ledger
from ledger.settings import place_of
from tests.domain import given
from tests.gate.people import late

with open_ledger(place_of(None)) as ledger:
    ledger.record("dora", late(given.toggled("off"), given.at("25")))
"""


def test_a_withdrawal_in_between_decides_the_subject_again(
    people_on: ConsentLedger, other: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with decided(people_on, items, out) as gate:
        other.record("bob", late(given.toggled("off"), COLLECTED))
        outcome = finished(gate, out)
    assert outcome.counts.by_reason == {"granted": 4, "changed-during-run": 2}
    assert {row["item"]: row["detail"] for row in refused(out)} == dict.fromkeys(
        ["bob-0", "bob-1"], "no use was recorded"
    )
    bob = people_on.subject("bob").stream
    assert {use.stream for use in uses_of(people_on)} == {row["stream"] for row in permitted(out)}
    assert bob not in {use.stream for use in uses_of(people_on)}
    written = runs.bytes_of(out)
    filtered(people_on, items, out)
    assert runs.bytes_of(out) == written


def test_a_withdrawal_by_another_process_in_between(
    people_on: ConsentLedger, ledger_place: Place, tmp_path: Path
) -> None:
    """The toggle goes off for good, under terms that let no run that starts later use stored data."""
    strict = structs.replace(given.SHIPPED, version="strict", withdrawal="future-runs")
    people_on.publish(strict)
    past: people.Past = [(given.shown(strict), GRANTED), (given.accepted(strict), GRANTED)]
    people.fill(people_on, {"dora": past, "eve": past})
    path = jsonl(tmp_path / "items.jsonl", item("dora", "d"), item("eve", "e"), item("ann", "a"))
    out = tmp_path / "out"
    with decided(people_on, path, out) as gate:
        with runs.start(ledger_place, "-c", WITHDRAWAL) as process:
            assert process.wait() == 0
        finished(gate, out)
    assert reasons(out) == {"d": "changed-during-run", "e": "granted", "a": "granted"}
    assert people_on.subject("dora").stream not in {use.stream for use in uses_of(people_on)}


def test_a_withdrawal_that_changes_no_verdict_leaves_the_use_after_it(
    people_on: ConsentLedger, other: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with decided(people_on, items, out) as gate:
        other.record("bob", builders.toggled("off"))
        finished(gate, out)
    assert set(reasons(out).values()) == {"granted"}
    bob = people_on.subject("bob").stream
    assert {row["use"] for row in permitted(out) if row["stream"] == bob} == {4}
    assert [use.version for use in uses_of(people_on) if use.stream == bob] == [4]


def test_uses_of_another_run_in_between_only_move_the_version(
    people_on: ConsentLedger, other: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with decided(people_on, items, out) as gate:
        filtered(other, items, tmp_path / "r2", run="r2")
        finished(gate, out)
    assert set(reasons(out).values()) == {"granted"}
    assert {(row["use"], row["basis"]) for row in permitted(out)} == {(4, 2)}
    assert {(row["use"], row["basis"]) for row in permitted(tmp_path / "r2")} == {(3, 2)}
    written = runs.bytes_of(out)
    filtered(people_on, items, out)
    assert runs.bytes_of(out) == written


def test_off_and_on_again_in_between_is_used_under_the_new_grant(
    people_on: ConsentLedger, other: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with decided(people_on, items, out) as gate:
        other.record("bob", late(given.toggled("off"), given.at("15")))
        other.record("bob", late(given.toggled("on"), given.at("16")))
        finished(gate, out)
    bob = people_on.subject("bob").stream
    (use,) = [use for use in uses_of(people_on) if use.stream == bob]
    assert (use.version, use_in(use).basis) == (5, 4)
    released = [row for row in permitted(out) if row["stream"] == bob]
    assert {(row["use"], row["basis"], row["quality"]) for row in released} == {(5, 4, "explicit")}
    assert len(released) == 2
    written = runs.bytes_of(out)
    filtered(people_on, items, out)
    assert runs.bytes_of(out) == written


def test_only_what_both_decisions_permit_is_used(
    people_on: ConsentLedger, other: ConsentLedger, tmp_path: Path
) -> None:
    """In between, one item loses its grant and another, refused at the cutoff, would gain one."""
    path = jsonl(
        tmp_path / "items.jsonl",
        item("bob", "before", given.at("9")),
        item("bob", "lost", given.at("15 12:00")),
        item("bob", "kept", given.at("12")),
        item("bob", "late", given.at("20")),
    )
    people_on.record("bob", late(given.toggled("off"), given.at("18")))
    out = tmp_path / "out"
    with decided(people_on, path, out) as gate:
        other.record("bob", late(given.toggled("off"), given.at("18"), given.at("15")))
        other.record("bob", late(given.toggled("on"), given.at("19")))
        finished(gate, out)
    assert reasons(out) == {
        "before": "collected-before-grant",
        "lost": "changed-during-run",
        "kept": "granted",
        "late": "collected-while-off",
    }
    details = {row["item"]: row["detail"] for row in refused(out)}
    assert details["lost"] == "collected-while-off"
    (use,) = uses_of(people_on)
    assert use_in(use).items == {"chat": 1}


def test_somebody_erased_in_between_is_not_used(
    people_on: ConsentLedger, other: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    bob = people_on.subject("bob").stream
    with decided(people_on, items, out) as gate:
        other.erase("bob", "request")
        finished(gate, out)
    assert {name: reason for name, reason in reasons(out).items() if name.startswith("bob")} == {
        "bob-0": "changed-during-run",
        "bob-1": "changed-during-run",
    }
    assert bob not in {use.stream for use in uses_of(people_on)}
    # The link from the name is gone: whoever runs it again is told so.
    filtered(people_on, items, out)
    assert {reason for name, reason in reasons(out).items() if name.startswith("bob")} == {"erased"}


def test_a_change_of_somebody_else_changes_nothing(
    people_on: ConsentLedger, other: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    people.fill(people_on, {"dora": PAST})
    with decided(people_on, items, out) as gate:
        other.record("dora", late(given.toggled("off"), GRANTED))
        finished(gate, out)
    assert set(reasons(out).values()) == {"granted"}
    assert {row["use"] for row in permitted(out)} == {3}


def test_two_of_the_same_run_side_by_side_use_each_subject_once(
    people_on: ConsentLedger, other: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with decided(people_on, items, one) as first, decided(other, items, two) as second:
        first.record()
        second.record()
        second.finish()
        first.finish()
        assert first.write(one).summary == second.write(two).summary
    assert len(uses_of(people_on)) == 3
    assert runs.bytes_of(one) == runs.bytes_of(two)


def test_a_second_one_that_comes_too_late_adds_nothing_to_a_finished_run(
    people_on: ConsentLedger, other: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    """The first finds bob withdrawn; when the second looks, a new On would cover his items again."""
    one, two = tmp_path / "one", tmp_path / "two"
    with decided(people_on, items, one) as first, decided(other, items, two) as second:
        people_on.record("bob", late(given.toggled("off"), given.at("15")))
        finished(first, one)
        people_on.record("bob", late(given.toggled("on"), given.at("16")))
        finished(second, two)
    assert len(uses_of(people_on)) == 2
    assert runs.bytes_of(one) == runs.bytes_of(two)
