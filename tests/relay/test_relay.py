"""`consent relay` to a real NATS server: every state once, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from ledger.application import ConsentLedger
from ledger.domain.names import TERMS_STREAM
from ledger.errors import InvalidInput
from ledger.projections import PROJECTIONS
from ledger.relay.relay import checked_url
from ledger.settings import Place
from tests import builders
from tests.cli.conftest import ROOT, run
from tests.projections.population import Population, rows_from_log
from tests.relay.conftest import SECONDS, Server

CURRENT = PROJECTIONS["current-consent"]
#: So many that a kill falls among their rows.
MANY = 300


def start(place: Place, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "CONSENT_LEDGER": place.url or "", "CONSENT_STATE": str(place.state)}
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "relay", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop(process: subprocess.Popen[str]) -> str:
    """Ends a relay as a supervisor does; what it said."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
    return said


def wait_until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < until, "it did not come in time"
        time.sleep(0.02)


def wait_for_more(server: Server, count: int) -> None:
    """Until the stream has more messages than that."""

    async def length(client: Client) -> int:
        try:
            return (await client.jetstream().stream_info(f"consent-{CURRENT.name}")).state.messages
        except NotFoundError:
            return 0

    wait_until(lambda: server.ask(length) > count)


def has_published(server: Server, ledger: ConsentLedger) -> bool:
    """Whether the stream's last message is a token of the last row there is."""
    events = server.events(CURRENT.name)
    rows = rows_from_log(CURRENT, ledger.place, ledger.recorder.head()).values()
    newest = max(row.position for row in rows)
    return bool(events) and events[-1].kind == "token" and events[-1].data["position"] >= newest


def assert_each_once(server: Server, ledger: ConsentLedger) -> None:
    """No message twice, positions never back, and the last state of every row is what the log says."""
    events = server.events(CURRENT.name)
    assert len({event.id for event in events}) == len(events)
    assert [event.kind for event in events].count("snapshot") == 1
    positions = [event.data["position"] for event in events]
    assert positions == sorted(positions)
    told = {tuple(event.data["row"][column] for column in CURRENT.key): event.data for event in events if event.subject}
    rows: dict[Any, Any] = {**rows_from_log(CURRENT, ledger.place, ledger.recorder.head())}
    assert {key: (data["position"], data["gone"], data["row"]["toggle"]) for key, data in told.items()} == {
        key: (row.position, row.gone, row.toggle) for key, row in rows.items()
    }


def test_each_state_once_across_a_killed_relay_and_a_killed_server(server: Server, ledger: ConsentLedger) -> None:
    people = Population(ledger, seed=5, people=MANY)
    for _ in range(2):
        people.grow(3)
        count = len(server.events(CURRENT.name))
        relay = start(ledger.place, server.url, CURRENT.name)
        wait_for_more(server, count)
        relay.kill()
        relay.communicate()
    people.grow(3)
    count = len(server.events(CURRENT.name))
    relay = start(ledger.place, server.url, CURRENT.name)
    wait_for_more(server, count)
    server.kill()
    people.grow(3)
    time.sleep(1)
    server.start()
    wait_until(lambda: has_published(server, ledger))
    # The same with nothing on its way.
    server.kill()
    people.grow(1)
    time.sleep(1)
    server.start()
    wait_until(lambda: has_published(server, ledger))
    assert stop(relay).count("asked again") >= 2
    assert_each_once(server, ledger)


def test_two_relays_do_not_mix(server: Server, ledger: ConsentLedger) -> None:
    people = Population(ledger, seed=6)
    relays = [start(ledger.place, server.url, CURRENT.name) for _ in range(2)]
    for _ in range(5):
        people.grow(4)
        time.sleep(0.2)
    wait_until(lambda: has_published(server, ledger))
    for relay in relays:
        stop(relay)
    assert_each_once(server, ledger)


def test_messages_are_cloud_events_that_name_nobody(server: Server, ledger: ConsentLedger) -> None:
    builders.grant(ledger, "ann")
    relay = start(ledger.place, server.url, CURRENT.name, "adoption")
    wait_until(lambda: has_published(server, ledger) and bool(server.events("adoption")))
    assert stop(relay) == ""
    snapshot, row, token = server.events(CURRENT.name)
    assert [one.kind for one in (snapshot, row, token)] == ["snapshot", "row", "token"]
    assert row.source == f"urn:consent-ledger:{ledger.identity.id.hex()}:current-consent"
    assert row.subject == ledger.subject("ann").stream
    assert "ann" not in str(row)
    assert TERMS_STREAM not in str(row.subject)


def test_the_stream_of_another_ledger_is_refused(server: Server, ledger: ConsentLedger) -> None:
    async def of_another(client: Client) -> Any:
        stream = client.jetstream()
        await stream.add_stream(name=f"consent-{CURRENT.name}", subjects=[f"consent.{CURRENT.name}"])
        message = b'{"specversion":"1.0","id":"1/snapshot/0","source":"urn:consent-ledger:00:current-consent",'
        message += b'"type":"consent-ledger.snapshot","data":{"snapshot":1,"position":0}}'
        return await stream.publish(f"consent.{CURRENT.name}", message)

    server.ask(of_another)
    done = run("relay", server.url, CURRENT.name, place=ledger.place)
    assert (done.returncode, done.stdout) == (1, "")
    assert "expected a stream of urn:consent-ledger:" in done.stderr
    assert len(server.events(CURRENT.name)) == 1


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:4222", "http://127.0.0.1:4222", "nats://", "nats://a:port", "nats://a:secret@b/c"]
)
def test_a_bad_url_is_one_sentence_that_repeats_no_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="expected the URL of a NATS server") as refused:
        checked_url(url)
    assert "secret" not in str(refused.value)
