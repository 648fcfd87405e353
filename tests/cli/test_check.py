"""`consent check`: one verdict, its exit status, and the entries it rests on."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from typing import Any

import pytest

from ledger.application import ConsentLedger
from ledger.domain.times import add_duration, format_time
from ledger.settings import Place
from tests import builders
from tests.cli.conftest import RunCli
from tests.domain import given
from tests.domain.given import at

TWO = given.terms("two", purposes={"research": ["voice", "chat"], "training": ["chat"]})


def verdict(done: subprocess.CompletedProcess[str], status: int) -> dict[str, Any]:
    assert (done.returncode, done.stderr) == (status, "")
    fields: dict[str, Any] = json.loads(done.stdout)
    assert fields["permitted"] == (status == 0)
    return fields


@pytest.fixture
def past(ledger: ConsentLedger) -> str:
    """Ann: shown on the 3rd, accepted on the 4th, off on the 6th; the stream."""
    ledger.publish(builders.TERMS)
    for request, day in ((builders.shown, "3"), (builders.accepted, "4")):
        ledger.record("ann", request(occurred=at(day), source="old system"))
    ledger.record("ann", builders.toggled("off", occurred=at("6"), source="old system"))
    return ledger.subject("ann").stream or ""


def test_permitted_is_0_refused_is_1_and_the_whole_verdict_is_printed(
    past: str, ledger_place: Place, run_cli: RunCli
) -> None:
    asked = ["--json", "check", "ann", "--collected-at"]
    permitted = verdict(run_cli(*asked, "2025-09-05T10:00:00Z", place=ledger_place), 0)
    assert permitted == {
        "permitted": True,
        "reason": "granted",
        "quality": "default-untouched",
        "basis": 2,
        "terms": given.V1,
        "position": 4,
        "keep_until": format_time(add_duration(at("5"), "P5Y")),
        "detail": None,
    }
    refused = verdict(run_cli(*asked, "2025-09-07T10:00:00Z", place=ledger_place), 1)
    assert (refused["reason"], refused["basis"], refused["position"]) == ("collected-while-off", None, 4)


def test_the_item_and_the_run_are_those_that_are_named(past: str, ledger_place: Place, run_here: RunCli) -> None:
    asked = ["--json", "check", "ann", "--collected-at", "2025-09-05T10:00:00Z"]
    for more, reason in (
        (["--kind", "voice"], "kind-not-covered"),
        (["--plan", "team"], "plan-not-covered"),
        (["--run-started", "2030-09-05T10:00:00.000001Z"], "retention-expired"),
    ):
        assert verdict(run_here(*asked, *more, place=ledger_place), 1)["reason"] == reason
    assert verdict(run_here(*asked, "--run-started", "2030-09-05T10:00:00Z", place=ledger_place), 0)


def test_it_is_judged_at_the_ledger_s_clock(ledger: ConsentLedger, ledger_place: Place, run_here: RunCli) -> None:
    builders.grant(ledger, "ann")
    for ahead, status in ((4, 0), (60, 1)):
        collected = format_time(builders.now_of(ledger, ahead))
        found = verdict(run_here("--json", "check", "ann", "--collected-at", collected, place=ledger_place), status)
        assert found["reason"] == ("granted" if status == 0 else "collected-in-future")


def test_what_was_granted_a_moment_ago_counts(ledger: ConsentLedger, ledger_place: Place, run_here: RunCli) -> None:
    builders.grant(ledger, "ann")
    now = format_time(ledger.record_of(ledger.subject("ann").stream or "").recorded or builders.now_of(ledger))
    assert verdict(run_here("--json", "check", "ann", "--collected-at", now, place=ledger_place), 0)


def test_the_purpose_may_be_left_out_where_there_is_one_and_the_kind_is_its_first(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli
) -> None:
    ledger.publish(TWO)
    ledger.record("ann", builders.shown(TWO))
    ledger.record("ann", builders.accepted(TWO))
    asked = ["--json", "check", "ann", "--collected-at", format_time(builders.now_of(ledger, 1))]
    for more, says in (([], "name one"), (["--purpose", "other"], "found 'other'")):
        done = run_here(*asked, *more, place=ledger_place)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
    assert verdict(run_here(*asked, "--purpose", "research", place=ledger_place), 0)
    # "voice" is what research begins with, and training does not have it.
    ledger.publish(given.terms("three", purposes={"research": ["video"]}))
    assert verdict(run_here(*asked, "--purpose", "research", place=ledger_place), 1)["detail"] == "video"


def test_explain_names_the_entries_it_rests_on(past: str, ledger_place: Place, run_here: RunCli) -> None:
    asked = ["check", "ann", "--explain", "--collected-at", "2025-09-05T10:00:00Z"]
    found = verdict(run_here("--json", *asked, place=ledger_place), 0)["rests_on"]
    assert [(one["position"], one["version"], one["event"]) for one in found] == [
        (2, 1, "terms-shown"),
        (3, 2, "accepted"),
        (4, 3, "toggle-changed"),
    ]
    assert found[2]["what"] == f"{given.TRAINING} set to off on privacy-settings by the person"
    lines = run_here(*asked, place=ledger_place).stdout.splitlines()
    assert lines[0].startswith("permitted: granted, basis version 2 (default-untouched, terms 2025-09-28), keep until")
    assert lines[0].endswith("decided on position 4")
    days = ((1, "terms-shown", 3), (2, "accepted", 4), (3, "toggle-changed", 6))
    assert [line.split(": ")[0] for line in lines[1:]] == [
        f"  position {version + 1}, version {version}, {event}, {format_time(at(str(day)))}, imported from old system"
        for version, event, day in days
    ]


@pytest.mark.parametrize("name", ["nobody", f"id:{'0' * 32}", f"key:{'0' * 64}"])
def test_somebody_unknown_is_refused_and_no_error(past: str, ledger_place: Place, run_here: RunCli, name: str) -> None:
    asked = ["check", name, "--collected-at", "2025-09-05T10:00:00Z", "--explain"]
    found = verdict(run_here("--json", *asked, place=ledger_place), 1)
    assert (found["reason"], found["position"], found["rests_on"]) == ("unknown-subject", 4, [])
    assert run_here(*asked, place=ledger_place).stdout.startswith("refused: unknown-subject, decided on position 4\n")


def test_who_was_erased_is_erased_up_to_then_and_unknown_after_until_they_return(
    past: str, ledger: ConsentLedger, ledger_place: Place, run_here: RunCli
) -> None:
    ledger.erase("ann", "request")
    erased = ledger.entries_of(past)[-1][1].recorded

    def reason(name: str, moment: str) -> str:
        return str(
            verdict(run_here("--json", "check", name, "--collected-at", moment, place=ledger_place), 1)["reason"]
        )

    before, after = format_time(erased), format_time(erased + timedelta(microseconds=1))
    assert reason("ann", "2025-09-05T10:00:00Z") == "erased"
    assert reason("ann", before) == "erased"
    assert reason("ann", after) == "unknown-subject"
    assert reason(f"key:{past}", after) == "erased"
    ledger.record("ann", builders.shown())
    ledger.record("ann", builders.accepted())
    assert reason("ann", before) == "erased"
    assert reason("ann", after) == "collected-before-grant"
    now = format_time(builders.now_of(ledger))
    assert verdict(run_here("--json", "check", "ann", "--collected-at", now, place=ledger_place), 0)
