"""Pages of a running service: opened by their links, in a browser or by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from ledger.application import ConsentLedger
from ledger.service.pages.sessions import COOKIE
from tests import builders as b
from tests.chromium import browser
from tests.service.conftest import SECONDS, Served

__all__ = ["browser"]

POP_UP: dict[str, Any] = {"page": "pop-up", "subject": "ann", "plan": "pro"}
SETTINGS: dict[str, Any] = {"page": "settings", "subject": "ann"}
#: Entries that are appended together.
BATCH = 1_000
OPERATORS: dict[str, Any] = {"page": "operators"}


def link(served: Served, asked: dict[str, Any]) -> str:
    """The path of a fresh link."""
    with served.client("pages", "read") as product:
        answer = product.post("/v1/links", json=asked)
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    return url


def lengthened(ledger: ConsentLedger, named: str, total: int) -> None:
    """Somebody who accepted, and was shown the terms again until they have so many entries."""
    b.grant(ledger, named)
    stream = ledger.subject(named).stream or ""
    for first in range(3, total + 1, BATCH):
        more = b.append_of(stream, first, b.now_of(ledger), min(BATCH, total + 1 - first))
        (outcome,) = ledger.recorder.insert_many([more])
        assert outcome.name == "stored"


@dataclass
class Visitor:
    """A browser that a test can make do what no browser does; it keeps its one cookie by hand, for that is `Secure`."""

    url: str
    headers: dict[str, str] = field(default_factory=lambda: {"Sec-Fetch-Site": "same-origin"})

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        with httpx.Client(base_url=self.url, timeout=SECONDS) as client:
            return client.request(method, path, headers=self.headers | more.pop("headers", {}), **more)

    def open(self, link: str) -> httpx.Response:
        """Opens the link, keeps the cookie, and sees the page that it leads to."""
        opened = self.ask("GET", link)
        assert opened.status_code == 303, opened.text
        self.headers["Cookie"] = opened.headers["set-cookie"].partition(";")[0]
        assert self.headers["Cookie"].startswith(f"{COOKIE}=")
        return self.ask("GET", opened.headers["location"])

    def send(self, path: str, page: httpx.Response) -> httpx.Response:
        """Sends a form of the page as it stands."""
        return self.ask("POST", path, data=fields(page, path))


def fields(page: httpx.Response, path: str) -> dict[str, str]:
    """What a browser without scripts sends of the page's first form to this path, as it was shown."""
    form = re.findall(rf'<form[^>]* action="{re.escape(path)}".*?</form>', page.text, re.DOTALL)[0]
    found = re.findall(r'<input [^>]*?name="([^"]*)" value="([^"]*)"([^>]*)>', form)
    return {
        name: value
        for name, value, rest in found
        if "disabled" not in rest and ("data-touched" not in rest or " checked" in rest)
    }


@pytest.fixture
def visited(ledger: ConsentLedger, served: Served) -> Served:
    """A service over the shipped terms."""
    ledger.publish(b.TERMS)
    return served


@pytest.fixture
def ann(visited: Served) -> Visitor:
    return Visitor(visited.url)
