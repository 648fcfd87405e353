"""The whole story by clicks, in a real browser, with scripts and without: from the pop-up to a bundle that verifies."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from ledger.application import ConsentLedger
from ledger.sequencer.steps import sequence
from tests import builders as b
from tests.chromium import DEADLINE
from tests.cli.conftest import run as consent
from tests.gate.runs import filtered, item, jsonl, permitted, rows_of
from tests.service.conftest import Served
from tests.service.pages.conftest import POP_UP, link

TOGGLE = "Allow the use of your chats and coding sessions to train and improve Anthropic AI models"
SETTING = "Help improve Claude"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_the_whole_story(
    browser: Browser, ledger: ConsentLedger, visited: Served, tmp_path: Path, scripts: bool
) -> None:
    with browser.new_context(java_script_enabled=scripts, base_url=visited.url, accept_downloads=True) as context:
        context.set_default_timeout(DEADLINE)
        page = context.new_page()
        accept_untouched(page, link(visited, POP_UP))
        while_on = run(ledger, tmp_path, "while-on", b.now_of(ledger), b.now_of(ledger))
        assert [row["item"] for row in permitted(while_on)] == ["while-on"]

        turn_off(page)
        expect(page.get_by_role("list").get_by_text("went into the training run while-on")).to_be_visible()
        sequence(ledger)
        bundle = download(page, tmp_path)
    events = [entry.event for _, entry in ledger.entries_of(ledger.subject("ann").stream or "")]
    assert events == ["terms-shown", "accepted", "data-used-for-training", "toggle-changed"]

    key = consent("keys", "show", place=ledger.place).stdout.strip()
    subject = ledger.subject("ann").subject_id
    assert subject is not None
    verified = consent("--json", "verify", bundle, "--key", key, "--subject", f"id:{subject.hex()}")
    assert verified.returncode == 0, verified.stdout + verified.stderr

    after = run(ledger, tmp_path, "after", b.now_of(ledger), b.now_of(ledger))
    assert [row["reason"] for row in rows_of(after / "refused.parquet")] == ["collected-while-off"]
    assert [row["item"] for row in permitted(while_on)] == ["while-on"]


def accept_untouched(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_role("heading", name="Updates to Consumer Terms and Policies")).to_be_visible()
    expect(page.get_by_text("will take effect on September 28, 2025")).to_be_visible()
    expect(page.get_by_role("switch", name=TOGGLE)).to_be_checked()
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(page.get_by_role("definition").filter(has_text="untouched")).to_contain_text("On")


def turn_off(page: Page) -> None:
    page.get_by_role("link", name="Privacy Settings").click()
    toggle = page.get_by_role("switch", name=SETTING)
    expect(toggle).to_have_attribute("aria-checked", "true")
    expect(page.get_by_role("region", name="Your choices")).to_contain_text("untouched")
    toggle.click()
    expect(toggle).to_have_attribute("aria-checked", "false")
    history = page.get_by_role("region", name="Your history")
    expect(history.get_by_text(f"“{SETTING}” On (untouched")).to_be_visible()
    expect(history.get_by_text(f"“{SETTING}” was turned Off by you")).to_be_visible()


def download(page: Page, folder: Path) -> Path:
    page.reload()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download your history").click()
    assert downloading.value.suggested_filename == "consent-history.json"
    bundle = folder / "bundle.json"
    downloading.value.save_as(bundle)
    assert json.loads(bundle.read_bytes())
    return bundle


def run(ledger: ConsentLedger, folder: Path, name: str, collected: datetime, started: datetime) -> Path:
    """One item of ann's through the gate."""
    items = jsonl(folder / f"{name}.jsonl", item("ann", name, collected, kind="chat"))
    filtered(ledger, items, folder / name, run=name, started=started)
    return folder / name
