"""The product of docs/integrating.md, run: it sends people to the pages, and asks its replica for every chat."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser

from ledger.application import ConsentLedger
from tests import builders as b
from tests.client.conftest import SECONDS, until
from tests.service.conftest import Served, serve, served
from tests.verifier.conftest import browser

__all__ = ["browser", "serve", "served"]

APP = Path(__file__).parents[2] / "examples" / "product" / "app.py"


@pytest.fixture
def product(ledger: ConsentLedger, served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """As it runs beside a service with the shipped terms; this client has signed in as ann."""
    ledger.publish(b.TERMS)
    monkeypatch.setenv("CONSENT_SERVICE", served.url)
    monkeypatch.setenv("CONSENT_READ_TOKEN", served.token("read"))
    monkeypatch.setenv("CONSENT_PAGES_TOKEN", served.token("pages"))
    spec = importlib.util.spec_from_file_location("product", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with running(module.app) as url, httpx.Client(base_url=url, timeout=SECONDS) as client:
        assert client.post("/sign-in", data={"user": "ann"}).status_code == 303
        yield client


@contextmanager
def running(app: Any) -> Iterator[str]:
    """On uvicorn, as its page says to start it."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        until(lambda: server.started or not thread.is_alive())
        assert server.started
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        thread.join(SECONDS)


def chat(product: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = product.post("/chats", data={"text": "hello"}).json()
    return answer


def candidate_by(product: httpx.Client, expected: bool) -> str:
    """The reason, once the answer is the expected one: a replica hears of a decision a moment later."""
    deadline = time.monotonic() + SECONDS
    while (answer := chat(product))["candidate"] is not expected:
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    return str(answer["reason"])


def test_a_chat_is_a_candidate_while_its_person_allows_it(product: httpx.Client, ledger: ConsentLedger) -> None:
    assert chat(product)["candidate"] is False
    ledger.record("ann", b.shown())
    ledger.record("ann", b.accepted())
    assert candidate_by(product, True) == "granted"
    ledger.record("ann", b.toggled("off"))
    assert candidate_by(product, False) == "collected-while-off"
    assert chat(product)["answer"] == "HELLO"


def test_the_pop_up_by_clicks(product: httpx.Client, ledger: ConsentLedger, browser: Browser) -> None:
    """Signed in, shown the terms, Accept without touching: the next chat is a candidate. The settings open too."""
    with browser.new_context() as context:
        context.set_default_timeout(SECONDS * 1_000)
        home = str(product.base_url)
        context.request.post(f"{home}/sign-in", form={"user": "ann"}, max_redirects=0)
        page = context.new_page()
        page.goto(home)
        page.get_by_role("button", name=b.TERMS.notice.accept).click()
        assert candidate_by(product, True) == "granted"
        page.goto(f"{home}/settings")
        assert page.get_by_text(b.TERMS.purposes[0].settings_wording).first.is_visible()
        assert "ann" not in page.url
    entries = [entry for _, entry in ledger.entries_of(ledger.subject("ann").stream or "")]
    assert [entry.event for entry in entries] == ["terms-shown", "accepted"]
    assert entries[1].data.touched == []


def test_who_is_not_signed_in_is_nobody(product: httpx.Client) -> None:
    product.cookies.clear()
    assert [product.get("/").status_code, product.get("/settings").status_code] == [401, 401]
