"""`consent projections`, as its users run it."""

from __future__ import annotations

import json

import pytest

from ledger.application import ConsentLedger
from ledger.projections import PROJECTIONS
from ledger.projections.runner import Runner
from tests import builders
from tests.cli.conftest import RunCli
from tests.projections.population import table_of


@pytest.fixture
def people(ledger: ConsentLedger) -> ConsentLedger:
    """Two people, one of whom turned it off again; the log ends at position 6."""
    builders.grant(ledger, "ann", "bob")
    ledger.record("ann", builders.toggled("off"))
    return ledger


def bring_up_to_date(ledger: ConsentLedger, name: str) -> None:
    with Runner(ledger.url, ledger.place.name) as runner:
        runner.catch_up(PROJECTIONS[name])


def test_list_says_how_far_each_projection_is(people: ConsentLedger, run_cli: RunCli) -> None:
    done = run_cli("--json", "projections", "list", place=people.place)
    assert (done.returncode, done.stderr) == (0, "")
    nothing = {"position": 0, "head": 6, "lag": 6, "rows": 0, "gone": 0}
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"projection": name} | nothing for name in PROJECTIONS
    ]
    bring_up_to_date(people, "current-consent")
    people.erase("ann", "asked for")
    bring_up_to_date(people, "granted-intervals")
    done = run_cli("--json", "projections", "list", place=people.place)
    listed = {one["projection"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert listed["current-consent"] | {"projection": ""} == {
        "projection": "",
        "position": 6,
        "head": 7,
        "lag": 1,
        "rows": 2,
        "gone": 0,
    }
    assert (listed["granted-intervals"]["rows"], listed["granted-intervals"]["gone"]) == (1, 1)
    table = run_cli("projections", "list", place=people.place)
    assert table.returncode == 0
    assert all(name in table.stdout for name in PROJECTIONS)


def test_rebuild_takes_all_projections_or_those_that_are_named(people: ConsentLedger, run_cli: RunCli) -> None:
    done = run_cli("projections", "rebuild", place=people.place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{name}: rebuilt, at position 6" for name in PROJECTIONS]
    done = run_cli("--json", "projections", "rebuild", "training-uses", "training-uses", place=people.place)
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"projection": "training-uses", "position": 6}


def test_verify_brings_up_to_date_and_finds_nothing(people: ConsentLedger, run_cli: RunCli) -> None:
    done = run_cli("projections", "verify", place=people.place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "current-consent: 2 rows at position 6, all as the log says",
        "granted-intervals: 2 rows at position 6, all as the log says",
        "training-uses: 0 rows at position 6, all as the log says",
        "verdict-spans: 2 rows at position 6, all as the log says",
        "retention: 4 rows at position 6, all as the log says",
        "adoption: 2 rows at position 6, all as the log says",
    ]


def test_adoption_adds_up_and_names_nobody(people: ConsentLedger, run_cli: RunCli) -> None:
    done = run_cli("--json", "projections", "adoption", place=people.place)
    assert (done.returncode, done.stderr) == (0, "")
    (day,) = map(json.loads, done.stdout.splitlines())
    assert day | {"day": "", "decide_seconds_median": 0} == {
        "day": "",
        "plan": "pro",
        "surface": "pop-up",
        "shown": 2,
        "accepted": 2,
        "accepted_on": 2,
        "accepted_untouched": 2,
        "turned_off_later": 1,
        "decide_seconds_median": 0,
    }
    until_then = run_cli("--json", "projections", "adoption", "--until", day["day"], place=people.place)
    assert (until_then.returncode, until_then.stdout) == (0, "")
    table = run_cli("projections", "adoption", "--since", day["day"], place=people.place)
    assert table.returncode == 0
    assert day["day"] in table.stdout
    assert run_cli("projections", "adoption", "--since", "today", place=people.place).returncode == 2


def test_verify_says_which_rows_differ_and_exits_1(people: ConsentLedger, run_cli: RunCli) -> None:
    bring_up_to_date(people, "current-consent")
    ann, bob = (people.subject(name).stream for name in ("ann", "bob"))
    table = table_of(PROJECTIONS["current-consent"])
    with builders.admin(people.place) as connection:
        connection.execute(f"UPDATE {table} SET toggle = 'on' WHERE stream = %s", [ann])
        connection.execute(f"DELETE FROM {table} WHERE stream = %s", [bob])

    done = run_cli("projections", "verify", place=people.place)
    assert done.returncode == 1
    assert "current-consent: 2 rows at position 6, 2 differ" in done.stdout
    assert "granted-intervals: 2 rows at position 6, all as the log says" in done.stdout
    assert all(found in done.stdout for found in (str(ann), str(bob), "toggle", "no such row"))
    assert "`consent projections rebuild current-consent`" in done.stderr

    done = run_cli("--json", "projections", "verify", "current-consent", place=people.place)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["position"], found["rows"], found["differing"]) == (6, 2, 2)
    differences = {one["rebuilt"]["stream"]: one for one in found["differences"]}
    assert differences[ann]["live"] == differences[ann]["rebuilt"] | {"toggle": "on"}
    assert differences[bob]["live"] is None


@pytest.mark.parametrize("command", ["rebuild", "verify"])
def test_an_unknown_projection_is_wrong_usage(run_cli: RunCli, command: str) -> None:
    done = run_cli("projections", command, "nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'nope' is not one of 'current-consent', 'granted-intervals', 'training-uses'" in done.stderr


@pytest.mark.parametrize("command", [("list",), ("rebuild",), ("verify",)])
def test_without_a_ledger_it_says_so_and_exits_3(run_cli: RunCli, command: tuple[str, ...]) -> None:
    done = run_cli("projections", *command, env={"CONSENT_LEDGER": "/nonexistent/ledger"})
    assert (done.returncode, done.stdout) == (3, "")
    assert (
        done.stderr == "consent: expected a ledger at /nonexistent/ledger, found none; create it with `consent init`\n"
    )
