"""`consent status`: what is on, since when, by what decision, shown how; now, then, and at a position."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from ledger.application import ConsentLedger
from ledger.domain.times import format_time
from ledger.settings import Place
from tests import builders
from tests.cli.conftest import RunCli
from tests.domain import given
from tests.domain.given import at


def imported(ledger: ConsentLedger, named: str, *events: tuple[Any, str] | tuple[Any, str, str]) -> str:
    """A past that another system took down; the stream."""
    for request, *times in events:
        occurred, recorded = at(times[0]), at(times[-1])
        ledger.record(named, request(occurred=occurred, recorded=recorded, source="old system"))
    return ledger.subject(named).stream or ""


def off(**times: datetime | str) -> Any:
    return builders.toggled("off", **times)


def on(**times: datetime | str) -> Any:
    return builders.toggled("on", **times)


@pytest.fixture
def past(ledger: ConsentLedger) -> str:
    """Terms at position 1; then ann: shown on the 3rd, accepted on the 4th, off on the 6th but told on the 8th."""
    ledger.publish(builders.TERMS)
    return imported(ledger, "ann", (builders.shown, "3"), (builders.accepted, "4"), (off, "6", "8"))


def status(run: RunCli, place: Place, *arguments: str) -> dict[str, Any]:
    done = run("--json", "status", *arguments, place=place)
    assert (done.returncode, done.stderr) == (0, "")
    fields: dict[str, Any] = json.loads(done.stdout)
    return fields


def test_the_whole_answer_now(past: str, ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli) -> None:
    before = builders.now_of(ledger)
    found = status(run_cli, ledger_place, "ann")
    assert format_time(before) <= found.pop("at") <= format_time(builders.now_of(ledger))
    taken_in = ledger.entries_of(past)
    source = [{"at": entry.imported.at, "source": "old system"} for _, entry in taken_in]  # type: ignore[union-attr]
    assert found == {
        "stream": past,
        "position": 4,
        "version": 3,
        "erased": None,
        "plan": "pro",
        "terms": given.V1,
        "purposes": [
            {
                "purpose": given.TRAINING,
                "state": "off",
                "since": "2025-09-06T10:00:00.000000Z",
                "decision": {
                    "position": 4,
                    "version": 3,
                    "event": "toggle-changed",
                    "occurred_at": "2025-09-06T10:00:00.000000Z",
                    "recorded_at": "2025-09-08T10:00:00.000000Z",
                    "imported": source[2],
                    "to": "off",
                    "quality": "explicit",
                    "terms": given.V1,
                    "surface": "privacy-settings",
                    "plan": None,
                    "cause": "person",
                },
                "shown": {
                    "position": 2,
                    "version": 1,
                    "event": "terms-shown",
                    "occurred_at": "2025-09-03T10:00:00.000000Z",
                    "recorded_at": "2025-09-03T10:00:00.000000Z",
                    "imported": source[0],
                    "terms": given.V1,
                    "notice": builders.TERMS.notice_hash(),
                    "toggles": {given.TRAINING: "on"},
                    "plan": "pro",
                    "surface": "pop-up",
                    "locale": "en",
                },
                "not_counting": [],
            }
        ],
    }


def test_as_of_a_time_only_what_was_recorded_by_then_counts(past: str, ledger_place: Place, run_here: RunCli) -> None:
    # On the 7th nobody knew yet that it had been turned off on the 6th.
    found = status(run_here, ledger_place, "ann", "--as-of", "2025-09-07T00:00:00Z")
    (purpose,) = found["purposes"]
    assert (found["at"], found["version"]) == ("2025-09-07T00:00:00.000000Z", 2)
    assert (purpose["state"], purpose["since"]) == ("on", "2025-09-04T10:00:00.000000Z")
    assert (purpose["decision"]["event"], purpose["decision"]["quality"]) == ("accepted", "default-untouched")
    (known,) = status(run_here, ledger_place, "ann", "--as-of", "2025-09-08T10:00:00Z")["purposes"]
    assert known["state"] == "off"


def test_as_of_a_position_it_is_judged_when_that_was_recorded(past: str, ledger_place: Place, run_here: RunCli) -> None:
    found = status(run_here, ledger_place, "ann", "--position", "3")
    assert (found["at"], found["position"], found["purposes"][0]["state"]) == ("2025-09-04T10:00:00.000000Z", 3, "on")
    undecided = status(run_here, ledger_place, "ann", "--position", "2")["purposes"][0]
    assert (undecided["state"], undecided["decision"], undecided["shown"]["version"]) == ("undecided", None, 1)


def test_an_on_barred_by_an_off_stamped_ahead_and_one_that_starts_later(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli
) -> None:
    builders.grant(ledger, "ann")
    hour, day = builders.now_of(ledger, 3_600), builders.now_of(ledger, 86_400)
    ledger.record("ann", builders.toggled("off", occurred=hour))
    ledger.record("ann", builders.toggled("on"))
    ledger.record("ann", builders.toggled("on", occurred=day))
    (purpose,) = status(run_here, ledger_place, "ann")["purposes"]
    assert purpose["state"] == "off"
    assert [(one["version"], one["why"], one["until"]) for one in purpose["not_counting"]] == [
        (4, "barred", format_time(hour)),
        (5, "starts-later", format_time(day)),
    ]
    words = run_here("status", "ann", place=ledger_place).stdout
    assert f"an On made after {format_time(hour)} will count" in words
    assert f"does not count yet: it starts {format_time(day)}" in words


def test_for_people_it_says_by_what_and_shown_how(past: str, ledger_place: Place, run_here: RunCli) -> None:
    lines = run_here("status", "ann", "--position", "3", place=ledger_place).stdout.splitlines()
    assert lines[0] == f"key:{past} at 2025-09-04T10:00:00.000000Z, position 3"
    assert lines[1] == f"{given.TRAINING}: on since 2025-09-04T10:00:00.000000Z by version 2, default-untouched"
    assert lines[2].startswith("  by position 3, version 2, accepted, 2025-09-04T10:00:00.000000Z, imported from old")
    assert lines[3].startswith("  shown position 2, version 1, terms-shown, 2025-09-03T10:00:00.000000Z, imported")
    assert builders.TERMS.notice_hash()[:12] in lines[3]


def test_who_was_erased_is_said_to_be(past: str, ledger: ConsentLedger, ledger_place: Place, run_here: RunCli) -> None:
    ledger.erase("ann", "request")
    erased = ledger.entries_of(past)[-1][1].recorded_at
    by_name = run_here("status", "ann", place=ledger_place)
    assert (by_name.returncode, by_name.stdout) == (1, "")
    assert f"found one erased {erased}" in by_name.stderr
    by_key = status(run_here, ledger_place, f"key:{past}")
    assert (by_key["erased"], by_key["purposes"]) == (erased, [])
    assert f"erased {erased}" in run_here("status", f"key:{past}", place=ledger_place).stdout
    # Before, they were not.
    assert status(run_here, ledger_place, f"key:{past}", "--position", "3")["purposes"][0]["state"] == "on"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nobody"], 1, "found nobody of that name"),
        ([f"id:{'0' * 32}"], 1, "found nothing recorded about them"),
        (["ann", "--as-of", "2025-09-03T09:59:59Z"], 1, "found their first entry recorded 2025-09-03T10"),
        (["ann", "--position", "5"], 2, "which ends at 4, found 5"),
        (["ann", "--position", "0"], 2, "--position"),
        (["ann", "--position", "1", "--as-of", "2025-09-03T09:59:59Z"], 2, "found both"),
        (["ann", "--as-of", "yesterday"], 2, "an offset"),
    ],
)
def test_what_it_cannot_answer(
    past: str, ledger_place: Place, run_here: RunCli, arguments: list[str], code: int, says: str
) -> None:
    done = run_here("status", *arguments, place=ledger_place)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
