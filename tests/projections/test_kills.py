"""Every projection, killed: a real process, a real SIGKILL, and nothing applied twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.projections.projection import Projection
from ledger.projections.rebuild import rebuild
from ledger.projections.runner import Runner
from ledger.settings import Place
from tests.projections.population import (
    Population,
    assert_as_the_log_says,
    schemas,
)

ROOT = Path(__file__).parents[2]

HANGING = textwrap.dedent(
    """
    import sys, time
    from importlib import import_module
    from ledger.projections import PROJECTIONS
    from ledger.projections.rebuild import rebuild
    from ledger.projections.runner import Runner

    work, url, name, where, what, when, calls = sys.argv[1:]
    module, _, within = where.partition(":")
    place = getattr(import_module(module), within) if within else import_module(module)
    original, left = getattr(place, what), [int(calls)]

    def hang(*arguments, **named):
        left[0] -= 1
        if when == "before" and left[0] == 0:
            wait_for_the_kill()
        answer = original(*arguments, **named)
        if when == "after" and left[0] == 0:
            wait_for_the_kill()
        return answer

    def wait_for_the_kill():
        print("here", flush=True)
        time.sleep(600)

    setattr(place, what, hang)
    with Runner(url, "the test's", batch=20) as runner:
        (runner.catch_up if work == "catch_up" else lambda one: rebuild(runner, one))(PROJECTIONS[name])
    print("done", flush=True)
    """
)


TABLES = "ledger.projections.tables:Tables"


def kill_at(place: Place, work: str, projection: Projection, *where: str) -> None:
    """Has a process work until before or after it has called a function so many times, and kills it right there."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, work, place.url or "", projection.name, *where],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("what", ["write", "move"])
def test_killed_in_the_middle_of_a_batch_it_applies_nothing_twice(
    projection: Projection, ledger: ConsentLedger, runner: Runner, what: str
) -> None:
    Population(ledger, seed=4).grow(10)
    kill_at(ledger.place, "catch_up", projection, TABLES, what, "after", "2")
    applied: list[int] = []
    runner.catch_up(projection, applied.append)
    assert sum(applied) == ledger.recorder.head() - 20, "the first batch was committed, the second was not"
    assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())


KILLED_REBUILDS = {
    "its tables made": ("ledger.projections.rebuild", "_fill", "before", "1"),
    "filled, without a position": (TABLES, "index", "after", "1"),
    "filled, with a position": (TABLES, "stand_at", "after", "1"),
    "swapped, not committed": ("ledger.projections.rebuild", "_swap", "after", "1"),
    "moved, not committed": (TABLES, "move", "after", "1"),
    "committed, the replaced tables still there": (TABLES, "drop", "before", "3"),
}


@pytest.mark.parametrize("where", KILLED_REBUILDS.values(), ids=KILLED_REBUILDS)
def test_a_rebuild_that_was_killed_can_be_run_again(
    projection: Projection, ledger: ConsentLedger, runner: Runner, where: tuple[str, ...]
) -> None:
    population = Population(ledger, seed=5)
    population.grow(6)
    runner.catch_up(projection)
    kill_at(ledger.place, "rebuild", projection, *where)
    assert schemas(ledger.place) > {projection.tables}
    assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())
    population.grow(1)
    runner.catch_up(projection)
    assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())
    assert rebuild(runner, projection) == ledger.recorder.head()
    assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())
    assert schemas(ledger.place) == {projection.tables}
