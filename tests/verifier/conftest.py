"""The system's Chromium, and the verifier page opened in it from the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.verifier.page import PAGE, Verifier

#: No sandbox, since tests run as root in containers; and nothing that would look for a network.
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: A busy machine takes its time.
_DEADLINE = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module, and no longer: Playwright keeps an event loop while it runs."""
    chromium = shutil.which("chromium")
    if chromium is None:
        reason = "no Chromium of the system's: install `chromium`"
        if os.environ.get("CONSENT_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=_DEADLINE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS, timeout=_DEADLINE)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        context.set_default_timeout(_DEADLINE)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """The page, freshly opened."""
    page = context.new_page()
    page.goto(PAGE.as_uri())
    yield page
    page.close()


@pytest.fixture(scope="module")
def verifier(context: BrowserContext) -> Verifier:
    """The page's functions, for many questions to one page."""
    page = context.new_page()
    page.goto(PAGE.as_uri())
    return Verifier(page)
