"""A long history in pages: every entry on one of them, none of them large, and nobody's but one's own."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Browser, expect

from ledger.application import ConsentLedger
from ledger.sequencer.steps import sequence
from ledger.service.pages.history import ENTRIES
from ledger.service.pages.routing import POLICY
from tests import builders as b
from tests.chromium import DEADLINE
from tests.service.conftest import Served
from tests.service.pages.conftest import OPERATORS, SETTINGS, Visitor, lengthened, link
from tests.service.pages.test_hostile import refused

#: In bytes: some two thousand an entry.
LARGEST_PAGE = 100_000


def numbers(page: httpx.Response) -> list[int]:
    """The entries that a page shows, as it shows them."""
    assert page.status_code == 200, page.text
    return [int(value) for value in re.findall(r'<li value="(\d+)">', page.text)]


def leads(page: httpx.Response, words: str) -> str | None:
    found = re.search(rf'<a href="([^"]*)"[^>]*>{words}</a>', page.text)
    return None if found is None else found[1]


@pytest.mark.parametrize("total", [2, ENTRIES, ENTRIES + 1, 2 * ENTRIES, 2 * ENTRIES + 7])
def test_all_entries_are_on_some_page_in_their_order(
    ledger: ConsentLedger, visited: Served, ann: Visitor, total: int
) -> None:
    lengthened(ledger, "ann", total)
    page = ann.open(link(visited, SETTINGS))
    assert leads(page, "Newer entries") is None
    found = numbers(page)
    while path := leads(page, "Older entries"):
        assert re.fullmatch(r"/pages/history/[1-9]\d*", path)
        page = ann.ask("GET", path)
        assert f"Entries {numbers(page)[-1]} to {numbers(page)[0]} of {total}" in page.text
        found += numbers(page)
    assert found == list(range(total, 0, -1))

    back = set(numbers(page))
    while path := leads(page, "Newer entries"):
        page = ann.ask("GET", path.removesuffix("#history"))
        back |= set(numbers(page))
    assert back == set(found)
    assert "<h1>Privacy Settings</h1>" in page.text


def test_the_oldest_are_one_step_away(ledger: ConsentLedger, visited: Served, ann: Visitor) -> None:
    lengthened(ledger, "ann", 3 * ENTRIES + 7)
    page = ann.open(link(visited, SETTINGS))
    oldest = leads(page, "The oldest entries")
    assert numbers(ann.ask("GET", oldest or "")) == list(range(ENTRIES, 0, -1))


def test_a_page_stays_small_however_long_the_history_is(ledger: ConsentLedger, visited: Served, ann: Visitor) -> None:
    lengthened(ledger, "ann", 10_000)
    settings = ann.open(link(visited, SETTINGS))
    middle = ann.ask("GET", "/pages/history/5000")
    assert numbers(settings) == list(range(10_000, 9_950, -1))
    assert numbers(middle) == list(range(5_000, 4_950, -1))
    assert "These are the newest 50 of 10000 entries." in settings.text
    for page in (settings, middle):
        assert len(page.content) < LARGEST_PAGE
        # No other form either: of one that is not shown there is no receipt's token.
        assert page.text.count('action="/pages/receipt"') == ENTRIES


def test_an_older_page_has_proofs_and_nothing_that_names_anybody(
    ledger: ConsentLedger, visited: Served, ann: Visitor
) -> None:
    lengthened(ledger, "ann", ENTRIES + 2)
    sequence(ledger)
    ann.open(link(visited, SETTINGS))
    page = ann.ask("GET", "/pages/history/2")
    assert "You accepted" in page.text
    assert page.headers["content-security-policy"] == POLICY
    assert page.headers["cache-control"] == "no-store"
    assert set(re.findall(r'(?:href|action|src)="([^"]*)"', page.text)) == {
        "/pages/style.css",
        "/pages/settings",
        "/pages/settings#history",
        "/pages/receipt",
    }
    proof = ann.send("/pages/receipt", page)
    assert proof.status_code == 200
    assert proof.headers["content-disposition"] == 'attachment; filename="consent-entry-3.tlog-proof"'


@pytest.mark.parametrize("number", ["0", "53", "-1", "01", "1.0", "+1", "x", "%31%20", "9" * 16, "9" * 40, "1/2", ""])
def test_what_is_no_number_of_an_entry(ledger: ConsentLedger, visited: Served, ann: Visitor, number: str) -> None:
    lengthened(ledger, "ann", ENTRIES + 2)
    ann.open(link(visited, SETTINGS))
    answer = ann.ask("GET", f"/pages/history/{number}")
    assert answer.status_code == 404
    if number not in ("1/2", ""):  # which is no path at all
        refused(answer, 404)
        assert "Expected a number from 1 to 52" in answer.text


def test_nobody_sees_anothers(ledger: ConsentLedger, visited: Served, ann: Visitor) -> None:
    lengthened(ledger, "ann", ENTRIES + 2)
    refused(ann.ask("GET", "/pages/history/1"), 403)
    b.grant(ledger, "bob")
    bob = Visitor(visited.url)
    bob.open(link(visited, SETTINGS | {"subject": "bob"}))
    assert numbers(bob.ask("GET", "/pages/history/1")) == [1]
    refused(bob.ask("GET", "/pages/history/3"), 404)
    operator = Visitor(visited.url)
    operator.open(link(visited, OPERATORS))
    refused(operator.ask("GET", "/pages/history/1"), 403)


def test_an_erasure_ends_older_pages_too(ledger: ConsentLedger, visited: Served, ann: Visitor) -> None:
    """By the name, by the id, and for who comes back."""
    lengthened(ledger, "ann", ENTRIES + 2)
    subject = ledger.subject("ann").subject_id
    assert subject is not None
    by_id = Visitor(visited.url)
    ann.open(link(visited, SETTINGS))
    by_id.open(link(visited, SETTINGS | {"subject": f"id:{subject.hex()}"}))
    assert numbers(ann.ask("GET", "/pages/history/1")) == numbers(by_id.ask("GET", "/pages/history/1")) == [1]
    ledger.erase("ann", "asked")
    for visitor in (ann, by_id):
        refused(visitor.ask("GET", "/pages/history/1"), 403)
    ledger.record("ann", b.shown())
    refused(ann.ask("GET", "/pages/history/1"), 403)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_browsed_by_hand(browser: Browser, ledger: ConsentLedger, visited: Served, scripts: bool) -> None:
    lengthened(ledger, "ann", 2 * ENTRIES + 3)
    with browser.new_context(java_script_enabled=scripts, base_url=visited.url) as context:
        context.set_default_timeout(DEADLINE)
        page = context.new_page()
        page.goto(link(visited, SETTINGS))
        more = page.get_by_role("navigation", name="More of your history")
        more.get_by_role("link", name="Older entries").click()
        expect(page).to_have_title("Your history, entries 4 to 53 of 103")
        expect(page.get_by_role("listitem")).to_have_count(ENTRIES)
        more.get_by_role("link", name="Older entries").click()
        expect(page.get_by_role("button", name="Receipt of entry 1", exact=True)).to_be_visible()
        expect(more.get_by_role("link")).to_have_text(["Newer entries"])
        more.get_by_role("link", name="Newer entries").click()
        expect(page).to_have_title("Your history, entries 4 to 53 of 103")
        page.get_by_role("link", name="Privacy Settings").click()
        expect(page.get_by_role("heading", name="Your choices")).to_be_visible()
        expect(page.get_by_text("These are the newest 50 of 103 entries.")).to_be_visible()
