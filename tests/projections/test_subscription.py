"""Every projection, subscribed to: a snapshot, then its tail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger.application import ConsentLedger
from ledger.errors import InvalidInput, Refused, Unavailable
from ledger.projections import subscription as subscriptions
from ledger.projections.projection import Projection
from ledger.projections.rebuild import rebuild
from ledger.projections.runner import Runner
from ledger.projections.subscription import Page, Reader, Subscription, parse_token, token_of
from tests import builders
from tests.projections.population import (
    Key,
    Population,
    by_key,
    rows_from_log,
    rows_in_table,
)

#: Longer than any machine takes for a few rebuilds of a small log.
SECONDS = 120


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
    intents: list[str] = []
    deadline = time.monotonic() + SECONDS
    with ThreadPoolExecutor(2) as threads, Subscription(ledger, projection) as subscription:
        others = [
            threads.submit(keep_on, append_and_apply),
            threads.submit(keep_on, lambda runner: rebuild(runner, projection)),
        ]
        try:
            # As many pages as it takes: how often a rebuild is swapped in while they are read is the machine's to say.
            while intents.count("snapshot") <= 2 or len(intents) < 150:
                assert time.monotonic() < deadline, "no rebuild was swapped in meanwhile, so nothing was shown"
                page = subscription.next_page()
                intents.append(page.intent)
                take_in(projection, held, page)
        finally:
            stopped.set()
        for other in others:
            other.result()
        read_all(projection, subscription, held)
    assert held == rows_from_log(projection, ledger.place, ledger.recorder.head())


def test_a_swap_in_the_middle_of_a_read_is_noticed(
    projection: Projection, ledger: ConsentLedger, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    Population(ledger, seed=16).grow(4)
    held: dict[Key, Any] = {}
    swaps: list[int] = []

    def standing_and_then_a_swap(reader: Reader) -> tuple[int, int]:
        standing = original(reader)
        if not swaps:
            swaps.append(rebuild(runner, projection))
        return standing

    with Subscription(ledger, projection) as subscription:
        original = Reader.standing
        monkeypatch.setattr(Reader, "standing", standing_and_then_a_swap)
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


def test_a_follower_notices_at_once_that_the_server_went_away(projection: Projection, ledger: ConsentLedger) -> None:
    with Subscription(ledger, projection) as subscription:
        subscription.next_page()
        assert not subscription.has_fallen_behind()
        with builders.admin(ledger.place) as connection:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            connection.execute(f"{cut} AND pid <> pg_backend_pid()")
        with pytest.raises(Unavailable, match=r"expected the ledger at .* to answer"):
            subscription.has_fallen_behind()


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
