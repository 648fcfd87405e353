"""What was recorded is in the log once, however often the way broke; what cannot be is said in the service's words."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.client import recorder as recorders
from ledger.client.recorder import Recorded, Recorder
from ledger.domain.entry import decode_entry
from ledger.domain.events import Accepted, DataUsedForTraining, TermsShown, ToggleChanged
from ledger.domain.times import format_time
from ledger.errors import InvalidInput, KeyReused, OutcomeUnknown, Refused, UnknownSubject
from ledger.proof.promise import parse_receipt
from ledger.settings import Place
from tests import builders as b
from tests.client.conftest import Start, until
from tests.client.proxy import Cut, Proxy
from tests.domain import given
from tests.service.conftest import Serve, Served

SHOWN: TermsShown = given.shown()
OFF = ToggleChanged(purpose=given.TRAINING, to="off", surface="privacy-settings", cause="person")


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "MOST_WAIT_SECONDS", 0.1)


@pytest.fixture
def recorder(ledger: ConsentLedger, served: Served, proxy: Proxy) -> Iterator[Recorder]:
    """Through the network that can be cut, to a ledger with the shipped terms."""
    ledger.publish(b.TERMS)
    with Recorder(proxy.url, served.token("record", "record:uses")) as recorder:
        yield recorder


def events_in(place: Place) -> list[str]:
    """The topics in the log after the terms."""
    return [decode_entry(stored).event for *_, stored in b.whole_log(place)[1:]]


def test_what_is_recorded_and_its_receipt(ledger: ConsentLedger, recorder: Recorder) -> None:
    first = recorder.record("ann", SHOWN, evidence="203.0.113.7")
    assert (first.position, first.version, first.repeated, first.no_receipt) == (2, 1, False, None)
    receipt = parse_receipt(first.receipt or b"")
    assert receipt.entry == ledger.recorder.page(1, 2)[0][-1]
    assert decode_entry(receipt.entry).evidence
    acted = datetime(2026, 1, 10, 20, 15, tzinfo=UTC)
    recorder.record("ann", Accepted(terms=SHOWN.terms, toggles=SHOWN.toggles, touched=[], plan="pro", surface="pop-up"))
    off = recorder.record("ann", OFF, occurred=acted, key="k1")
    again = recorder.record("ann", OFF, occurred=acted, key="k1")
    assert (again.position, again.repeated) == (off.position, True)
    used = DataUsedForTraining(
        run="elsewhere",
        purpose=given.TRAINING,
        items={"chat": 1},
        collected_from=format_time(acted),
        collected_until=format_time(acted),
        manifest="ab" * 32,
        attested=True,
    )
    recorder.record("ann", used)
    stream = ledger.subject("ann").stream or ""
    entries = [entry for _, entry in ledger.entries_of(stream)]
    assert [entry.event for entry in entries] == ["terms-shown", "accepted", "toggle-changed", "data-used-for-training"]
    assert entries[2].occurred == acted
    assert entries[3].data.attested


def test_it_occurred_when_it_was_called_and_not_when_it_came_through(
    ledger: ConsentLedger, recorder: Recorder, proxy: Proxy
) -> None:
    proxy.cut = "request"
    threading.Timer(0.5, setattr, [proxy, "cut", None]).start()
    called = datetime.now(UTC)
    told = recorder.record("ann", OFF)
    entry = decode_entry(bytes(ledger.recorder.page(told.position - 1, told.position)[0][-1]))
    assert 0 <= (entry.occurred - called).total_seconds() < 0.3
    assert (entry.recorded - called).total_seconds() >= 0.4


@pytest.mark.parametrize("cut", ["answer", "request"])
def test_where_the_way_broke_it_is_one_entry(cut: Cut, ledger: ConsentLedger, recorder: Recorder, proxy: Proxy) -> None:
    """An answer that is lost after the commit, and a request that never came."""
    proxy.cut, proxy.more = cut, 3
    told = recorder.record("ann", SHOWN)
    assert (proxy.cuts, told.repeated) == (3, cut == "answer")
    assert told.receipt
    assert events_in(ledger.place) == ["terms-shown"]


def test_many_at_once_through_a_bad_network(ledger: ConsentLedger, recorder: Recorder, proxy: Proxy) -> None:
    """Half of them ask for the same, under the same key."""
    proxy.cut, proxy.more = "answer", 40
    moment = datetime.now(UTC)

    def record(number: int) -> Recorded:
        who = number % 20
        return recorder.record(f"person-{who}", SHOWN, key=f"shown-{who}", occurred=moment)

    with ThreadPoolExecutor(16) as threads:
        told = list(threads.map(record, range(40)))
    assert proxy.cuts == 40
    assert events_in(ledger.place) == ["terms-shown"] * 20
    for number, one in enumerate(told):
        assert one.stream == ledger.subject(f"person-{number % 20}").stream
        assert one.position == told[number % 20].position


def test_a_service_that_is_killed_in_the_middle(ledger: ConsentLedger, ledger_place: Place, start: Start) -> None:
    """It is killed while requests are under way, and another one comes at the same address."""
    ledger.publish(b.TERMS)
    first = start("--without", "sequencer")
    token = Served(first.url, ledger_place).token("record")
    # The port is the system's to give, so the address that stays is the proxy's.
    address = [Served(first.url, ledger_place).address]
    network = Proxy(lambda: address[0])
    told: list[Recorded] = []
    with Recorder(network.url, token) as recorder, ThreadPoolExecutor(8) as threads, b.admin(ledger_place) as holder:
        holder.autocommit = False
        # Nobody commits while this is held: all of them are in the middle when it is killed.
        holder.execute("SELECT pg_advisory_xact_lock('ledger.log_entry'::regclass::oid::bigint)")
        asked = [threads.submit(recorder.record, f"person-{number}", SHOWN) for number in range(8)]
        until(lambda: waiting_for_the_log(ledger_place))
        first.running.kill()
        first.running.wait()
        holder.rollback()
        second = start("--without", "sequencer")
        address[0] = Served(second.url, ledger_place).address
        told = [one.result() for one in asked]
    network.close()
    assert events_in(ledger_place) == ["terms-shown"] * 8
    assert len({one.position for one in told}) == 8


def waiting_for_the_log(place: Place) -> bool:
    with b.admin(place) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone()
    return row is not None and row[0] > 0


def test_what_will_never_do_is_said_at_once(
    ledger: ConsentLedger, recorder: Recorder, served: Served, proxy: Proxy
) -> None:
    moment = datetime.now(UTC)
    recorder.record("ann", SHOWN, key="k", occurred=moment)
    with pytest.raises(KeyReused, match="expected "):
        recorder.record("ann", OFF, key="k", occurred=moment)
    with pytest.raises(Refused, match="expected an Accept before a toggle is set to on"):
        recorder.record("ann", given.toggled("on"))
    with pytest.raises(UnknownSubject):
        recorder.record("id:" + "0" * 32, SHOWN)
    with pytest.raises(InvalidInput, match="subject"):
        recorder.record("", SHOWN)
    with Recorder(proxy.url, served.token("read")) as reader, pytest.raises(Refused, match="scope"):
        reader.record("ann", SHOWN)
    with Recorder(proxy.url, "consent_" + "x" * 43) as nobody, pytest.raises(Refused, match="a token of this ledger"):
        nobody.record("ann", SHOWN)


def test_when_the_patience_is_at_its_end_nobody_knows(ledger: ConsentLedger, served: Served, proxy: Proxy) -> None:
    """A network that swallows everything, and a service that can take no more."""
    ledger.publish(b.TERMS)
    with Recorder(proxy.url, served.token("record"), patience=0.5) as recorder:
        proxy.cut = "swallow"
        with pytest.raises(OutcomeUnknown, match=r"within 0\.5 s, found none: .*ReadTimeout.*again with the same key"):
            recorder.record("ann", SHOWN)


def test_who_is_held_back_asks_again(ledger: ConsentLedger, serve: Serve) -> None:
    ledger.publish(b.TERMS)
    served = serve(rate=5)
    with Recorder(served.url, served.token("record")) as recorder:
        told = [recorder.record(f"person-{number}", SHOWN) for number in range(12)]
    assert [one.position for one in told] == list(range(2, 14))


BAD = {
    "a token with more in it": ("https://consent.example", "consent_" + "x" * 43 + "\nX: y", "expected a token"),
    "no URL": ("consent.example", "consent_" + "x" * 43, "expected the service's URL"),
    "a password in it": ("https://a:secret@consent.example", "consent_" + "x" * 43, "the token has its own place"),
    "a query": ("https://consent.example?token=secret", "consent_" + "x" * 43, "the token has its own place"),
    "for all to read": ("http://consent.example", "consent_" + "x" * 43, "expected https"),
}


@pytest.mark.parametrize(("url", "token", "says"), BAD.values(), ids=list(BAD))
def test_what_is_no_address_or_token(url: str, token: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as raised:
        Recorder(url, token)
    assert "secret" not in str(raised.value)
    assert "xxx" not in str(raised.value)


def test_the_token_is_in_no_error_and_no_log(
    ledger: ConsentLedger, served: Served, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.publish(b.TERMS)
    token = served.token("record")
    proxy.cut = "answer"
    with caplog.at_level(logging.DEBUG), Recorder(proxy.url, token, patience=0.3) as recorder:
        with pytest.raises(OutcomeUnknown) as raised:
            recorder.record("somebody@example.org", SHOWN)
        assert token not in repr(vars(recorder))
    for said in (caplog.text, str(raised.value), repr(raised.value)):
        assert token not in said
        assert "somebody" not in said


def test_the_services_certificate_is_verified(
    ledger: ConsentLedger, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.publish(b.TERMS)
    certificate, key = tmp_path / "c", tmp_path / "k"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    served = start("--without", "sequencer", "--certificate", str(certificate), "--certificate-key", str(key))
    token = Served(served.url, ledger.place).token("record")
    with (
        Recorder(served.url, token, patience=0.3) as recorder,
        pytest.raises(OutcomeUnknown, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        recorder.record("ann", SHOWN)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Recorder(served.url, token) as recorder:
        assert recorder.record("ann", SHOWN).position == 2


def test_it_loads_neither_a_database_nor_the_service() -> None:
    loaded = "import ledger.client.recorder, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    for package in ("ledger.store", "ledger.service", "psycopg", "eventsourcing", "duckdb", "fastapi"):
        assert package not in done.stdout.split()
