"""A replica over HTTP: every withdrawal reaches it, a cut turns it stale, and it never follows another ledger."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from ledger.application import ConsentLedger
from ledger.client import Replica, State, http_feed
from ledger.client import replica as replicas
from ledger.client.database_feed import DatabaseFeed
from ledger.client.http_feed import HttpFeed
from ledger.domain.eligibility import Item
from ledger.errors import Refused, Stale, Unavailable
from ledger.projections.rebuild import rebuild
from ledger.projections.runner import Runner
from ledger.projections.verdict_spans import VERDICT_SPANS
from ledger.settings import Place
from ledger.store.database import connect
from ledger.store.tokens import revoke_token
from tests import builders
from tests.client.conftest import SECONDS, Start, until
from tests.client.proxy import Proxy
from tests.client.test_database_feed import another_in_its_place, reason
from tests.domain import given
from tests.service.conftest import Served

ITEM = Item(given.at("10"), "chat")


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(http_feed, "SILENCE_SECONDS", 3.0)


def address_of(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


def test_a_withdrawal_reaches_every_replica(ledger: ConsentLedger, start: Start) -> None:
    """Four over HTTP, from two processes of the service, and one from the database."""
    builders.grant(ledger, "ann", "bob")
    urls = [start("--without", "sequencer").url for _ in range(2)]
    token = Served(urls[0], ledger.place).token("read")
    feeds = [HttpFeed(url, token) for url in urls * 2] + [DatabaseFeed(ledger.place)]
    with ExitStack() as open_now:
        all_of_them = [open_now.enter_context(Replica(feed)) for feed in feeds]
        for one in all_of_them:
            one.wait_for(ledger.recorder.head(), SECONDS)
            assert (one.state, reason(one, ledger, "ann")) == (State.READY, "granted")
        off = ledger.record("ann", builders.toggled("off"))
        for one in all_of_them:
            one.wait_for(off.position, SECONDS)
            assert reason(one, ledger, "ann") == "collected-while-off"
            assert reason(one, ledger, "bob") == "granted"
        stream = ledger.subject("bob").stream or ""
        gone = ledger.erase("bob", "asked for")
        for one in all_of_them:
            one.wait_for(gone.position, SECONDS)
            assert one.may_use(stream, given.TRAINING, ITEM).reason == "erased"
            one._stopped.set()  # all of them, before the first is waited for


def test_where_nothing_happens_it_stays_fresh(ledger: ConsentLedger, served: Served) -> None:
    builders.grant(ledger, "ann")
    with Replica(HttpFeed(served.url, served.token("read"))) as replica:
        replica.wait_for(ledger.recorder.head(), SECONDS)
        first = replica._held.as_of
        until(lambda: replica._held.as_of > first)
        assert replica.staleness < http_feed.SILENCE_SECONDS
        assert replica.position == ledger.recorder.head()


def test_an_empty_ledger_is_a_snapshot_too(ledger: ConsentLedger, served: Served) -> None:
    with Replica(HttpFeed(served.url, served.token("read"))) as replica:
        replica.wait_for(0, SECONDS)
        assert replica.state is State.READY
        assert not replica.may_use(builders.stream_of(1), given.TRAINING, ITEM)


def cut_off_and_back(ledger: ConsentLedger, replica: Replica, back: Callable[[], None]) -> None:
    """Cut off by now: it refuses past its bound. Then `back` is called, and nothing was missed."""
    ann = ledger.subject("ann").stream or ""
    until(lambda: replica.state is State.STALE)
    with pytest.raises(Stale, match=r"at most 2 s behind, found it \d\.\d s behind"):
        replica.may_use(ann, given.TRAINING, ITEM)
    assert replica.may_use(ann, given.TRAINING, ITEM, stalest=SECONDS).reason == "collected-before-grant"
    off = ledger.record("ann", builders.toggled("off"))
    back()
    replica.wait_for(off.position, SECONDS)
    until(lambda: replica.state is State.READY)
    assert (reason(replica, ledger, "ann"), reason(replica, ledger, "bob")) == ("collected-while-off", "granted")


def test_a_network_that_swallows_everything(ledger: ConsentLedger, served: Served, proxy: Proxy) -> None:
    """No connection is closed, and no byte comes."""
    builders.grant(ledger, "ann", "bob")
    with Replica(HttpFeed(proxy.url, served.token("read")), stalest=2) as replica:
        replica.wait_for(ledger.recorder.head(), SECONDS)
        proxy.cut = "swallow"

        def back() -> None:
            until(lambda: "ReadTimeout" in (replica.trouble or ""))
            proxy.cut = None
            proxy.hang_up()

        cut_off_and_back(ledger, replica, back)


def test_a_service_that_is_stopped_and_goes_on_and_one_that_is_killed(
    ledger: ConsentLedger, ledger_place: Place, start: Start
) -> None:
    builders.grant(ledger, "ann", "bob")
    first = start("--without", "sequencer")
    address = [address_of(first.url)]
    network = Proxy(lambda: address[0])
    with Replica(HttpFeed(network.url, Served(first.url, ledger_place).token("read")), stalest=2) as replica:
        replica.wait_for(ledger.recorder.head(), SECONDS)
        os.kill(first.running.pid, signal.SIGSTOP)
        cut_off_and_back(ledger, replica, lambda: os.kill(first.running.pid, signal.SIGCONT))
        first.running.kill()
        on = ledger.record("ann", builders.toggled("on"))
        until(lambda: replica.trouble is not None)
        assert reason(replica, ledger, "ann") == "collected-while-off"  # of a moment that is young enough still
        address[0] = address_of(start("--without", "sequencer").url)
        replica.wait_for(on.position, SECONDS)
        assert reason(replica, ledger, "ann") == "granted"
    network.close()


def test_a_rebuild_in_the_middle_gives_a_snapshot(ledger: ConsentLedger, served: Served) -> None:
    builders.grant(ledger, "ann")
    with Replica(HttpFeed(served.url, served.token("read"))) as replica:
        replica.wait_for(ledger.recorder.head(), SECONDS)
        first = replica._held.standings
        with Runner(ledger.url, ledger.place.name) as runner, builders.admin(ledger.place) as connection:
            connection.execute("UPDATE projection_verdict_spans.verdict_spans SET gone = true")
            rebuild(runner, VERDICT_SPANS)
        off = ledger.record("ann", builders.toggled("off"))
        replica.wait_for(off.position, SECONDS)
        until(lambda: replica._held.standings is not first)
        assert reason(replica, ledger, "ann") == "collected-while-off"


def test_another_ledger_at_the_same_address_is_never_followed(
    ledger: ConsentLedger, served: Served, start: Start
) -> None:
    builders.grant(ledger, "ann")
    address = [served.address]
    network = Proxy(lambda: address[0])
    with Replica(HttpFeed(network.url, served.token("read"))) as replica:
        replica.wait_for(ledger.recorder.head(), SECONDS)
        other = another_in_its_place(ledger.place, ledger.identity.id)
        address[0] = address_of(start("--without", "sequencer").url)
        network.hang_up()
        until(lambda: replica.state is State.FAILED)
        assert (replica.trouble or "").startswith(f"expected a token of this ledger, {other.hex()}, found one of")
        with pytest.raises(Unavailable, match="found one that failed"):
            replica.may_use(ledger.subject("ann").stream or "", given.TRAINING, ITEM, stalest=SECONDS)
    network.close()


def test_a_ledger_that_was_set_back_is_never_followed(ledger: ConsentLedger, served: Served) -> None:
    builders.grant(ledger, "ann")
    head = ledger.recorder.head()
    beyond = f"{ledger.identity.id.hex()}:{head + 1}"
    with pytest.raises(Refused, match=f"found {head + 1}"):
        next(HttpFeed(served.url, served.token("read")).changes(beyond, threading.Event()))


def test_who_may_not_read_is_told_so_for_good(ledger: ConsentLedger, served: Served) -> None:
    for token, says in ((served.token("record"), "scope"), ("consent_" + "x" * 43, "a token of this ledger")):
        with Replica(HttpFeed(served.url, token)) as replica:
            until(lambda: replica.state is State.FAILED)
            assert says in (replica.trouble or "")
            assert token not in (replica.trouble or "")


def test_a_token_that_is_revoked_meanwhile_ends_it(ledger: ConsentLedger, served: Served) -> None:
    token = served.token("read", name="replica")
    with Replica(HttpFeed(served.url, token)) as replica:
        replica.wait_for(0, SECONDS)
        with connect(ledger.url, "the ledger", "consent_tokens") as connection:
            revoke_token(connection, "replica")
        until(lambda: replica.state is State.FAILED)
        assert "revoked" in (replica.trouble or "")


def test_many_rows_come_in_pieces(ledger: ConsentLedger, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_feed, "MOST_ROWS", 2)
    people = [f"person-{number}" for number in range(7)]
    builders.grant(ledger, *people)
    following = HttpFeed(served.url, served.token("read")).changes(None, threading.Event())
    taken = []
    for changes in following:
        taken.append(changes)
        if changes.complete:
            break
    following.close()
    assert [one.intent for one in taken] == ["snapshot", *["changes"] * (len(taken) - 1)]
    assert [one.complete for one in taken] == [False] * (len(taken) - 1) + [True]
    rows = [row for one in taken for row in one.rows]
    assert len({row["stream"] for row in rows}) == 7
    assert all(one.rows[-1]["position"] == one.position for one in taken if not one.complete)
