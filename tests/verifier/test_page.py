"""The page runs its own script and nothing else, takes texts for texts, and asks nothing of any network."""

from __future__ import annotations

from msgspec import structs
from playwright.sync_api import Browser, Page, expect

from tests.domain import given
from tests.proof.small_log import SUBJECT, SmallLog
from tests.verifier.page import PAGE, hash_of, policy
from tests.verifier.screen import show, verdict

_ATTACK = '<img src=x onerror="globalThis.owned=1"><script>globalThis.owned=1</script>\'"--></script>'


def test_the_page_may_run_its_own_script_and_style_and_nothing_else() -> None:
    text = PAGE.read_text()
    directives = policy(text)
    assert directives == {
        "default-src": "'none'",
        "script-src": hash_of(text, "script"),
        "style-src": hash_of(text, "style"),
        "connect-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_no_data_becomes_markup_and_nothing_is_fetched_by_the_text_of_the_page() -> None:
    text = PAGE.read_text()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest"):
        assert way not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text


def test_texts_of_a_bundle_are_text(page: Page) -> None:
    purpose = structs.replace(given.SHIPPED.purposes[0], wording=_ATTACK, settings_wording=_ATTACK)
    terms = structs.replace(given.SHIPPED, title=_ATTACK, plans=[_ATTACK], purposes=[purpose])
    log = SmallLog().terms(terms)
    log.append(SUBJECT, structs.replace(given.shown(terms), surface=_ATTACK, locale=_ATTACK), "2")
    log.append(SUBJECT, given.accepted(terms, touched=(given.TRAINING,), plan=_ATTACK), "3")
    log.append(SUBJECT, structs.replace(given.ERASED, reason=_ATTACK), "7")
    log.publish("8")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    show(page, log)
    expect(verdict(page)).to_have_text("Everything was checked, and it holds")
    expect(page.locator("ol.events")).to_contain_text(_ATTACK)
    expect(page.locator(".states")).to_contain_text(_ATTACK)
    expect(page.locator("#answer img, #answer script")).to_have_count(0)
    assert page.evaluate("globalThis.owned") is None
    assert dialogs == []


def test_nothing_is_asked_of_any_network(browser: Browser) -> None:
    requests: list[str] = []
    with browser.new_context() as context:
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.goto(PAGE.as_uri())
        show(page)
        expect(verdict(page)).to_have_text("Everything was checked, and it holds")
        assert requests == [PAGE.as_uri()]
        assert errors == []
        # And if the page tried, its own policy would stop it.
        refused = page.evaluate("fetch('https://ledger.test/').then(() => 'sent', (error) => error.name)")
        assert refused == "TypeError"
        assert any("Content Security Policy" in error for error in errors), errors
        assert requests == [PAGE.as_uri()]
