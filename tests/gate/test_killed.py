"""Killed at any point and started again, a run ends as if nothing had happened (design, section 8)."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.settings import Place
from tests import builders
from tests.domain import given
from tests.gate import people, runs
from tests.gate.runs import filtered, permitted, refused, start_filter, use_in, uses_of

#: Enough for five appends of 500 subjects each.
SUBJECTS = 2_100
SEED = 11
#: Runs, and how often each is killed before it is left to end.
RUNS, KILLS = 5, 4


@pytest.fixture
def crowd(ledger: ConsentLedger) -> ConsentLedger:
    ledger.publish(given.SHIPPED)
    pasts = {f"p{number}": people.PAST for number in range(SUBJECTS)}
    # Of some the items lie under two grants.
    twice: people.Past = [*people.PAST, (given.toggled("off"), given.at("12")), (given.toggled("on"), given.at("14"))]
    people.fill(ledger, pasts | {f"p{number}": twice for number in range(0, SUBJECTS, 10)})
    return ledger


@pytest.fixture
def many_items(tmp_path: Path) -> Path:
    query = (
        f"SELECT 'p' || (i % {SUBJECTS + 50}) AS subject, 'i' || i AS item,"
        " TIMESTAMPTZ '2025-09-09 12:00:00Z' + to_days((i // 1000 % 8)::INTEGER) AS collected_at"
        f" FROM range({3 * SUBJECTS}) t(i)"
    )
    return people.write_parquet(tmp_path / "items.parquet", query)


def outcome_of(out: Path) -> list[dict[str, object]]:
    """All that is the same in every run: the rows without the versions of the uses."""
    return [{name: value for name, value in row.items() if name != "use"} for row in permitted(out)] + refused(out)


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_as_an_undisturbed_one(
    crowd: ConsentLedger, ledger_place: Place, many_items: Path, tmp_path: Path
) -> None:
    began = time.monotonic()
    with start_filter(ledger_place, many_items, "--run", "calm", "--out", tmp_path / "calm") as calm:
        assert calm.wait() == 0
    whole = time.monotonic() - began
    expected = outcome_of(tmp_path / "calm")
    calm_uses = [(use.stream, use_in(use).basis) for use in uses_of(crowd, "calm")]
    assert len(calm_uses) > SUBJECTS * 0.9
    random_of = random.Random(SEED)
    interrupted = 0
    for number in range(RUNS):
        run, out = f"run-{number}", tmp_path / f"run-{number}"
        command = (many_items, "--run", run, "--out", out)
        for kill in range(KILLS):
            head = crowd.recorder.head()
            with start_filter(ledger_place, *command) as process:
                if kill % 2:
                    time.sleep(random_of.random() * whole)
                else:
                    wait_for_head(crowd, head + random_of.randrange(1, SUBJECTS))
                process.kill()
                interrupted += process.wait() != 0
        with start_filter(ledger_place, *command) as process:
            assert process.wait() == 0, process.communicate()
        assert outcome_of(out) == expected
        uses = uses_of(crowd, run)
        assert sorted((use.stream, use_in(use).basis) for use in uses) == sorted(calm_uses)
        places = {(use.stream, use.version) for use in uses}
        assert {(row["stream"], row["use"]) for row in permitted(out)} == places
        assert sorted(path.name for path in out.iterdir()) == ["permitted.parquet", "refused.parquet", "run.json"]
        written, head = runs.bytes_of(out), crowd.recorder.head()
        filtered(crowd, many_items, out, run, started=None)
        assert (runs.bytes_of(out), crowd.recorder.head()) == (written, head)
    assert interrupted >= RUNS * KILLS // 2
    builders.assert_whole(builders.whole_log(ledger_place))
    events = Counter(event for _, _, _, event, _ in crowd.recorder.pages())
    assert events["run-started"] == events["run-finished"] == RUNS + 1


def wait_for_head(ledger: ConsentLedger, position: int) -> None:
    """Until the log is so long, or so much time has passed that it will not be."""
    for _ in range(100):
        if ledger.recorder.head() >= position:
            return
        time.sleep(0.05)


def test_two_processes_of_the_same_run_use_each_subject_once(
    crowd: ConsentLedger, ledger_place: Place, many_items: Path, tmp_path: Path
) -> None:
    outs = [tmp_path / "one", tmp_path / "two"]
    command = (many_items, "--run", "r1", "--started-at", "2026-06-01T00:00:00Z", "--out")
    processes = [start_filter(ledger_place, *command, out) for out in outs]
    for process in processes:
        _, told = process.communicate()
        assert process.returncode == 0, told
    assert runs.bytes_of(outs[0]) == runs.bytes_of(outs[1])
    uses = [(use.stream, use_in(use).basis) for use in uses_of(crowd)]
    assert len(uses) == len(set(uses)) > SUBJECTS * 0.9
    builders.assert_whole(builders.whole_log(ledger_place))
