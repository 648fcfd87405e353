"""Appending to a stream of NATS beside other relays: nothing comes after a message that it was not made to follow."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from ledger.relay.cloud_event import CloudEvent, event_of
from ledger.relay.stream import Stream
from tests.relay.conftest import Server

SOURCE = "urn:consent-ledger:00:some"
#: That each relay stores in a race.
CHUNKS = 8


def row(name: str, before: str = "") -> CloudEvent:
    return event_of(SOURCE, "row", 1, 1, name, before=before)


def keep_on() -> bool:
    return False


async def opened(client: Client) -> Stream:
    stream = Stream(client, "some", SOURCE)
    await stream.standing()
    return stream


def test_nothing_is_stored_behind_one_that_another_came_before(server: Server) -> None:
    async def two(client: Client) -> None:
        one, other = await opened(client), await opened(client)
        await one.append(iter([row("a")]), keep_on)
        with pytest.raises(NatsError):
            await other.append(iter([row("b"), row("c"), row("d")]), keep_on)

    server.ask(two)
    assert server.events("some") == [row("a")]


def test_what_is_there_already_is_not_stored_again(server: Server) -> None:
    async def two(client: Client) -> None:
        one, other = await opened(client), await opened(client)
        await one.append(iter([row("a"), row("b")]), keep_on)
        await other.append(iter([row("a"), row("b"), row("c")]), keep_on)

    server.ask(two)
    assert server.events("some") == [row("a"), row("b"), row("c")]


@pytest.mark.parametrize("seed", range(3))
def test_relays_that_race_never_mix(server: Server, seed: int) -> None:
    """Each message says what its relay knew before it; so it is in the stream, whoever stored that."""

    async def append(client: Client, relay: int) -> None:
        """Until this relay has stored some chunks, whoever is faster."""
        numbers = random.Random(seed * 10 + relay)
        stream, turn, stored = Stream(client, "some", SOURCE), 0, 0
        while stored < CHUNKS:
            turn += 1
            last = await stream.standing()
            chunk: list[CloudEvent] = []
            for number in range(numbers.randint(1, 12)):
                before = chunk[-1] if chunk else last
                chunk.append(row(f"{relay}.{turn}.{number}", before.id if before else ""))
            try:
                await stream.append(iter(chunk), keep_on)
                stored += 1
            except NatsError:
                await asyncio.sleep(numbers.random() / 200)

    async def race(client: Client) -> None:
        await asyncio.gather(*(append(client, relay) for relay in range(4)))

    server.ask(race)
    events = server.events("some")
    assert [event.data["before"] for event in events] == ["", *(event.id for event in events[:-1])]


def test_a_server_that_forgot_the_last_id_takes_the_next(server: Server) -> None:
    async def one(client: Client) -> None:
        await (await opened(client)).append(iter([row("a")]), keep_on)

    async def forget(client: Client) -> None:
        await client.jetstream().update_stream(name="consent-some", subjects=["consent.some"], duplicate_window=0.1)

    async def rest(client: Client) -> None:
        await (await opened(client)).append(iter([row("b"), row("c")]), keep_on)

    server.ask(one)
    server.ask(forget)
    server.kill()
    time.sleep(0.2)
    server.start()
    server.ask(rest)
    assert server.events("some") == [row("a"), row("b"), row("c")]
