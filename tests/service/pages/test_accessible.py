"""Every page for everybody: axe-core finds nothing serious, light and dark, on a phone and on a desk."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from ledger.application import ConsentLedger
from ledger.domain.times import format_time
from ledger.projections import PROJECTIONS
from ledger.projections.runner import Runner
from ledger.service.pages.history import ENTRIES
from tests import builders as b
from tests.chromium import DEADLINE
from tests.domain import given
from tests.gate.runs import filtered, item, jsonl
from tests.service.conftest import Served
from tests.service.pages.conftest import OPERATORS, POP_UP, SETTINGS, lengthened, link

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 900}
#: axe's own words for what keeps somebody out, or nearly.
SERIOUS = ("serious", "critical")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture
def lived(ledger: ConsentLedger, visited: Served, tmp_path: Path) -> Served:
    """Two people with a history, one with newer terms to decide on; uses, refusals and projections."""
    b.grant(ledger, "bob", "cid")
    lengthened(ledger, "dan", 3 * ENTRIES)
    ledger.record("ann", b.shown())
    ledger.record("ann", b.accepted())
    now = b.now_of(ledger)
    items = jsonl(tmp_path / "items.jsonl", item("ann", "one", now, kind="chat"), item("bob", "two", now, kind="chat"))
    filtered(ledger, items, tmp_path / "run", run="spring", started=b.now_of(ledger))
    ledger.record("ann", b.toggled("off"))
    ledger.publish(given.terms("2026-05-01", purposes={"model-training": ["chat"], "research": ["chat"]}))
    with Runner(ledger.url, ledger.place.name) as runner:
        for projection in PROJECTIONS.values():
            runner.catch_up(projection)
    with visited.client("read") as client:
        for name in ("ann", "bob", "nobody"):
            asked = {"subject": name, "collected_at": format_time(now), "purpose": "model-training"}
            assert client.post("/v1/check", json=asked).status_code == 200
    return visited


def serious(page: Page) -> list[tuple[str, Any]]:
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in SERIOUS]


def test_nothing_keeps_anybody_out(browser: Browser, lived: Served, tmp_path: Path) -> None:
    """The pictures of it stay with pytest's other files, to be looked at."""
    with browser.new_context(base_url=lived.url) as context:
        context.set_default_timeout(DEADLINE)
        page = context.new_page()

        def look(name: str) -> None:
            for (shape, size), scheme in product({"phone": PHONE, "desk": DESK}.items(), SCHEMES):
                page.set_viewport_size(size)
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=tmp_path / f"{name}-{shape}-{scheme}.png", full_page=True)
                assert serious(page) == [], (name, shape, scheme)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, shape)

        page.goto(link(lived, POP_UP))
        look("pop-up")
        page.goto(link(lived, SETTINGS))
        look("settings")
        page.goto(link(lived, SETTINGS | {"subject": "dan"}))
        look("settings of somebody with a long history")
        page.get_by_role("link", name="Older entries").click()
        look("history")
        page.goto(link(lived, SETTINGS))
        page.goto("/pages/pop-up")
        page.get_by_role("button").click()
        page.wait_for_url("**/pages/accepted")
        look("accepted")
        page.goto(link(lived, OPERATORS))
        for details in page.locator("details summary").all():
            details.click()
        look("operators")
        context.clear_cookies()
        page.goto("/pages/settings")
        look("problem")


def test_what_keeps_somebody_out_is_found(browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content("<input><p style='color:#ccc;background:#fff'>pale")
        assert {"color-contrast", "label"} <= {name for name, _ in serious(page)}
