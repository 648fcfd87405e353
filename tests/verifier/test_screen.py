"""The page as a person meets it: with a mouse, a keyboard or a screen reader; and that nothing leaves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from tests.domain import given
from tests.proof.small_log import SUBJECT, SmallLog, a_person, item, used
from tests.verifier.sample import LOG, ME, NOBODY, TRUST, keys_of
from tests.verifier.screen import show, verdict


def test_a_bundle_is_chosen_and_everything_is_shown(page: Page) -> None:
    show(page)
    expect(verdict(page)).to_have_text("Everything was checked, and it holds")
    expect(verdict(page)).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("Everything was checked, and it holds.")
    checks = page.locator("[data-check]")
    assert {check.get_attribute("data-state") for check in checks.all()} == {"holds", "not-asked"}
    expect(page.get_by_role("heading", level=3, name="The log signed the checkpoint (holds)")).to_be_visible()
    happened = page.locator("ol.events > li")
    expect(happened).to_have_count(4)
    expect(happened.nth(1)).to_contain_text("model-training on (set by hand)")
    expect(happened.nth(2)).to_contain_text("Allowed, as it was known then and in hindsight")
    expect(happened.nth(3)).to_contain_text("model-training was set to off by the person")
    expect(page.get_by_text("Help improve Claude (model-training): off since 7 Sep 2025, 10:00:00 UTC")).to_be_visible()


def test_the_picture_has_its_spans_marks_and_uses_and_says_them_in_words(page: Page) -> None:
    log = a_person()
    log.append(SUBJECT, given.toggled("on", cause="migration"), "9")
    log.append(SUBJECT, given.toggled("on"), "10")
    log.append(SUBJECT, used([item("chat-3", "8")], basis=6), "11")
    log.publish("12")
    show(page, log)
    picture = page.get_by_role("img", name="When each purpose was on, and what was used")
    expect(picture.locator(".span-on")).to_have_count(2)
    expect(picture.locator("polygon.on")).to_have_count(2)
    expect(picture.locator("polygon.void")).to_have_count(1)
    expect(picture.locator("polygon.off")).to_have_count(1)
    expect(picture.locator("g.use")).to_have_count(2)
    expect(picture.locator("g.use.violation")).to_have_count(1)
    words = (
        "model-training: on from 3 Sep 2025, 10:00:00 UTC until 7 Sep 2025, 10:00:00 UTC; "
        "from 10 Sep 2025, 10:00:00 UTC on. 2 uses"
    )
    expect(picture).to_have_accessible_description(f"{words}.")
    page.get_by_text("The picture in words").click()
    expect(page.locator("figure details p")).to_have_text(f"{words} recorded.")
    on, off = picture.locator(".span-on").first.bounding_box(), picture.locator("polygon.off").bounding_box()
    assert on is not None
    assert off is not None
    assert abs(on["x"] + on["width"] - (off["x"] + off["width"] / 2)) < 2


def test_a_violation_is_red_and_yet_called_genuine(page: Page) -> None:
    log = a_person([item("chat-1", "2")])
    show(page, log)
    expect(verdict(page)).to_have_text("The record is genuine, and shows a use that was not allowed")
    expect(page.locator(".verdict")).to_have_attribute("data-overall", "violation")
    expect(page.locator("ol.events > li").nth(2)).to_contain_text(
        "A use that was not allowed: data was collected before it was first allowed."
    )


def test_of_a_bundle_that_does_not_hold_nothing_is_shown_but_why(page: Page) -> None:
    show(page, bundle=LOG.bundle_file().replace(b'"to":"off"', b'"to":"on"'))
    expect(verdict(page)).to_have_text("This does not hold")
    answer = page.get_by_role("region", name="The answer")
    expect(answer).to_contain_text(
        "Expected entry 4 of the person’s history in the signed log, found another entry there"
    )
    expect(answer.locator("figure, ol.events")).to_have_count(0)
    expect(page.locator('[data-check="uses"]')).to_have_attribute("data-state", "not-checked")


def test_absence_is_shown_for_whoever_is_named(page: Page) -> None:
    show(page, bundle=LOG.bundle_file(NOBODY), subject=f"key:{NOBODY}")
    expect(verdict(page)).to_have_text("Everything was checked, and it holds")
    expect(page.locator(".verdict")).to_contain_text("Nothing was ever recorded about the person you named")


def test_an_answer_under_a_bare_key_and_about_nobody_named_is_not_green(page: Page) -> None:
    show(page, trust=keys_of(LOG.bare), subject="")
    expect(verdict(page)).to_have_text("It holds, with reservations")
    expect(page.locator(".verdict")).to_contain_text(f"stream {SUBJECT}, which you must compare with your receipt")
    expect(page.locator(".verdict")).to_contain_text("No witness and no auditor vouches")


#: How a browser without Ed25519 behaves, and one that takes everything for signed.
LACKS = {
    "importKey refuses": "crypto.subtle.importKey = () => Promise.reject(new DOMException('no', 'NotSupportedError'))",
    "verify refuses": "crypto.subtle.verify = () => Promise.reject(new DOMException('no', 'NotSupportedError'))",
    "verify says yes": "crypto.subtle.verify = () => Promise.resolve(true)",
    "verify says no": "crypto.subtle.verify = () => Promise.resolve(false)",
    "no WebCrypto": "Object.defineProperty(crypto, 'subtle', {value: undefined})",
    "another digest": "crypto.subtle.digest = () => Promise.resolve(new ArrayBuffer(32))",
}


@pytest.mark.parametrize("lack", LACKS)
def test_a_browser_that_cannot_check_signatures_says_so_and_is_never_green(page: Page, lack: str) -> None:
    page.add_init_script(LACKS[lack])
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Cannot verify here: this browser")
    show(page)
    expect(verdict(page)).to_have_text("Cannot verify here")
    expect(page.locator(".verdict")).to_have_attribute("data-overall", "cannot-verify")
    expect(page.locator(".verdict")).to_contain_text("neither good nor bad")
    expect(page.locator('[data-state="holds"], [data-state="fails"]')).to_have_count(0)


def test_a_browser_that_fails_midway_is_never_green(page: Page) -> None:
    page.evaluate(
        """() => {
          const verify = crypto.subtle.verify.bind(crypto.subtle);
          let calls = 0;
          crypto.subtle.verify = (...all) => ++calls > 3 ? Promise.reject(new Error('no')) : verify(...all);
        }"""
    )
    show(page)
    expect(verdict(page)).to_have_text("Cannot verify here")
    expect(page.locator('[data-check="quorum"]')).to_have_attribute("data-state", "not-checked")


def test_what_cannot_be_meant_is_said_beside_its_field(page: Page) -> None:
    check = page.get_by_role("button", name="Check it")
    check.click()
    choose = page.get_by_label("Choose the bundle")
    expect(choose).to_be_focused()
    expect(choose).to_have_accessible_description("The file that consent prove wrote Choose a bundle first.")
    show(page, trust="nonsense")
    expect(page.get_by_label("Whom do you trust?")).to_be_focused()
    expect(page.locator("#trust-complaint")).to_contain_text("Expected `log <key> [url]`")
    show(page, subject="alice@example.com")
    expect(page.get_by_label("Whose history should it be?")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("How old may it be?").fill("soon")
    show(page)
    expect(page.locator("#max-age-complaint")).to_have_text("Expected a length of time like 12h or 2d.")
    page.get_by_label("How old may it be?").fill("1m")
    check.click()
    expect(verdict(page)).to_have_text("This does not hold")
    expect(page.locator(".complaint", has_text="xpected")).to_have_count(0)


def choose_by_key(page: Page, file: Path) -> None:
    """Chooses a file for what has the focus. A busy browser may let a key press lapse: then again."""
    for _ in range(12):
        try:
            with page.expect_file_chooser(timeout=10_000) as chooser:
                page.keyboard.press("Space")
            chooser.value.set_files(file)
        except TimeoutError:
            continue
        return
    raise AssertionError("expected Space to open the chooser of files, found that it never did")


def test_everything_can_be_done_with_the_keyboard(page: Page, tmp_path: Path) -> None:
    files = {"bundle.json": LOG.bundle_file(), "trust": TRUST.encode(), "receipt": LOG.receipt(7)}
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the answer")).to_be_focused()
    fields: list[tuple[str, str | None]] = [
        ("Choose the bundle", "bundle.json"),
        ("Whom do you trust?", None),
        ("Read it from a file", "trust"),
        ("Whose history should it be?", None),
        ("Read a receipt from a file", "receipt"),
    ]
    for label, name in fields:
        page.keyboard.press("Tab")
        expect(page.get_by_label(label)).to_be_focused()
        if name is not None:
            choose_by_key(page, tmp_path / name)
    expect(page.get_by_label("Whose history should it be?")).to_have_value(LOG.receipt(7).decode())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(verdict(page)).to_have_text("Everything was checked, and it holds")
    expect(page.locator('[data-check="receipt"]')).to_have_attribute("data-state", "holds")


def test_a_bundle_can_be_dropped_anywhere_on_the_page(page: Page) -> None:
    page.evaluate(
        """(text) => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([text], 'dropped.json'));
          document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: dropped, bubbles: true, cancelable: true}));
        }""",
        LOG.bundle_file().decode(),
    )
    expect(page.locator("#bundle-name")).to_have_text("dropped.json")
    page.get_by_label("Whom do you trust?").fill(TRUST)
    page.get_by_label("Whose history should it be?").fill(ME)
    page.get_by_role("button", name="Check it").click()
    expect(verdict(page)).to_have_text("Everything was checked, and it holds")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(page: Page, scheme: Any) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    page.emulate_media(color_scheme=scheme)
    names = ["ink", "quiet", "accent", "accent-ink", "good", "care", "bad", "none", "edge"]
    grounds = ["ground", "sheet", "field", "good-ground", "care-ground", "bad-ground", "none-ground"]
    asking = "(names) => names.map((name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name))"
    found = dict(zip(names + grounds, page.evaluate(asking, names + grounds), strict=True))
    pairs = [(text, ground) for text in ("ink", "quiet", "accent", "bad", "care", "good") for ground in grounds[:3]]
    pairs += [(name, f"{name}-ground") for name in ("good", "care", "bad", "none")]
    pairs += [("ink", ground) for ground in grounds[3:]] + [("accent-ink", "accent")]
    low = {pair: ratio for pair in pairs if (ratio := _contrast(found[pair[0]], found[pair[1]])) < 4.5}
    assert low == {}
    assert _contrast(found["edge"], found["field"]) >= 3  # 1.4.11, of a control's border
    assert (found["sheet"].strip() == "#ffffff") == (scheme == "light")


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour.strip()[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def test_nothing_is_wider_than_the_screen(page: Page) -> None:
    show(page, subject="")
    expect(verdict(page)).to_be_visible()
    page.get_by_text("Details to compare with others").click()
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        # The picture is drawn again for the new width, by the browser's next frames.
        found = page.evaluate(
            """(width) => new Promise((answer) => {
              const look = () => document.querySelector('figure svg').getAttribute('width') < width ?
                answer(document.documentElement.scrollWidth) : requestAnimationFrame(look);
              look();
            })""",
            width,
        )
        assert found <= width


def test_a_long_history_is_shown_in_parts(page: Page) -> None:
    log = SmallLog().terms()
    log.append(SUBJECT, given.shown(), "2")
    log.append(SUBJECT, given.accepted(), "2")
    for number in range(248):
        log.append(SUBJECT, given.toggled("on" if number % 2 else "off"), "3")
    log.publish("4")
    show(page, log)
    expect(page.locator("ol.events > li")).to_have_count(200)
    page.get_by_role("button", name="Show the other 50").click()
    expect(page.locator("ol.events > li")).to_have_count(250)
    assert json.loads(log.bundle_file())["streams"][0]["proof"]["own"]["n"] == 250
