"""The verifier page opened in the system's Chromium, from the disk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.chromium import DEADLINE, browser
from tests.verifier.page import PAGE, Verifier

__all__ = ["browser"]


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        context.set_default_timeout(DEADLINE)
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
