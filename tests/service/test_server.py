"""The server: what never sends its request is closed while others are served, and nothing about people is logged."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.application import ConsentLedger
from ledger.errors import InvalidInput
from ledger.service.protocol import LARGEST_HEAD
from ledger.service.server import Listening
from ledger.settings import Place
from tests import builders as b
from tests.cli.conftest import ROOT, run
from tests.service.conftest import SECONDS, Serve, Served
from tests.service.test_routes import OFF, SHOWN, event

HEAD = b"POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def connected(served: Served) -> socket.socket:
    connection = socket.create_connection(served.address, timeout=SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def closed_after(connection: socket.socket, began: float) -> float:
    """Seconds until the service hung up."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - began


@pytest.mark.parametrize(
    "sent",
    [
        [],  # nothing at all
        [b"GET /"] + [b"a"] * 30,  # a byte now and then
        [HEAD] + [b"X-A: b\r\n"] * 30,  # headers now and then
        [HEAD + b"Content-Length: 100\r\n\r\n"] + [b" "] * 30,  # a body now and then
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n"] + [b"1\r\n \r\n"] * 30,
        [b"\r\n"] * 30,  # empty lines, which begin no request
        [b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", *[b"\r\n"] * 30],  # and after a request that was answered
    ],
)
def test_who_is_slow_is_closed_while_others_are_served(serve: Serve, sent: list[bytes]) -> None:
    served = serve(receive_seconds=1.0)
    began = time.monotonic()
    with connected(served) as slow, httpx.Client(base_url=served.url) as client:

        def dribble() -> None:
            try:
                for part in sent:
                    slow.sendall(part)
                    time.sleep(0.2)
            except OSError:
                return  # hung up on

        sending = threading.Thread(target=dribble)
        sending.start()
        others = [client.get("/healthz").status_code for _ in range(5)]
        took = closed_after(slow, began)
        sending.join()
    assert others == [200] * 5
    assert 0.9 <= took < 6


def test_an_answer_may_take_longer_than_a_request(serve: Serve, ledger: ConsentLedger) -> None:
    served = serve(receive_seconds=0.5)
    quick = ledger.recorder.head

    def head() -> int:
        time.sleep(1.5)
        return quick()

    ledger.recorder.head = head  # type: ignore[method-assign]
    with httpx.Client(base_url=served.url, timeout=SECONDS) as client:
        assert client.get("/readyz").status_code == 200


def answered(served: Served, *parts: bytes) -> bytes:
    with connected(served) as connection:
        for part in parts:
            connection.sendall(part)
        found = b""
        try:
            while chunk := connection.recv(4096):
                found += chunk
        except ConnectionError:
            pass
        return found


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nX-A: " + b"a" * (LARGEST_HEAD + 1), b"431"),
        (b"GET /healthz HTTP/1.1\r\nX-A: " + b"a" * (LARGEST_HEAD + 1) + b"\r\n\r\n", b"431"),
        (b"GET /" + b"a" * (LARGEST_HEAD + 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (b"hello\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST /v1/status HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    ],
)
def test_heads_that_are_too_long_or_none(served: Served, sent: bytes, status: bytes) -> None:
    found = answered(served, sent)
    assert found.startswith(b"HTTP/1.1 " + status), found
    assert b"application/problem+json" in found
    assert json.loads(found.partition(b"\r\n\r\n")[2])["detail"].startswith("expected ")


def test_no_more_connections_than_there_may_be(serve: Serve) -> None:
    served = serve(connections=3)
    idle = [connected(served) for _ in range(3)]
    time.sleep(0.2)
    assert answered(served, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 503")
    for one in idle:
        one.close()
    time.sleep(0.2)
    with httpx.Client(base_url=served.url) as client:
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])  # noqa: S104 - refused
def test_the_open_network_needs_tls_or_a_proxy(host: str) -> None:
    with pytest.raises(InvalidInput, match="loopback"):
        Listening(host).check()
    Listening(host, proxies=["192.0.2.7"]).check()
    Listening(host, certificate=Path("c"), key=Path("k")).check()
    with pytest.raises(InvalidInput, match="both"):
        Listening(host, certificate=Path("c")).check()


class Process:
    """`consent serve`, as its users run it."""

    def __init__(self, place: Place, *arguments: str) -> None:
        environment = {**os.environ, "CONSENT_LEDGER": place.url or "", "CONSENT_STATE": str(place.state)}
        # Not a pipe: one that nobody empties is full after 64 KiB, and the service would wait for ever to log.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - until it has ended
        self.running = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "--json", "serve", "--port", "0", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self.running.stdout is not None
        line = self.running.stdout.readline()
        self.url: str = json.loads(line)["url"] if line else ""

    def stop(self, number: int = signal.SIGTERM) -> str:
        """The exit status is 0, and what it logged."""
        self.running.send_signal(number)
        out, _ = self.running.communicate(timeout=SECONDS)
        self._log.seek(0)
        logged = self._log.read()
        self._log.close()
        assert self.running.returncode == 0, logged
        assert out == ""
        return logged

    def kill(self) -> None:
        """Ends it at once, if it still runs."""
        self.running.kill()
        if self.running.stdout is not None and not self.running.stdout.closed:
            self.running.communicate()
        self._log.close()


@pytest.fixture
def process(ledger: ConsentLedger, ledger_place: Place) -> Iterator[Process]:
    ledger.publish(b.TERMS)
    started = Process(ledger_place)
    yield started
    started.kill()


def test_served_and_stopped(process: Process, ledger: ConsentLedger, ledger_place: Place) -> None:
    """The whole of it: a token of the command's, an event, its checkpoint, its projections, a stop."""
    arguments = [
        "tokens",
        "create",
        *(part for scope in ("record", "read", "pages") for part in ("--scope", scope)),
        "product",
    ]
    token = run(*arguments, place=ledger_place).stdout.strip()
    identity = "somebody-whom-no-log-may-name@example.org"
    with httpx.Client(base_url=process.url, headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS) as client:
        told = client.post("/v1/events", json=event("terms-shown", SHOWN, identity, evidence="203.0.113.77"))
        assert told.status_code == 201
        assert told.json()["receipt"]
        position = told.json()["position"]
        deadline = time.monotonic() + SECONDS
        while client.post("/v1/receipts", json={"position": position}).json()["kind"] != "proof":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert client.get("/readyz").status_code == 200
        assert 'consent_up{part="sequencer"} 1.0' in client.get("/metrics").text
        # What may be logged of errors, of paths, of queries, of refusals.
        client.post("/v1/events", json=event("toggle-changed", OFF | {"to": "on"}, identity))
        client.post("/v1/status", json={"subject": f"{identity}-nobody"})
        client.get(f"/v1/status/{identity}")
        client.get(f"/v1/terms?subject={identity}&token={token}")
        client.get("/v1/terms", headers={"Authorization": f"Bearer {token}x"})
        client.post("/v1/events", content=f'{{"subject": "{identity}"'.encode())
        link = client.post("/v1/links", json={"page": "pop-up", "subject": identity, "plan": "pro"}).json()["url"]
        cookie = client.get(link).headers["set-cookie"].partition(";")[0]
        assert client.get("/pages/pop-up", headers={"Cookie": cookie}).status_code == 200
        assert client.get(link).status_code == 404
    secrets = (link.rpartition("/")[2], cookie.partition("=")[2])
    answered_raw = socket.create_connection((httpx.URL(process.url).host, httpx.URL(process.url).port or 0))
    answered_raw.sendall(f"{identity} {token}\r\n\r\n".encode())
    answered_raw.close()
    logged = process.stop()
    for secret in (identity, "somebody", token, *secrets, "203.0.113.77", told.json()["stream"], "127.0.0.1", "Bearer"):
        assert secret not in logged, secret
    assert not re.search("consent_[A-Za-z0-9_-]{43}", logged)
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    requests: list[dict[str, Any]] = [line for line in lines if line["what"] == "request"]
    assert {name: requests[0][name] for name in ("method", "route", "status")} == {
        "method": "POST",
        "route": "/v1/events",
        "status": 201,
    }
    assert any(line["route"] == "none" and line["status"] == 404 for line in requests)
    assert any(line["what"] == "checkpoint" for line in lines)
    assert not [line for line in logged.splitlines() if not line.startswith("{")]


def test_however_much_it_logs_it_goes_on(process: Process) -> None:
    """More than a pipe holds; each request is in what it logged."""
    with httpx.Client(base_url=process.url, timeout=SECONDS) as client:
        for _ in range(1_000):
            client.get("/healthz")
    logged = process.stop()
    assert len(logged) > 2**16
    assert sum(json.loads(line)["what"] == "request" for line in logged.splitlines()) == 1_000


def test_an_interrupt_ends_it_too(process: Process) -> None:
    process.stop(signal.SIGINT)


def test_what_is_being_answered_is_answered(process: Process, ledger: ConsentLedger, ledger_place: Place) -> None:
    """An append that waits for the log's lock when the service is told to stop is acknowledged, and there."""
    token = Served(process.url, ledger_place).token()
    with b.admin(ledger_place) as holder, httpx.Client(timeout=SECONDS) as client:
        holder.autocommit = False
        holder.execute("SELECT pg_advisory_xact_lock('ledger.log_entry'::regclass::oid::bigint)")
        answers: list[httpx.Response] = []

        def ask() -> None:
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{process.url}/v1/events"
            answers.append(client.post(url, json=event("terms-shown", SHOWN), headers=headers))

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(1)
        process.running.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        holder.rollback()
        asking.join()
    assert answers[0].status_code == 201
    assert ledger.recorder.head() >= answers[0].json()["position"]
    assert process.running.wait(SECONDS) == 0


def test_tls(ledger_place: Place, tmp_path: Path) -> None:
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
    started = Process(ledger_place, "--certificate", str(certificate), "--certificate-key", str(key))
    assert started.url.startswith("https://")
    context = ssl.create_default_context(cafile=str(certificate))
    assert httpx.get(f"{started.url}/healthz", verify=context).status_code == 200
    started.stop()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--host", "0.0.0.0"], 2, "loopback"),  # noqa: S104 - refused
        (["--certificate", "c"], 2, "both"),
        (["--certificate", "missing", "--certificate-key", "missing"], 3, "certificate"),
        (["--rate", "0"], 2, "rate"),
        (["--without", "everything"], 2, "without"),
    ],
)
def test_wrong_usage(ledger_place: Place, arguments: list[str], status: int, says: str) -> None:
    done = run("serve", "--port", "0", *arguments, place=ledger_place)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
