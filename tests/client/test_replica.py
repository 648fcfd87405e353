"""A replica's states, fed by a script: it answers as of a moment that is known, or not at all."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from ledger.client import Changes, Replica, State
from ledger.client import replica as replicas
from ledger.domain.consent import record_of
from ledger.domain.eligibility import Item
from ledger.errors import ConsentLedgerError, InvalidInput, Refused, Stale, Unavailable
from ledger.projections.projection import Row
from ledger.projections.verdict_spans import verdict_spans
from tests import builders
from tests.client.conftest import SECONDS, until
from tests.domain import given

ITEM = Item(given.at("10"), "chat")
ACCEPT: tuple[given.Given, ...] = ((given.shown(), "3"), (given.accepted(), "4"))

Step = Changes | ConsentLedgerError | Exception | threading.Event


class Script:
    """A feed that gives what is written; an event in it is waited for. Each break takes it on where it was."""

    def __init__(self, *steps: Step) -> None:
        self._steps: Iterator[Step] = iter(steps)
        self.asked: list[str | None] = []
        self.done = threading.Event()

    def changes(self, after: str | None, stopped: threading.Event) -> Generator[Changes]:
        self.asked.append(after)
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, threading.Event):
                step.wait(SECONDS)
            else:
                yield step
        self.done.set()
        stopped.wait()


def row(number: int, *events: given.Given, position: int) -> dict[str, Any]:
    record = record_of(builders.stream_of(number), given.stream(*events), given.catalogue())
    (made,) = verdict_spans(record, dict.fromkeys(range(1, len(events) + 1), position))
    assert isinstance(made, Row)
    return {name: getattr(made, name) for name in made.__struct_fields__}


def changes(intent: Any, *rows: dict[str, Any], position: int, complete: bool = True, ago: float = 0) -> Changes:
    return Changes(
        intent=intent,
        rows=rows,
        token=f"t:{position}",
        position=position,
        complete=complete,
        as_of=time.monotonic() - ago,
    )


def snapshot(position: int = 2, ago: float = 0) -> Changes:
    return changes("snapshot", row(1, *ACCEPT, position=2), position=position, ago=ago)


def ask(replica: Replica, number: int = 1, **more: Any) -> Any:
    return replica.may_use(builders.stream_of(number), given.TRAINING, ITEM, **more)


def is_in(state: State, replica: Replica) -> bool:
    return replica.state is state


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "RETRY_SECONDS", 0.01)


def test_before_the_first_snapshot_it_answers_nobody() -> None:
    replica = Replica(Script())
    assert (replica.state, replica.position, replica.staleness) == (State.STALE, 0, math.inf)
    for allowed in (None, 1e9, math.inf, math.nan):
        with pytest.raises(Stale, match="expected a replica with a snapshot, found none yet"):
            ask(replica, stalest=allowed)
    assert Replica(Script(), stalest=math.inf).state is State.STALE
    with pytest.raises(Stale, match=r"at position 0 within 0\.01 s"):
        replica.wait_for(0, timeout=0.01)


def test_a_snapshot_is_answered_from_once_it_is_complete() -> None:
    replica = Replica(Script())
    first, second = row(1, *ACCEPT, position=2), row(2, *ACCEPT, (given.toggled("off"), "5"), position=5)
    replica.take_in(changes("snapshot", first, position=2, complete=False))
    assert is_in(State.STALE, replica)
    with pytest.raises(Stale, match="found none yet"):
        ask(replica)
    replica.take_in(changes("changes", second, position=5))
    assert (replica.state, replica.position) == (State.READY, 5)
    assert (ask(replica).reason, ask(replica, 2).reason) == ("granted", "collected-while-off")
    assert (ask(replica).permitted, bool(ask(replica)), bool(ask(replica, 2))) == (True, True, False)


def test_another_snapshot_takes_the_place_of_all_there_was() -> None:
    replica = Replica(Script())
    replica.take_in(changes("snapshot", row(1, *ACCEPT, position=2), row(2, *ACCEPT, position=4), position=4))
    replica.take_in(changes("snapshot", position=4, complete=False))
    assert (ask(replica).reason, ask(replica, 2).reason) == ("granted", "granted")
    replica.take_in(changes("changes", row(1, *ACCEPT, position=2), position=4))
    assert (ask(replica).reason, ask(replica, 2).reason) == ("granted", "unknown-subject")


def test_somebody_unknown_is_refused() -> None:
    replica = Replica(Script())
    replica.take_in(changes("snapshot", position=0))
    answer = ask(replica, 7)
    assert (answer.reason, answer.permitted, bool(answer), answer.position) == ("unknown-subject", False, False, 0)
    assert not replica.may_use("nonsense", "", ITEM)


def test_somebody_erased_is_refused() -> None:
    replica = Replica(Script())
    replica.take_in(snapshot())
    replica.take_in(changes("changes", row(1, *ACCEPT, (given.ERASED, "5"), position=9), position=9))
    assert ask(replica).reason == "erased"


def test_it_is_as_stale_as_the_moment_up_to_which_nothing_is_missing() -> None:
    replica = Replica(Script(), stalest=5)
    replica.take_in(snapshot(ago=3))
    assert 3 <= replica.staleness < SECONDS
    assert is_in(State.READY, replica)
    assert ask(replica)
    assert ask(replica, stalest=3 + SECONDS)
    for allowed in (2.9, 0, -1, math.nan):
        with pytest.raises(Stale, match=r"expected a replica at most \S+ s behind, found it \d+\.\d s behind;"):
            ask(replica, stalest=allowed)
    replica.take_in(changes("nothing", position=3, ago=6))
    assert is_in(State.STALE, replica)
    with pytest.raises(Stale, match="expected a replica at most 5 s behind"):
        ask(replica)
    assert ask(replica, stalest=6 + SECONDS).position == 3


def test_changes_that_are_not_complete_make_nothing_fresher() -> None:
    replica = Replica(Script(), stalest=5)
    replica.take_in(snapshot(ago=100))
    replica.take_in(changes("changes", row(2, *ACCEPT, position=4), position=4, complete=False))
    assert is_in(State.STALE, replica)
    assert ask(replica, stalest=1_000).position == 2
    replica.take_in(changes("nothing", position=6))
    assert is_in(State.READY, replica)
    assert ask(replica, 2).position == 6


def test_its_own_clock_is_asked_where_no_time_is_given() -> None:
    replica = Replica(Script())
    replica.take_in(snapshot())
    ahead = Item(given.at("2999-01-01T00:00:00Z"), "chat")
    assert replica.may_use(builders.stream_of(1), given.TRAINING, ahead).reason == "collected-in-future"
    late = given.at("10") + timedelta(days=6 * 366)
    assert ask(replica, now=late).reason == "retention-expired"
    assert ask(replica, now=late, run_started=given.at("11")).reason == "granted"


def test_it_follows_and_is_waited_for() -> None:
    go_on = threading.Event()
    feed = Script(snapshot(), go_on, changes("changes", row(2, *ACCEPT, position=4), position=4))
    with Replica(feed) as replica:
        replica.wait_for(2, timeout=SECONDS)
        assert ask(replica, 2).reason == "unknown-subject"
        threading.Timer(0.05, go_on.set).start()
        replica.wait_for(4, timeout=SECONDS)
        assert ask(replica, 2).reason == "granted"
        with pytest.raises(Stale, match=r"at position 5 within 0\.01 s, found it at 4; ask again later"):
            replica.wait_for(5, timeout=0.01)
    assert not any("replica" in thread.name for thread in threading.enumerate())


def test_after_a_break_it_goes_on_from_its_token_and_meanwhile_goes_stale() -> None:
    back = threading.Event()
    feed = Script(
        snapshot(ago=100),
        changes("changes", row(2, *ACCEPT, position=4), position=4, complete=False, ago=100),
        Unavailable("it is away"),
        back,
        changes("changes", row(3, *ACCEPT, position=6), position=6),
    )
    with Replica(feed) as replica:
        until(lambda: len(feed.asked) == 2)
        assert (replica.state, replica.trouble) == (State.STALE, "it is away")
        with pytest.raises(Stale, match=r"s behind \(it is away\); ask again later"):
            ask(replica)
        back.set()
        replica.wait_for(6, timeout=SECONDS)
        assert (replica.state, replica.trouble) == (State.READY, None)
        assert [ask(replica, number).reason for number in (1, 2, 3)] == ["granted"] * 3
    assert feed.asked == [None, "t:4"]


def test_a_feed_that_says_nothing_any_more_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "CLOSE_SECONDS", 0.05)
    silence = threading.Event()
    with Replica(Script(snapshot(), silence), stalest=0.2) as replica:
        replica.wait_for(2, timeout=SECONDS)
        until(lambda: replica.state is State.STALE)
        with pytest.raises(Stale, match=r"at most 0\.2 s behind"):
            ask(replica)
    silence.set()


def test_a_snapshot_that_broke_off_is_begun_again() -> None:
    feed = Script(
        snapshot(),
        changes("snapshot", row(2, *ACCEPT, position=4), position=4, complete=False),
        Unavailable("it is away"),
        changes("snapshot", row(3, *ACCEPT, position=6), position=6),
    )
    with Replica(feed) as replica:
        replica.wait_for(6, timeout=SECONDS)
        reasons = [ask(replica, number).reason for number in (1, 2, 3)]
    assert reasons == ["unknown-subject", "unknown-subject", "granted"]
    assert feed.asked == [None, None]


FATAL: dict[str, tuple[Exception, str]] = {
    "another ledger": (Refused("expected a token of this ledger, found another's"), "expected a token of this ledger"),
    "a defect": (ZeroDivisionError(), "ZeroDivisionError"),
}


@pytest.mark.parametrize(("error", "said"), FATAL.values(), ids=list(FATAL))
def test_what_will_never_do_fails_it_for_good(error: Exception, said: str) -> None:
    feed = Script(snapshot(), error, snapshot())
    with Replica(feed) as replica:
        until(lambda: replica.state is State.FAILED)
        assert (replica.trouble or "").startswith(said)
        for allowed in (None, math.inf):
            with pytest.raises(Unavailable, match=f"expected a replica that can answer, found one that failed: {said}"):
                ask(replica, stalest=allowed)
        with pytest.raises(Unavailable, match="found one that failed"):
            replica.wait_for(0, timeout=SECONDS)
        assert replica.staleness == math.inf
    assert feed.asked == [None]


@pytest.mark.parametrize("damage", [{"purposes": [{}]}, {"purposes": None}, {"stream": None, "gone": True}])
def test_a_row_that_is_none_fails_it(damage: dict[str, Any]) -> None:
    broken = row(1, *ACCEPT, position=2) | damage
    if damage.get("stream", "") is None:
        del broken["stream"]
    with Replica(Script(changes("snapshot", broken, position=2))) as replica:
        until(lambda: replica.state is State.FAILED)


def test_a_feed_begins_with_a_snapshot() -> None:
    with pytest.raises(InvalidInput, match="expected a feed to begin with a snapshot, found changes"):
        Replica(Script()).take_in(changes("changes", position=1))


def test_histories_of_the_same_kind_are_held_once_and_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "MOST_SHARED", 2)
    replica = Replica(Script())
    rows = [row(number, *ACCEPT, position=number) for number in range(1, 20)]
    replica.take_in(changes("snapshot", *rows, position=20))
    held = replica._held.standings or {}
    assert len({id(standing.purposes[0].spans) for standing in held.values()}) == 1
    others = [
        row(number, (given.shown(plan=f"plan {number}"), "3"), (given.accepted(plan=f"plan {number}"), "4"), position=1)
        for number in range(20, 30)
    ]
    replica.take_in(changes("changes", *others, position=30))
    assert len(replica._shared) <= 2
    assert ask(replica, 25).reason == "plan-not-covered"


def test_readers_ask_while_changes_come_in() -> None:
    """Whoever turned it off is never permitted again, whatever the moment at which somebody asks."""
    on = [row(number, *ACCEPT, position=number) for number in range(300)]
    off = [row(number, *ACCEPT, (given.toggled("off"), "5"), position=300 + number) for number in range(300)]
    replica = Replica(Script())
    replica.take_in(changes("snapshot", *on, position=300))
    stopped = threading.Event()
    seen: list[set[str]] = [set() for _ in range(4)]
    back: list[int] = []

    def read(mine: set[str]) -> None:
        last: dict[int, str] = {}
        while not stopped.is_set():
            for number in range(0, 300, 7):
                reason = ask(replica, number).reason
                if last.get(number) == "collected-while-off" != reason:
                    back.append(number)
                last[number] = reason
                mine.add(reason)

    threads = [threading.Thread(target=read, args=[mine]) for mine in seen]
    for thread in threads:
        thread.start()
    for number in range(0, 300, 10):
        replica.take_in(changes("changes", *off[number : number + 10], position=300 + number + 9))
        time.sleep(0.005)
    until(lambda: all("collected-while-off" in mine for mine in seen))
    stopped.set()
    for thread in threads:
        thread.join()
    assert back == []
    assert all(mine == {"granted", "collected-while-off"} for mine in seen)
