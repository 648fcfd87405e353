"""`consent subscribe`, as its users run it: one JSON document a line, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

import pytest

from cli.main import run
from ledger.application import ConsentLedger
from ledger.domain.terms import Toggle
from ledger.errors import Refused
from ledger.projections.telling import to_line
from ledger.settings import Place
from ledger.store.subscriptions import acknowledge
from tests import builders
from tests.cli.conftest import ROOT, SECONDS, RunCli

PATH = ("subscribe", "current-consent")
Line = dict[str, Any]


def lines(done: subprocess.CompletedProcess[str]) -> list[Line]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def following(place: Place, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Queue[str]]]:
    """A follower, and what it says, line by line; an empty one is its end."""
    environment = {**os.environ, "CONSENT_LEDGER": place.url or "", "CONSENT_STATE": str(place.state)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *PATH, "--follow", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: Queue[str] = Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.put(line)
        said.put("")

    reader = threading.Thread(target=read)
    with process:
        reader.start()
        try:
            yield process, said
        finally:
            process.kill()
            reader.join()


def heard(said: Queue[str]) -> Line:
    line: Line = json.loads(said.get(timeout=SECONDS))
    return line


def heard_next(said: Queue[str], kind: str) -> Line:
    """The next line that has this, whatever is told before it: on a machine that is busy also heartbeats."""
    deadline = time.monotonic() + SECONDS
    while kind not in (line := heard(said)):
        assert time.monotonic() < deadline
    return line


def test_a_snapshot_then_nothing_then_changes(ledger: ConsentLedger, run_cli: RunCli) -> None:
    builders.grant(ledger, "ann", "bob")
    token = f"{ledger.identity.id.hex()}:"
    ann, bob = (ledger.subject(name).stream for name in ("ann", "bob"))

    first, *rows, last = lines(run_cli(*PATH, place=ledger.place))
    assert first == {"intent": "snapshot", "token": token + "0"}
    assert [(row["position"], row["row"]["stream"], row["gone"]) for row in rows] == [(3, ann, False), (5, bob, False)]
    assert rows[0]["row"].keys() == {"stream", "purpose", "toggle", "since", "basis", "quality", "terms", "plan"}
    assert last == {"token": token + "5"}

    found = lines(run_cli("--json", *PATH, "--after", last["token"], place=ledger.place))
    assert found == [{"intent": "nothing", "token": token + "5"}, {"token": token + "5"}]

    ledger.record("ann", builders.toggled("off"))
    ledger.erase("bob", "asked for")
    first, *rows, last = lines(run_cli(*PATH, "--after", last["token"], place=ledger.place))
    assert first == {"intent": "changes", "token": token + "5"}
    assert [(row["position"], row["row"]["toggle"], row["gone"]) for row in rows] == [
        (6, "off", False),
        (7, "on", True),
    ]
    assert last == {"token": token + "7"}
    assert lines(run_cli(*PATH, "--after", "5", place=ledger.place)) == [first, *rows, last]


def test_a_follower_hears_of_what_is_appended(ledger: ConsentLedger) -> None:
    builders.grant(ledger, "ann")
    with following(ledger.place) as (process, said):
        assert heard(said)["intent"] == "snapshot"
        assert heard(said)["row"]["toggle"] == "on"
        assert heard(said).keys() == {"token"}
        changes: list[tuple[int, Toggle]] = [(4, "off"), (5, "on")]
        for position, toggle in changes:
            ledger.record("ann", builders.toggled(toggle))
            assert heard_next(said, "row")["row"]["toggle"] == toggle
            assert heard(said) == {"token": f"{ledger.identity.id.hex()}:{position}"}
        process.send_signal(signal.SIGTERM)
        assert said.get(timeout=SECONDS) == ""
        assert process.stderr is not None
        assert (process.wait(), process.stderr.read()) == (0, "")


def test_a_follower_is_told_to_start_over_when_the_tables_were_rebuilt(ledger: ConsentLedger, run_cli: RunCli) -> None:
    builders.grant(ledger, "ann")
    with following(ledger.place, "--after", "1") as (_, said):
        assert heard(said)["intent"] == "changes"
        assert heard(said)["row"]["toggle"] == "on"
        assert heard(said).keys() == {"token"}
        assert run_cli("projections", "rebuild", "current-consent", place=ledger.place).returncode == 0
        ledger.record("ann", builders.toggled("off"))
        told = heard_next(said, "intent")
        assert told == {"intent": "snapshot", "token": f"{ledger.identity.id.hex()}:0"}
        # A heartbeat that was due between the two has it begin with the row as it was rebuilt.
        while (row := heard_next(said, "row"))["position"] < 4:
            assert row["row"]["toggle"] == "on"
        assert (row["position"], row["row"]["toggle"]) == (4, "off")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_follower_that_is_stopped_has_done_its_work(ledger: ConsentLedger, number: int) -> None:
    with following(ledger.place) as (process, said):
        assert heard(said)["intent"] == "snapshot"
        process.send_signal(number)
        process.wait(timeout=SECONDS)
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, "")


def test_a_heartbeat_carries_the_position_when_nothing_changed(
    ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[Line] = []

    def say(line: Line) -> str:
        said.append(line)
        if len(said) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return to_line(line)

    monkeypatch.setattr("cli.subscribe.HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr("ledger.projections.telling.to_line", say)
    monkeypatch.setenv("CONSENT_STATE", str(ledger.place.state))
    assert run(["--ledger", ledger.place.url or "", *PATH, "--follow"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == said
    first, *heartbeats = said
    assert first == {"intent": "snapshot", "token": f"{ledger.identity.id.hex()}:0"}
    assert heartbeats == [{"token": first["token"]}] * 3


@pytest.mark.parametrize(
    ("after", "status", "sentence"),
    [
        ("x", 2, "expected a token like "),
        ("0" * 32 + ":1", 1, "expected a token of this ledger, "),
        ("1", 1, "expected a position that this ledger has reached, found 1, while the log ends at 0;"),
    ],
)
def test_what_is_no_token_of_this_ledger_is_refused(
    ledger: ConsentLedger, run_cli: RunCli, after: str, status: int, sentence: str
) -> None:
    done = run_cli(*PATH, "--after", after, place=ledger.place)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"consent: {sentence}")


def test_an_unknown_projection_is_wrong_usage(run_cli: RunCli) -> None:
    done = run_cli("subscribe", "nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'nope' is not one of" in done.stderr


def test_without_a_ledger_it_says_so_and_exits_3(run_cli: RunCli) -> None:
    done = run_cli(*PATH, env={"CONSENT_LEDGER": "/nonexistent/ledger"})
    assert (done.returncode, done.stdout) == (3, "")


@pytest.mark.parametrize("command", ["subscribe", "projections"])
def test_help_loads_no_database(command: str) -> None:
    code = (
        "import sys; from cli.main import run; run(sys.argv[1:]);"
        "heavy = {'psycopg', 'duckdb', 'eventsourcing', 'rich'};"
        "sys.exit(not heavy.isdisjoint(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, command, "--help"], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0


def test_a_name_goes_on_from_what_was_written_as_it(ledger: ConsentLedger, run_cli: RunCli) -> None:
    builders.grant(ledger, "ann")
    assert lines(run_cli(*PATH, "--as", "search", place=ledger.place))[0]["intent"] == "snapshot"
    ledger.record("ann", builders.toggled("off"))
    first, row, last = lines(run_cli(*PATH, "--as", "search", place=ledger.place))
    assert (first["intent"], row["position"]) == ("changes", 4)
    assert lines(run_cli(*PATH, "--as", "search", place=ledger.place))[0] == {"intent": "nothing", **last}
    # Whoever lost its rows says from where, and the name stands where that ended.
    assert lines(run_cli(*PATH, "--as", "search", "--after", "0", place=ledger.place))[0]["intent"] == "changes"

    other = run_cli("subscribe", "training-uses", "--as", "search", place=ledger.place)
    assert (other.returncode, other.stdout) == (1, "")
    assert "expected a name of training-uses, found search, which follows current-consent;" in other.stderr

    ledger.record("ann", builders.toggled("on"))
    listed = [
        json.loads(line) for line in run_cli("--json", "projections", "list", place=ledger.place).stdout.splitlines()
    ]
    (named,) = [line for line in listed if "subscription" in line]
    assert named | {"seen_at": ""} == {
        "subscription": "search",
        "projection": "current-consent",
        "position": 4,
        "head": 5,
        "lag": 1,
        "seen_at": "",
    }
    assert "search" in run_cli("projections", "list", place=ledger.place).stdout

    assert run_cli("projections", "forget", "search", place=ledger.place).stdout == "search: forgotten\n"
    again = run_cli("projections", "forget", "search", place=ledger.place)
    assert (again.returncode, again.stdout) == (1, "")
    assert "expected the name of a subscription, found search, which is none;" in again.stderr
    assert lines(run_cli(*PATH, "--as", "search", place=ledger.place))[0]["intent"] == "snapshot"


def test_a_name_that_stands_beyond_a_restored_log_is_refused(ledger: ConsentLedger, run_cli: RunCli) -> None:
    with ledger.connection() as connection:
        acknowledge(connection, "search", "current-consent", 7)
    done = run_cli(*PATH, "--as", "search", place=ledger.place)
    assert (done.returncode, done.stdout) == (1, "")
    assert "expected a position that this ledger has reached, found 7, while the log ends at 0;" in done.stderr


def test_names_have_a_bound(ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.store.subscriptions.MOST_SUBSCRIPTIONS", 2)
    with ledger.connection() as connection:
        for name in ("a", "b"):
            acknowledge(connection, name, "current-consent", 0)
        with pytest.raises(Refused, match="expected at most 2 named subscriptions, and 100 that"):
            acknowledge(connection, "c", "current-consent", 0)
        assert acknowledge(connection, "a", "current-consent", 3).position == 3
