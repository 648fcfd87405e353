"""What a person does with the page, and where the answer stands."""

from __future__ import annotations

from playwright.sync_api import FilePayload, Locator, Page

from tests.proof.small_log import SmallLog
from tests.verifier.sample import LOG, ME, trust_in


def show(page: Page, log: SmallLog = LOG, *, bundle: bytes | None = None, trust: str = "", subject: str = ME) -> None:
    """Fills in the form and asks."""
    file = FilePayload(name="a bundle.json", mimeType="application/json", buffer=bundle or log.bundle_file())
    page.locator("#bundle").set_input_files(file)
    page.get_by_label("Whom do you trust?").fill(trust or trust_in(log))
    page.get_by_label("Whose history should it be?").fill(subject)
    page.get_by_role("button", name="Check it").click()


def verdict(page: Page) -> Locator:
    return page.get_by_role("region", name="The answer").get_by_role("heading", level=2).first
