"""The system's Chromium, for whatever is looked at in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.needed import leave_out

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
DEADLINE = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module, and no longer: Playwright keeps an event loop while it runs."""
    chromium = shutil.which("chromium")
    if chromium is None:
        leave_out("no Chromium of the system's: install `chromium`")
    expect.set_options(timeout=DEADLINE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS, timeout=DEADLINE)
        yield browser
        browser.close()
