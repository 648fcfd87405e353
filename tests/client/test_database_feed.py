"""A replica of a real ledger: it follows, outlives the server's absence, and never follows another ledger."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ledger.application import ConsentLedger, open_ledger
from ledger.client import Replica, State
from ledger.client import replica as replicas
from ledger.client.database_feed import DatabaseFeed
from ledger.domain.eligibility import Item
from ledger.errors import Stale, Unavailable
from ledger.projections.rebuild import rebuild
from ledger.projections.runner import Runner
from ledger.projections.verdict_spans import VERDICT_SPANS
from ledger.settings import Place
from ledger.store.location import create_ledger
from ledger.store.secret import secret_path
from tests import builders
from tests.client.conftest import SECONDS, until
from tests.domain import given

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "RETRY_SECONDS", 0.05)


def reason(replica: Replica, ledger: ConsentLedger, name: str) -> str:
    """Of something that is collected now."""
    now = ledger.clock.now()
    stream = ledger.subject(name).stream or ""
    return replica.may_use(stream, given.TRAINING, Item(now, "chat"), now=now).reason


@contextmanager
def away(place: Place, server_url: str) -> Iterator[None]:
    """As if the server were not there: every connection to this ledger is cut, and no new one is let in."""
    database = str(conninfo_to_dict(place.url or "")["dbname"])
    name = sql.Identifier(database)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
            yield
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


def another_in_its_place(place: Place, ledger_id: bytes) -> bytes:
    """Gives the ledger another id; that id. Whoever has it open goes on with the one that they know."""
    other = bytes([ledger_id[0] ^ 1]) + ledger_id[1:]
    with builders.admin(place) as connection:
        connection.execute("ALTER TABLE ledger.ledger DISABLE TRIGGER ALL")
        connection.execute("UPDATE ledger.ledger SET id = %s", [other])
    secret_path(place.state, other).parent.mkdir()
    shutil.copy(secret_path(place.state, ledger_id), secret_path(place.state, other))
    return other


def test_it_follows_what_is_recorded(ledger: ConsentLedger) -> None:
    builders.grant(ledger, "ann", "bob")
    with Replica(DatabaseFeed(ledger.place)) as replica:
        replica.wait_for(ledger.recorder.head(), SECONDS)
        assert (replica.state, reason(replica, ledger, "ann")) == (State.READY, "granted")
        off = ledger.record("ann", builders.toggled("off"))
        replica.wait_for(off.position, SECONDS)
        assert reason(replica, ledger, "ann") == "collected-while-off"
        assert reason(replica, ledger, "bob") == "granted"
        stream = ledger.subject("bob").stream or ""
        gone = ledger.erase("bob", "asked for")
        replica.wait_for(gone.position, SECONDS)
        assert replica.may_use(stream, given.TRAINING, Item(given.at("10"), "chat")).reason == "erased"


def test_the_readme_shows_how(
    ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.grant(ledger, "ann")
    monkeypatch.setenv("CONSENT_LEDGER", ledger.place.url or "")
    monkeypatch.setenv("CONSENT_STATE", str(ledger.place.state))
    (shown,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(shown, {"stream": ledger.subject("ann").stream, "collected": ledger.clock.now()})  # noqa: S102 - our own
    assert capsys.readouterr().out == f"True granted 2 {ledger.recorder.head()}\n"


def test_where_nothing_happens_it_stays_fresh(ledger: ConsentLedger) -> None:
    builders.grant(ledger, "ann")
    with Replica(DatabaseFeed(ledger.place)) as replica:
        replica.wait_for(ledger.recorder.head(), SECONDS)
        until(lambda: replica.staleness < 0.5)
        first = replica._held.as_of
        until(lambda: replica._held.as_of > first)
        assert replica.position == ledger.recorder.head()


def test_an_empty_ledger_is_a_snapshot_too(ledger: ConsentLedger) -> None:
    with Replica(DatabaseFeed(ledger.place)) as replica:
        replica.wait_for(0, SECONDS)
        assert replica.state is State.READY
        assert not replica.may_use(builders.stream_of(1), given.TRAINING, Item(given.at("10"), "chat"))


def test_the_server_goes_away_and_comes_back_and_nothing_was_missed(ledger_place: Place, server_url: str) -> None:
    with open_ledger(ledger_place) as ledger:
        builders.grant(ledger, "ann", "bob")
        ann, head = ledger.subject("ann").stream or "", ledger.recorder.head()
    item = Item(given.at("1999-01-01T00:00:00Z"), "chat")
    with Replica(DatabaseFeed(ledger_place), stalest=0.5) as replica:
        replica.wait_for(head, SECONDS)
        with away(ledger_place, server_url):
            until(lambda: replica.state is State.STALE and replica.trouble is not None)
            with pytest.raises(
                Stale, match=r"at most 0\.5 s behind, found it .* \(expected the ledger at .* to answer"
            ):
                replica.may_use(ann, given.TRAINING, item)
            assert replica.may_use(ann, given.TRAINING, item, stalest=SECONDS).reason == "collected-before-grant"
        with open_ledger(ledger_place) as ledger:
            off = ledger.record("ann", builders.toggled("off"))
            replica.wait_for(off.position, SECONDS)
            until(lambda: replica.state is State.READY)
            assert (reason(replica, ledger, "ann"), reason(replica, ledger, "bob")) == (
                "collected-while-off",
                "granted",
            )


def test_what_is_older_than_is_kept_is_read_anew(ledger_place: Place, server_url: str) -> None:
    """Rows that were wrong were put right by a rebuild, while the replica could not look."""
    with open_ledger(ledger_place) as ledger:
        builders.grant(ledger, "ann")
        ann, head = ledger.subject("ann").stream or "", ledger.recorder.head()
        with Runner(ledger.url, ledger.place.name) as runner:
            runner.catch_up(VERDICT_SPANS)
    with builders.admin(ledger_place) as connection:
        connection.execute("UPDATE projection_verdict_spans.verdict_spans SET gone = true")
    item = Item(given.at("10"), "chat")
    with Replica(DatabaseFeed(ledger_place)) as replica:
        replica.wait_for(head, SECONDS)
        assert replica.may_use(ann, given.TRAINING, item).reason == "erased"
        with away(ledger_place, server_url):
            until(lambda: replica.trouble is not None)
        with open_ledger(ledger_place) as ledger, Runner(ledger.url, ledger.place.name) as runner:
            rebuild(runner, VERDICT_SPANS)
            until(lambda: replica.may_use(ann, given.TRAINING, item, stalest=SECONDS).reason != "erased")


def test_a_rebuild_is_noticed_where_nothing_else_happens(
    ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.client.database_feed.REREAD_SECONDS", 0.1)
    builders.grant(ledger, "ann")
    ann = ledger.subject("ann").stream or ""
    item = Item(given.at("10"), "chat")
    with Runner(ledger.url, ledger.place.name) as runner, Replica(DatabaseFeed(ledger.place)) as replica:
        replica.wait_for(ledger.recorder.head(), SECONDS)
        with builders.admin(ledger.place) as connection:
            connection.execute("UPDATE projection_verdict_spans.verdict_spans SET gone = true")
        first = replica._held.standings
        rebuild(runner, VERDICT_SPANS)
        until(lambda: replica._held.standings is not first)
        assert replica.may_use(ann, given.TRAINING, item).reason != "erased"


def test_another_ledger_in_the_place_of_the_first_is_never_followed(ledger_place: Place, server_url: str) -> None:
    with open_ledger(ledger_place) as ledger:
        builders.grant(ledger, "ann")
        ann, head = ledger.subject("ann").stream or "", ledger.recorder.head()
    with Replica(DatabaseFeed(ledger_place)) as replica:
        replica.wait_for(head, SECONDS)
        other = another_in_its_place(ledger_place, ledger.identity.id)
        with away(ledger_place, server_url):
            until(lambda: replica.trouble is not None)
        until(lambda: replica.state is State.FAILED)
        assert (replica.trouble or "").startswith(f"expected a token of this ledger, {other.hex()}, found one of")
        with pytest.raises(Unavailable, match="found one that failed: expected a token of this ledger"):
            replica.may_use(ann, given.TRAINING, Item(given.at("10"), "chat"), stalest=SECONDS)


def test_a_ledger_that_was_set_back_is_never_followed(ledger_place: Place, server_url: str) -> None:
    with open_ledger(ledger_place) as ledger:
        builders.grant(ledger, "ann", "bob")
        head = ledger.recorder.head()
    with Replica(DatabaseFeed(ledger_place)) as replica:
        replica.wait_for(head, SECONDS)
        with away(ledger_place, server_url):
            until(lambda: replica.trouble is not None)
            replica._token = (replica._token or "").replace(f":{head}", f":{head + 1}")
        until(lambda: replica.state is State.FAILED)
    assert f"found {head + 1}, while the log ends at {head};" in (replica.trouble or "")


def test_an_embedded_server_that_is_killed_is_started_again() -> None:
    with tempfile.TemporaryDirectory(prefix="consent-replica-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        place = Place(None, folder / "ledger", folder / "state")
        create_ledger(place, None)
        with open_ledger(place) as ledger:
            builders.grant(ledger, "ann")
            head = ledger.recorder.head()
        with Replica(DatabaseFeed(place), stalest=SECONDS) as replica:
            replica.wait_for(head, SECONDS)
            os.kill(postmaster(folder / "ledger"), signal.SIGKILL)
            until(lambda: replica.trouble is not None)
            with open_ledger(place) as ledger:
                off = ledger.record("ann", builders.toggled("off"))
                replica.wait_for(off.position, SECONDS)
                assert reason(replica, ledger, "ann") == "collected-while-off"


def postmaster(directory: Path) -> int:
    (found,) = directory.rglob("postmaster.pid")
    return int(found.read_text().splitlines()[0])
