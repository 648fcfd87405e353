"""A commit whose answer was cut off is looked up; where it cannot be, the caller hears so and asks again."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from ledger.application import ConsentLedger, Recorded, open_ledger
from ledger.errors import OutcomeUnknown, Unavailable
from ledger.errors import SubjectErased as AlreadyErased
from ledger.settings import Place
from ledger.store.database import connect
from ledger.store.writer import Append, Outcome, Writer
from tests import builders as b
from tests import servers
from tests.store.proxy import Proxy


@pytest.fixture
def proxy(ledger_place: Place) -> Iterator[Proxy]:
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:  # short: a socket's path has at most 107 bytes
        proxy = Proxy(ledger_place.url or "", Path(folder))
        yield proxy
        proxy.close()


@pytest.fixture
def cut_off(ledger_place: Place, proxy: Proxy) -> Iterator[ConsentLedger]:
    """A ledger behind the proxy; anna was shown the terms and accepted them, at positions 2 and 3."""
    with open_ledger(replace(ledger_place, url=proxy.url)) as ledger:
        b.grant(ledger, "anna")
        yield ledger


def test_committed_before_the_cut_is_told_stored(cut_off: ConsentLedger, proxy: Proxy, ledger_place: Place) -> None:
    proxy.cut = "after"
    assert cut_off.record("anna", b.toggled("off"), key="k").position == 4
    assert proxy.cuts == 1
    again = cut_off.record("anna", b.toggled("off"), key="k")
    assert (again.position, again.repeated) == (4, True)
    assert len(b.whole_log(ledger_place)) == 4


def test_cut_before_the_commit_is_unknown(cut_off: ConsentLedger, proxy: Proxy, ledger_place: Place) -> None:
    proxy.cut = "before"
    with pytest.raises(OutcomeUnknown, match="ask again, with the same key"):
        cut_off.record("anna", b.toggled("off"), key="k")
    assert len(b.whole_log(ledger_place)) == 3
    assert cut_off.record("anna", b.toggled("off"), key="k") == Recorded(4, cut_off.subject("anna").stream or "")
    assert len(b.whole_log(ledger_place)) == 4


def test_committed_after_the_caller_was_told_unknown(cut_off: ConsentLedger, proxy: Proxy, ledger_place: Place) -> None:
    """The server still works on it when the connection breaks, and stores it after the look-up found nothing."""
    with b.admin(ledger_place) as admin:
        admin.execute("SELECT pg_advisory_lock('ledger.log_entry'::regclass::oid::bigint)")
        proxy.cut = "during"
        with pytest.raises(OutcomeUnknown):
            cut_off.record("anna", b.toggled("off"), key="k")
    wait_until(lambda: len(b.whole_log(ledger_place)) == 4)
    again = cut_off.record("anna", b.toggled("off"), key="k")
    assert (again.position, again.repeated) == (4, True)


def test_another_entry_at_the_place_is_a_conflict(cut_off: ConsentLedger, proxy: Proxy, ledger_place: Place) -> None:
    """What was cut off has lost its version to another; so it is not stored, and that is known."""
    stream = cut_off.subject("anna").stream or ""
    proxy.cut = "before"
    stale = b.append_of(stream, 2, b.now_of(cut_off), nonce=7)
    assert cut_off.writer.append(stale).name == "conflict"
    assert proxy.cuts == 1


@pytest.mark.parametrize("cut", ["before", "after"])
def test_each_of_a_batch_is_looked_up(cut_off: ConsentLedger, proxy: Proxy, cut: str) -> None:
    proxy.cut = "before" if cut == "before" else "after"
    now = b.now_of(cut_off)
    answers = cut_off.writer.append_all([b.append_of(b.stream_of(n), 1, now, nonce=n) for n in range(5)])
    if cut == "before":
        assert all(isinstance(answer, OutcomeUnknown) for answer in answers)
    else:
        assert [a.position for a in answers if isinstance(a, Outcome) and a.name == "stored"] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(("cut", "stored"), [("before", False), ("after", True)])
def test_an_erasure_cut_off_is_unknown(cut_off: ConsentLedger, proxy: Proxy, cut: str, stored: bool) -> None:
    """Its append is answered before its commit, so either way nothing was erased, or asking again says that it was."""
    proxy.cut = "before" if cut == "before" else "after"
    if not stored:
        with pytest.raises(OutcomeUnknown):
            cut_off.erase("anna", "request")
        assert cut_off.erase("anna", "request").position == 4
    else:
        # Inside a transaction the server is not idle after the append: this cut waits for the COMMIT itself.
        with pytest.raises(OutcomeUnknown):
            cut_off.erase("anna", "request")
        with pytest.raises(AlreadyErased):
            cut_off.erase("anna", "request")


def test_a_connection_lost_while_idle_is_nobodys_concern(ledger: ConsentLedger, ledger_place: Place) -> None:
    b.grant(ledger, "anna")
    with b.admin(ledger_place) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert ledger.record("anna", b.toggled("off")).position == 4


def test_a_server_restarted_while_idle(tmp_path_factory: pytest.TempPathFactory, system_url: str) -> None:
    """And while it is down, an append says so: nothing was sent, so nothing is unknown."""
    programs = servers.system_programs()
    assert programs is not None
    with tempfile.TemporaryDirectory(prefix="restarted-") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / "system"
        url = servers.start_system(programs, home)
        try:
            writer = Writer(lambda: connect(url, "the server"))
            with connect(url, "the server") as connection:
                connection.execute("SELECT 1")
            create_ledger_at(url, tmp_path_factory.mktemp("state"))
            assert writer.append(append_now(url, 1)).position == 1
            servers.stop_system(home)
            with pytest.raises(Unavailable) as unavailable:
                writer.append(Append(b.stream_of(2), 1, [b"never sent"]))
            assert not isinstance(unavailable.value, OutcomeUnknown)
            servers.start_system(programs, home)
            assert writer.append(append_now(url, 2)).position == 2
            writer.close()
        finally:
            servers.stop_system(home)


def create_ledger_at(url: str, state: Path) -> None:
    from ledger.store import schema

    schema.create(url, "the server", "ledger.test", state)


def append_now(url: str, number: int) -> Append:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT ledger.clock()").fetchone()
    assert row is not None
    return b.append_of(b.stream_of(number), 1, row[0], nonce=number)


def test_a_statement_that_fails_is_no_lost_connection(ledger: ConsentLedger, ledger_place: Place) -> None:
    """The server itself says that nothing was stored: so the caller hears, and can simply try again."""
    b.grant(ledger, "anna")
    with b.admin(ledger_place) as admin:
        admin.execute("SELECT pg_advisory_lock('ledger.log_entry'::regclass::oid::bigint)")
        failed: list[Exception] = []

        def record() -> None:
            try:
                ledger.record("anna", b.toggled("off"))
            except Unavailable as error:
                failed.append(error)

        caller = threading.Thread(target=record)
        caller.start()
        cancel = (
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event = 'advisory'"
        )
        wait_until(lambda: admin.execute(cancel).fetchone() is not None)
        caller.join(10)
    assert len(failed) == 1
    assert not isinstance(failed[0], OutcomeUnknown)
    assert ledger.record("anna", b.toggled("off")).position == 4


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.01)
