"""What waits together is answered together, each by its own answer; and over HTTP nobody can tell."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger.application import ConsentLedger
from ledger.errors import Refused, Unavailable
from ledger.service.gathering import MOST_TOGETHER, MOST_WAITING, Gathering
from ledger.service.limits import Work
from ledger.service.problems import Problem
from tests import builders as b
from tests.service.conftest import SECONDS, Serve

Answer = int | Exception


class Doubling:
    """Doubles numbers, when it may; refuses odd ones, and breaks at whatever is negative."""

    def __init__(self) -> None:
        self.turns: list[list[int]] = []
        self.may_go_on = threading.Event()

    def __call__(self, asked: Sequence[int]) -> list[Answer]:
        self.turns.append(list(asked))
        assert self.may_go_on.wait(SECONDS)
        if 404 in asked:
            raise Unavailable("expected a database, found none")
        if min(asked) < 0:
            raise ValueError(min(asked))
        return [Refused(f"expected an even number, found {one}") if one % 2 else 2 * one for one in asked]


def run(story: Callable[[Gathering[int, int], Doubling], Coroutine[Any, Any, None]]) -> None:
    async def told() -> None:
        doubling, work = Doubling(), Work("test", 2)
        try:
            await asyncio.wait_for(story(Gathering(work, doubling), doubling), SECONDS)
        finally:
            doubling.may_go_on.set()
            work.close()

    asyncio.run(told())


async def first_turn(gathering: Gathering[int, int], doubling: Doubling, *asked: int) -> list[asyncio.Task[int]]:
    """Asks, and waits until a thread has taken it."""
    tasks = [asyncio.create_task(gathering.ask(one)) for one in asked]
    while not doubling.turns:
        await asyncio.sleep(0.001)
    return tasks


async def answers(tasks: Sequence[asyncio.Task[int]]) -> list[str]:
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(one).__name__ if isinstance(one, BaseException) else str(one) for one in found]


def test_whoever_waits_during_a_turn_is_in_the_next() -> None:
    async def story(gathering: Gathering[int, int], doubling: Doubling) -> None:
        tasks = await first_turn(gathering, doubling, 2)
        tasks += [asyncio.create_task(gathering.ask(one)) for one in (4, 5, 6)]
        await asyncio.sleep(0.01)
        assert doubling.turns == [[2]]
        doubling.may_go_on.set()
        assert await answers(tasks) == ["4", "8", "Refused", "12"]
        assert doubling.turns == [[2], [4, 5, 6]]

    run(story)


def test_one_that_breaks_a_turn_breaks_for_itself() -> None:
    async def story(gathering: Gathering[int, int], doubling: Doubling) -> None:
        doubling.may_go_on.set()
        assert await answers(await first_turn(gathering, doubling, 2, -1, 3, 4)) == ["4", "ValueError", "Refused", "8"]

    run(story)


def test_without_a_database_nobody_is_asked_for_twice() -> None:
    async def story(gathering: Gathering[int, int], doubling: Doubling) -> None:
        doubling.may_go_on.set()
        assert await answers(await first_turn(gathering, doubling, 2, 404, 4)) == ["Unavailable"] * 3
        assert doubling.turns == [[2, 404, 4]]
        assert await gathering.ask(8) == 16

    run(story)


def test_whoever_left_is_not_asked_for() -> None:
    async def story(gathering: Gathering[int, int], doubling: Doubling) -> None:
        stays = await first_turn(gathering, doubling, 2)
        leaves, stays_too = (asyncio.create_task(gathering.ask(one)) for one in (4, 6))
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.sleep(0)
        doubling.may_go_on.set()
        assert await answers([*stays, stays_too]) == ["4", "12"]
        assert doubling.turns == [[2], [6]]

    run(story)


def test_nobody_waits_in_a_line_without_a_bound() -> None:
    async def story(gathering: Gathering[int, int], doubling: Doubling) -> None:
        tasks = await first_turn(gathering, doubling, 2)
        tasks += [asyncio.create_task(gathering.ask(2)) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await gathering.ask(2)
        assert (refused.value.status, refused.value.code) == (503, "busy")
        doubling.may_go_on.set()
        assert set(await answers(tasks)) == {"4"}
        assert max(map(len, doubling.turns)) == MOST_TOGETHER

    run(story)


def test_many_at_once_are_each_told_of_their_own(ledger: ConsentLedger, serve: Serve) -> None:
    """Granted, off, new, unknown or asking what cannot be, all in one crowd; an Off counts once it is answered."""
    people = [f"person-{number}" for number in range(12)]
    b.grant(ledger, *people)
    served = serve(rate=10_000.0)
    collected = b.now_of(ledger).isoformat()
    token = served.token()
    off = {"purpose": "model-training", "to": "off", "surface": "privacy-settings", "cause": "person"}

    def check(named: str, **of: str) -> Any:
        asked = {"subject": named, "collected_at": collected, **(of or {"purpose": "model-training", "kind": "chat"})}
        return client.post("/v1/check", json=asked)

    def live(number: int) -> None:
        named = people[number]
        if number % 3 == 0:
            assert check(f"nobody-{number}").json()["reason"] == "unknown-subject"
        if number % 3 == 1:
            assert check("key:" + "0" * 64).json()["permitted"] is False
            on = {"event": "toggle-changed", "subject": f"new-{number}", "data": off | {"to": "on"}}
            assert client.post("/v1/events", json=on).status_code == 409
            unknown = on | {"subject": "key:" + "0" * 64}
            assert client.post("/v1/events", json=unknown).status_code == 404
        if number % 3 == 2:
            new = {"event": "toggle-changed", "subject": f"new-{number}", "data": off}
            assert client.post("/v1/events", json=new).json()["version"] == 1
            refused = check(named, purpose="marketing")
            assert (refused.status_code, refused.json()["code"]) == (409, "no-purpose")
            assert check(named, plan="pro").json()["reason"] == "granted"
            assert check(named, plan="team").json()["reason"] == "plan-not-covered"
        before = check(named).json()
        assert (before["reason"], before["terms"]) == ("granted", b.TERMS.version)
        body = {"event": "toggle-changed", "subject": named, "occurred_at": collected, "data": off}
        told = client.post("/v1/events", json=body, headers={"Idempotency-Key": named})
        assert (told.status_code, told.json()["version"]) == (201, 3)
        after = check(named).json()
        assert after["reason"] != "granted"
        assert after["position"] >= told.json()["position"]
        again = client.post("/v1/events", json=body, headers={"Idempotency-Key": named})
        assert (again.status_code, again.json()["position"]) == (200, told.json()["position"])
        assert ledger.record_of(told.json()["stream"]).version == 3

    with served.client(token=token) as client, ThreadPoolExecutor(len(people)) as crowd:
        list(crowd.map(live, range(len(people))))
