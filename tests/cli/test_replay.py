"""`consent replay`: history event by event, the whole log, and every use under other rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import canonical
from ledger.domain.events import RunStarted
from ledger.domain.recording import Request
from ledger.domain.times import format_time
from ledger.settings import Place
from ledger.store import recorder
from tests import builders
from tests.cli.conftest import RunCli
from tests.domain import given
from tests.domain.given import EXAMPLES, at

OTHER_RULES = EXAMPLES / "2025-09-28-future-runs.toml"


def lines(run: RunCli, place: Place, *arguments: str | Path) -> list[dict[str, Any]]:
    done = run("--json", "replay", *arguments, place=place)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def past(ledger: ConsentLedger) -> str:
    """Positions 1 terms; 2 to 4 ann: shown on the 3rd, accepted on the 4th, off on the 6th but told on the 8th."""
    ledger.publish(builders.TERMS)
    ledger.record("ann", builders.shown(occurred=at("3"), source="old system"))
    ledger.record("ann", builders.accepted(occurred=at("4"), source="old system"))
    ledger.record("ann", builders.toggled("off", occurred=at("6"), recorded=at("8"), source="old system"))
    return ledger.subject("ann").stream or ""


def start_run(ledger: ConsentLedger, run: str, started: str) -> None:
    moment = format_time(at(started))
    ledger.start_run(run, RunStarted(purpose=given.TRAINING, kind="chat", started_at=moment, cutoff=0, input=[]))


def test_one_history_with_the_state_after_each_event(past: str, ledger_place: Place, run_cli: RunCli) -> None:
    found = lines(run_cli, ledger_place, "ann")
    assert [(one["position"], one["event"], [p["state"] for p in one["purposes"]]) for one in found] == [
        (2, "terms-shown", ["undecided"]),
        (3, "accepted", ["on"]),
        (4, "toggle-changed", ["off"]),
    ]
    assert found[2]["purposes"][0]["since"] == found[2]["occurred_at"] == "2025-09-06T10:00:00.000000Z"
    assert found[2]["data"] == {
        "cause": "person",
        "purpose": given.TRAINING,
        "surface": "privacy-settings",
        "to": "off",
    }
    assert found[2]["what"] == f"{given.TRAINING} set to off on privacy-settings by the person"


def test_for_people_an_event_is_a_line_and_so_is_each_purpose_after_it(
    past: str, ledger_place: Place, run_here: RunCli
) -> None:
    found = run_here("replay", "ann", place=ledger_place).stdout.splitlines()
    assert [line.startswith("    ") for line in found] == [False, True] * 3
    assert found[1] == f"    {given.TRAINING}: no decision"
    assert found[3] == (f"    {given.TRAINING}: on since 2025-09-04T10:00:00.000000Z by version 2, default-untouched")


def test_until_and_position_stop_it(past: str, ledger: ConsentLedger, ledger_place: Place, run_here: RunCli) -> None:
    def positions(*arguments: str) -> list[int]:
        return [one["position"] for one in lines(run_here, ledger_place, *arguments)]

    assert positions("ann", "--until", "2025-09-07T00:00:00Z") == [2, 3]
    assert positions("ann", "--position", "2") == [2]
    assert positions("--position", "3") == [1, 2, 3]
    # The terms were published after the past that was imported since.
    assert positions("--until", "2025-09-07T00:00:00Z") == [2, 3]
    assert positions() == [1, 2, 3, 4]
    for arguments, status in ((["--position", "5"], 2), (["ann", "--position", "5"], 2), (["nobody"], 1)):
        assert run_here("replay", *arguments, place=ledger_place).returncode == status


def test_the_whole_log_is_a_line_an_entry_and_the_entries_themselves(
    past: str, ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PAGE", 2)
    found = lines(run_here, ledger_place)
    assert [one.pop("position") for one in found] == [1, 2, 3, 4]
    assert all(one.pop("what") for one in found)
    stored = {stored for *_, stored in builders.whole_log(ledger_place)}
    assert {canonical(one) for one in found} == stored
    words = run_here("replay", place=ledger_place).stdout.splitlines()
    assert [line.split()[0] for line in words] == ["terms", *[past[:12]] * 3]


def test_other_rules_list_the_uses_whose_verdict_differs(
    past: str, ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PAGE", 2)
    start_run(ledger, "before", "5")
    start_run(ledger, "after", "9")
    ledger.record("bob", builders.shown())
    for run in ("before", "after", "nowhere"):
        # One use under the grant, one of something collected before it, which no rule permits.
        for collected, basis in (("5", 2), ("2", None)):
            used = given.used(collected, basis=basis, attested=True, run=run)
            ledger.record("ann", Request(used))
    found = lines(run_here, ledger_place, "--terms", OTHER_RULES)
    *listed, counts = found
    assert [(one["run"], one["published"], one["terms"]) for one in listed] == [
        ("after", "granted", "withdrawn-before-run"),
        ("nowhere", "run-not-in-the-log", "run-not-in-the-log"),
        ("nowhere", "run-not-in-the-log", "run-not-in-the-log"),
    ]
    assert {one["stream"] for one in listed} == {past}
    assert counts == {
        "uses": 6,
        "differ": 1,
        "not_judged": 2,
        "published": {"collected-before-grant": 2, "granted": 2, "run-not-in-the-log": 2},
        "terms": {
            "collected-before-grant": 2,
            "granted": 1,
            "run-not-in-the-log": 2,
            "withdrawn-before-run": 1,
        },
    }
    assert lines(run_here, ledger_place, "ann", "--terms", OTHER_RULES) == found
    assert lines(run_here, ledger_place, "bob", "--terms", OTHER_RULES)[-1]["uses"] == 0
    # As of a position before the uses, there were none.
    assert lines(run_here, ledger_place, "--position", "7", "--terms", OTHER_RULES)[-1]["uses"] == 0
    words = run_here("replay", "--terms", OTHER_RULES, place=ledger_place).stdout
    assert "granted as published, withdrawn-before-run under the other rules" in words
    assert "cannot be judged, for run nowhere is not in the log" in words
    assert "1 of 6 recorded uses would have got another verdict" in words


def test_a_use_is_judged_as_known_when_it_was_recorded(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli
) -> None:
    """A withdrawal that arrives after the use changes no verdict on it, under no rules."""
    ledger.publish(builders.TERMS)
    ledger.record("ann", builders.shown(occurred=at("3"), source="old system"))
    ledger.record("ann", builders.accepted(occurred=at("4"), source="old system"))
    start_run(ledger, "r1", "9")
    ledger.record("ann", Request(given.used("5", basis=2, attested=True)))
    ledger.record("ann", builders.toggled("off", occurred=at("6")))
    (counts,) = lines(run_here, ledger_place, "--terms", OTHER_RULES)
    assert (counts["differ"], counts["published"], counts["terms"]) == (0, {"granted": 1}, {"granted": 1})


def test_rules_that_are_none(past: str, ledger_place: Place, run_here: RunCli, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("version = 1")
    assert run_here("replay", "--terms", broken, place=ledger_place).returncode == 2
    assert run_here("replay", "--terms", tmp_path / "none", place=ledger_place).returncode == 3
