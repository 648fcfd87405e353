"""What every registered projection promises (design, section 7), on a real server, with real processes and kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger.application import ConsentLedger
from ledger.errors import InvalidInput, Refused, Unavailable
from ledger.projections import PROJECTIONS
from ledger.projections import subscription as subscriptions
from ledger.projections.projection import Projection
from ledger.projections.rebuild import rebuild, verify
from ledger.projections.runner import Runner
from ledger.projections.subscription import Page, Subscription, parse_token, token_of
from ledger.settings import Place
from tests import builders
from tests.projections.population import Key, Population, by_key, rows_from_log, rows_in_table, table_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=PROJECTIONS.values(), ids=list(PROJECTIONS))
def projection(request: pytest.FixtureRequest) -> Projection:
    one: Projection = request.param
    return one


@pytest.fixture
def runner(ledger: ConsentLedger) -> Iterator[Runner]:
    with Runner(ledger.url, ledger.place.name, batch=7) as runner:
        yield runner


def assert_as_the_log_says(projection: Projection, place: Place, position: int | None = None) -> None:
    at, rows = rows_in_table(projection, place)
    assert position in (None, at)
    assert rows == rows_from_log(projection, place, at)


# Batches.


@pytest.mark.parametrize("batch", [1, 3, 1_000])
def test_incremental_equals_from_scratch_at_every_position(
    projection: Projection, ledger: ConsentLedger, batch: int
) -> None:
    Population(ledger, seed=batch, people=5).grow(10)
    before: dict[Key, Any] = {}
    with Runner(ledger.url, ledger.place.name, batch) as runner:
        while runner.advance(projection):
            position, rows = rows_in_table(projection, ledger.place)
            assert rows == rows_from_log(projection, ledger.place, position)
            assert before.keys() <= rows.keys()
            assert all(rows[key].position >= row.position for key, row in before.items())
            before = rows
    assert position == ledger.recorder.head()
    assert before


def test_a_changed_row_moves_above_every_position_it_was_read_at(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    population = Population(ledger, seed=2)
    before: dict[Key, Any] = {}
    for _ in range(6):
        population.grow(2)
        runner.catch_up(projection)
        read_at = max((row.position for row in before.values()), default=0)
        _, rows = rows_in_table(projection, ledger.place)
        changed = {key for key, row in rows.items() if before.get(key) != row}
        assert changed
        assert all(rows[key].position > read_at for key in changed)
        before = rows


def test_two_runners_at_once_apply_nothing_twice(projection: Projection, ledger: ConsentLedger) -> None:
    Population(ledger, seed=3).grow(15)
    start = threading.Barrier(2)

    def run(_: int) -> int:
        applied = 0
        with Runner(ledger.url, ledger.place.name, batch=3) as runner:
            start.wait()
            while gone_on := runner.advance(projection):
                applied += gone_on
        return applied

    with ThreadPoolExecutor(2) as threads:
        applied = list(threads.map(run, range(2)))
    assert sum(applied) == ledger.recorder.head()
    assert all(applied), "one runner did it all, so nothing was shown"
    assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())


def test_the_service_may_read_the_tables_and_not_write_them(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    runner.catch_up(projection)
    with builders.admin(ledger.place) as connection:
        connection.execute("SET ROLE consent_service")
        connection.execute(f"SELECT * FROM {table_of(projection)}")
        for writing in ("DELETE FROM {}", "UPDATE {} SET gone = true", "TRUNCATE {}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(writing.format(table_of(projection)))


# Kills.

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
    "filled, without a position": (TABLES, "write", "after", "1"),
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


def schemas(place: Place) -> set[str]:
    """The schemas of projections that there are, and those that have a position."""
    with builders.admin(place) as connection:
        made = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'projection%'").fetchall()
        standing = connection.execute("SELECT tables FROM ledger.projection").fetchall()
    return {name for (name,) in [*made, *standing]}


# Rebuilding and verifying.


def test_a_rebuild_while_appends_and_batches_go_on_ends_with_the_same_tables(
    projection: Projection, ledger: ConsentLedger
) -> None:
    population = Population(ledger, seed=6)
    population.grow(4)
    stopped = threading.Event()

    def keep_on_appending() -> None:
        while not stopped.is_set():
            population.grow(1)

    def keep_up_to_date() -> None:
        with Runner(ledger.url, ledger.place.name, batch=5) as runner:
            while not stopped.is_set():
                runner.advance(projection)

    with ThreadPoolExecutor(2) as threads, Runner(ledger.url, ledger.place.name) as runner:
        others = [threads.submit(keep_on_appending), threads.submit(keep_up_to_date)]
        try:
            heads = [ledger.recorder.head()]
            for _ in range(3):
                rebuild(runner, projection)
                heads.append(ledger.recorder.head())
                assert not any(other.done() for other in others)
                assert verify(runner, projection).differing == 0
        finally:
            stopped.set()
        for other in others:
            other.result()
        assert sorted(set(heads)) == heads, "nothing was appended meanwhile, so nothing was shown"
        runner.catch_up(projection)
    assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())


def test_a_rebuild_repairs_whatever_became_of_the_tables(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    Population(ledger, seed=7).grow(4)
    runner.catch_up(projection)
    for damage in ("DROP TABLE {table}", "ALTER TABLE {table} DROP COLUMN gone", "DROP SCHEMA {schema} CASCADE"):
        with builders.admin(ledger.place) as connection:
            connection.execute(damage.format(table=table_of(projection), schema=projection.tables))
        with (
            pytest.raises(Unavailable, match=f"projections rebuild {projection.name}"),
            Subscription(ledger, projection) as subscription,
        ):
            subscription.next_page()
        rebuild(runner, projection)
        assert_as_the_log_says(projection, ledger.place, ledger.recorder.head())


def test_verify_finds_no_difference_where_there_is_none_and_leaves_nothing_behind(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    Population(ledger, seed=8).grow(5)
    runner.catch_up(projection)
    position, rows = rows_in_table(projection, ledger.place)
    verified = verify(runner, projection)
    assert (verified.position, verified.rows, verified.differing, verified.named) == (position, len(rows), 0, ())
    assert rows_in_table(projection, ledger.place) == (position, rows)
    assert schemas(ledger.place) == {projection.tables}


TAMPERED = {
    "changed": ("UPDATE {table} SET gone = NOT gone WHERE {this}", True, True),
    "moved": ("UPDATE {table} SET position = position + 1 WHERE {this}", True, True),
    "deleted": ("DELETE FROM {table} WHERE {this}", False, True),
    "added": ("UPDATE {table} SET stream = 'x' || stream WHERE {this}", True, False),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_verify_names_a_row_that_was_tampered_with(
    projection: Projection, ledger: ConsentLedger, runner: Runner, how: str
) -> None:
    Population(ledger, seed=9).grow(5)
    runner.catch_up(projection)
    _, rows = rows_in_table(projection, ledger.place)
    key = sorted(rows)[len(rows) // 2]
    tampering, is_live, is_rebuilt = TAMPERED[how]
    this = " AND ".join(f"{column} = %s" for column in projection.key)
    with builders.admin(ledger.place) as connection:
        assert connection.execute(tampering.format(table=table_of(projection), this=this), key).rowcount == 1
    verified = verify(runner, projection)
    found = [one for one in verified.named if (one.live is not None, one.rebuilt is not None) == (is_live, is_rebuilt)]
    assert verified.differing == len(verified.named) == (2 if how == "added" else 1)
    named = dict(zip(projection.key, key, strict=True))
    assert [one.key for one in found] == [named | ({"stream": "x" + key[0]} if how == "added" else {})]


def test_verify_counts_every_difference_and_names_the_first(
    projection: Projection, ledger: ConsentLedger, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.projections.rebuild.MOST_NAMED", 3)
    Population(ledger, seed=10).grow(5)
    runner.catch_up(projection)
    with builders.admin(ledger.place) as connection:
        rows = connection.execute(f"DELETE FROM {table_of(projection)}").rowcount
    verified = verify(runner, projection)
    assert (verified.differing, len(verified.named)) == (rows, 3)


# Subscribing.


def take_in(projection: Projection, held: dict[Key, Any], page: Page) -> None:
    """What a subscriber does with a page."""
    if page.intent == "snapshot":
        held.clear()
    assert (page.intent == "nothing") <= (not page.rows)
    positions = [row["position"] for row in page.rows]
    assert positions == sorted(positions)
    assert all(page.after < position <= page.position for position in positions)
    held |= by_key(projection, [projection.row(**row) for row in page.rows])


def read_all(projection: Projection, subscription: Subscription, held: dict[Key, Any]) -> Page:
    while subscription.bring_up_to_date():
        pass
    while True:
        page = subscription.next_page()
        take_in(projection, held, page)
        if page.complete:
            return page


def test_a_subscriber_by_changes_ends_with_the_rows_of_the_snapshot(
    projection: Projection, ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "PAGE", 4)
    population = Population(ledger, seed=11)
    held: dict[Key, Any] = {}
    intents = set()
    with Subscription(ledger, projection) as subscription:
        for _ in range(8):
            population.grow(1)
            intents.add(read_all(projection, subscription, held).intent)
            assert held == rows_from_log(projection, ledger.place, ledger.recorder.head())
        assert read_all(projection, subscription, held).intent == "nothing"
    snapshot: dict[Key, Any] = {}
    with Subscription(ledger, projection) as subscription:
        read_all(projection, subscription, snapshot)
    assert held == snapshot
    assert "changes" in intents


def test_a_subscriber_resumes_from_any_page_it_kept(
    projection: Projection, ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "PAGE", 3)
    population = Population(ledger, seed=12)
    held: dict[Key, Any] = {}
    after: int | None = None
    for _ in range(12):
        population.grow(1)
        with Subscription(ledger, projection, after) as subscription:
            page = subscription.next_page()
            assert page.intent == ("snapshot" if after is None else "changes" if page.rows else "nothing")
            take_in(projection, held, page)
            after = page.position
    with Subscription(ledger, projection, after) as subscription:
        read_all(projection, subscription, held)
    assert held == rows_from_log(projection, ledger.place, ledger.recorder.head())


def test_a_subscriber_reading_while_batches_and_rebuilds_go_on_misses_nothing(
    projection: Projection, ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "PAGE", 5)
    population = Population(ledger, seed=13)
    population.grow(5)
    stopped = threading.Event()

    def keep_on(work: Callable[[Runner], object]) -> None:
        with Runner(ledger.url, ledger.place.name, batch=6) as runner:
            while not stopped.is_set():
                work(runner)

    def append_and_apply(runner: Runner) -> None:
        population.grow(1)
        runner.catch_up(projection)

    held: dict[Key, Any] = {}
    intents = []
    with ThreadPoolExecutor(2) as threads, Subscription(ledger, projection) as subscription:
        others = [
            threads.submit(keep_on, append_and_apply),
            threads.submit(keep_on, lambda runner: rebuild(runner, projection)),
        ]
        try:
            for _ in range(150):
                page = subscription.next_page()
                intents.append(page.intent)
                take_in(projection, held, page)
        finally:
            stopped.set()
        for other in others:
            other.result()
        read_all(projection, subscription, held)
    assert held == rows_from_log(projection, ledger.place, ledger.recorder.head())
    assert intents.count("snapshot") > 1, "no rebuild was swapped in meanwhile, so nothing was shown"


def test_a_swap_in_the_middle_of_a_read_is_noticed(
    projection: Projection, ledger: ConsentLedger, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    Population(ledger, seed=16).grow(4)
    held: dict[Key, Any] = {}
    swaps: list[int] = []

    def standing_and_then_a_swap(subscription: Subscription) -> tuple[int, int]:
        standing = original(subscription)
        if not swaps:
            swaps.append(rebuild(runner, projection))
        return standing

    with Subscription(ledger, projection) as subscription:
        original = Subscription._standing
        monkeypatch.setattr(Subscription, "_standing", standing_and_then_a_swap)
        take_in(projection, held, subscription.next_page())
    assert swaps
    assert held == rows_from_log(projection, ledger.place, ledger.recorder.head())


def test_after_a_rebuild_whoever_read_before_starts_over(
    projection: Projection, ledger: ConsentLedger, runner: Runner
) -> None:
    population = Population(ledger, seed=14)
    population.grow(3)
    with Subscription(ledger, projection) as open_before:
        held: dict[Key, Any] = {}
        before = read_all(projection, open_before, held).position
        rebuild(runner, projection)
        assert read_all(projection, open_before, held).intent == "snapshot"
        assert read_all(projection, open_before, held).intent == "nothing"
    with Subscription(ledger, projection, before) as resumed:
        assert resumed.next_page().intent == "snapshot"
    population.grow(1)
    runner.catch_up(projection)
    with Subscription(ledger, projection, ledger.recorder.head()) as resumed:
        assert resumed.next_page().intent == "nothing"


def test_a_read_waits_to_be_as_fresh_as_asked_and_then_fails(projection: Projection, ledger: ConsentLedger) -> None:
    population = Population(ledger, seed=15)
    with Subscription(ledger, projection) as subscription:
        population.grow(2)
        head = ledger.recorder.head()
        subscription.wait_for(head, timeout=0)
        assert rows_in_table(projection, ledger.place)[0] == head
        with pytest.raises(Unavailable, match=f"at position {head + 1} within 0.2 s, found it at {head};"):
            subscription.wait_for(head + 1, timeout=0.2)
        later = threading.Timer(0.2, population.grow, [1])
        later.start()
        subscription.wait_for(head + 1, timeout=30)
        later.join()
        assert rows_in_table(projection, ledger.place)[0] > head


def test_positions_that_the_log_has_not_reached_are_refused(projection: Projection, ledger: ConsentLedger) -> None:
    builders.grant(ledger, "ann")
    head = ledger.recorder.head()
    Subscription(ledger, projection, head).close()
    with pytest.raises(Refused, match=f"found {head + 1}, while the log ends at {head}"):
        Subscription(ledger, projection, head + 1)


def test_a_token_names_its_ledger() -> None:
    this, other = bytes(16), bytes([1] * 16)
    assert parse_token(token_of(this, 7), this) == parse_token("7", this) == 7
    with pytest.raises(Refused, match=r"expected a token of this ledger, 0+, found one of (01)+;"):
        parse_token(token_of(other, 7), this)


@pytest.mark.parametrize(
    "text", ["", "-1", "07", "x", "7 ", "7\n", ":7", f"{'0' * 31}:7", f"{'0' * 32}:", "1" * 17, "٣"]
)
def test_a_token_has_one_form(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected a token like"):
        parse_token(text, bytes(16))
