"""Whatever others try with a person's pages: nothing of it is done, nothing of it is said."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from msgspec import structs

from ledger.application import ConsentLedger
from ledger.service.pages.forms import LARGEST_FORM
from ledger.service.pages.routing import POLICY
from ledger.service.pages.sessions import COOKIE
from tests import builders as b
from tests.service.conftest import Served
from tests.service.pages.conftest import OPERATORS, POP_UP, SETTINGS, Visitor, fields, link
from tests.service.test_hostile import assert_problem


def topics(ledger: ConsentLedger, named: str = "ann") -> list[str]:
    return [entry.event for _, entry in ledger.entries_of(ledger.subject(named).stream or "")]


def refused(answer: httpx.Response, status: int) -> None:
    """A page that says why, in a sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<p>Expected " in answer.text


def test_a_link_opens_once_and_by_get_alone(visited: Served, ann: Visitor) -> None:
    url = link(visited, POP_UP)
    assert re.fullmatch("/pages/open/[A-Za-z0-9_-]{43}", url)
    assert ann.ask("HEAD", url).status_code == 405
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ann.ask("GET", url), range(8)))
    assert sorted(answer.status_code for answer in answers) == [303] + [404] * 7
    cookie = next(answer.headers["set-cookie"] for answer in answers if answer.status_code == 303)
    assert re.fullmatch(rf"{COOKIE}=[A-Za-z0-9_-]{{43}}; HttpOnly; Path=/; SameSite=lax; Secure", cookie)
    refused(ann.ask("GET", url), 404)
    refused(ann.ask("GET", "/pages/open/x"), 404)


def test_what_is_over_opens_nothing(ledger: ConsentLedger, visited: Served, ann: Visitor) -> None:
    url = link(visited, POP_UP)
    with b.admin(visited.place) as admin:
        admin.execute("UPDATE ledger.page_link SET expires_at = clock_timestamp()")
    refused(ann.ask("GET", url), 404)
    for column, age in (("used_at", "31 minutes"), ("opened_at", "241 minutes")):
        assert ann.open(link(visited, POP_UP)).status_code == 200
        with b.admin(visited.place) as admin:
            admin.execute(f"UPDATE ledger.page_session SET {column} = clock_timestamp() - interval '{age}'")
        refused(ann.ask("GET", "/pages/pop-up"), 403)
    link(visited, POP_UP)  # which deletes what is over
    with b.admin(visited.place) as admin:
        left = "SELECT (SELECT count(*) FROM ledger.page_link), (SELECT count(*) FROM ledger.page_session)"
        assert admin.execute(left).fetchone() == (1, 0)


def test_the_tables_name_nobody(visited: Served, ann: Visitor) -> None:
    secret = link(visited, POP_UP | {"subject": "ann@example.org"}).rpartition("/")[2]
    with b.admin(visited.place) as admin:
        rows = str(admin.execute("SELECT digest, sealed FROM ledger.page_link").fetchall())
    assert "ann" not in rows
    assert secret not in rows


def test_reloading_and_clicking_twice_are_one_event_each(ledger: ConsentLedger, visited: Served, ann: Visitor) -> None:
    page = ann.open(link(visited, POP_UP))
    ann.ask("GET", "/pages/pop-up")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ann.send("/pages/pop-up", page), range(4)))
    assert {answer.status_code for answer in answers} == {303}
    assert topics(ledger) == ["terms-shown", "accepted"]
    off = {key: value for key, value in fields(page, "/pages/pop-up").items() if not key.startswith("toggle.")}
    assert ann.ask("POST", "/pages/pop-up", data=off).status_code == 303  # the first choice stands
    assert topics(ledger) == ["terms-shown", "accepted"]

    settings = ann.ask("GET", "/pages/settings")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ann.send("/pages/settings", settings), range(4)))
    assert topics(ledger) == ["terms-shown", "accepted", "toggle-changed"]
    ann.send("/pages/settings", ann.ask("GET", "/pages/settings"))  # on again
    ann.send("/pages/settings", settings)  # off, from a page that was left open: no withdrawal is lost
    assert topics(ledger)[2:] == ["toggle-changed"] * 3
    assert 'aria-checked="false"' in ann.ask("GET", "/pages/settings").text


def test_touched_is_what_stands_elsewhere_or_what_the_script_says(
    ledger: ConsentLedger, visited: Served, ann: Visitor
) -> None:
    page = ann.open(link(visited, POP_UP))
    moved = fields(page, "/pages/pop-up") | {"touched.model-training": "yes"}
    assert ann.ask("POST", "/pages/pop-up", data=moved).status_code == 303
    bob = Visitor(visited.url)
    page = bob.open(link(visited, POP_UP | {"subject": "bob"}))
    off = {key: value for key, value in fields(page, "/pages/pop-up").items() if not key.startswith("toggle.")}
    bob.ask("POST", "/pages/pop-up", data=off)
    for name, to in (("ann", "on"), ("bob", "off")):
        accepted = ledger.entries_of(ledger.subject(name).stream or "")[-1][1].data
        assert (accepted.toggles, accepted.touched) == ({"model-training": to}, ["model-training"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"}, 403),
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
def test_no_form_from_elsewhere(
    ledger: ConsentLedger, visited: Served, ann: Visitor, headers: dict[str, str], status: int
) -> None:
    page = ann.open(link(visited, POP_UP))
    sent = "&".join(f"{name}={value}" for name, value in fields(page, "/pages/pop-up").items())
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(ann.ask("POST", "/pages/pop-up", content=sent, headers=form | headers), status)
    assert topics(ledger) == ["terms-shown"]


def test_where_a_browser_says_only_the_origin_it_must_be_ours(visited: Served, ann: Visitor) -> None:
    page = ann.open(link(visited, POP_UP))
    del ann.headers["Sec-Fetch-Site"]
    for origin in ({}, {"Origin": "null"}, {"Origin": "http://evil.example"}):
        refused(ann.ask("POST", "/pages/pop-up", data=fields(page, "/pages/pop-up"), headers=origin), 403)
    ours = {"Origin": visited.url}
    assert ann.ask("POST", "/pages/pop-up", data=fields(page, "/pages/pop-up"), headers=ours).status_code == 303


BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no token": (b"terms=2025-09-28", 400),
    "a token twice": (b"token=a&token=b", 400),
    "no form": (b"token", 400),
    "not ASCII": (b"token=\xff", 400),
    "no UTF-8": (b"token=%ff", 400),
    "a wrong token": (b"token=%C3%A9&terms=2025-09-28", 403),
    "too many fields": (b"token=a" + b"&a=1" * 500, 400),
    "too large": (b"token=" + b"a" * LARGEST_FORM, 413),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_form_is_strict_or_refused(ledger: ConsentLedger, visited: Served, ann: Visitor, what: str) -> None:
    ann.open(link(visited, POP_UP))
    content, status = BODIES[what]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/pages/pop-up", "/pages/settings", "/pages/bundle", "/pages/receipt"):
        refused(ann.ask("POST", path, content=content, headers=form), status)
    assert topics(ledger) == ["terms-shown"]


def test_nobody_gets_at_anothers(ledger: ConsentLedger, visited: Served, ann: Visitor) -> None:
    b.grant(ledger, "ann", "bob")
    bob = Visitor(visited.url)
    hers, his = ann.open(link(visited, SETTINGS)), bob.open(link(visited, SETTINGS | {"subject": "bob"}))
    for path in ("/pages/settings", "/pages/bundle", "/pages/receipt"):
        if path in hers.text:
            refused(ann.ask("POST", path, data=fields(his, path)), 403)
    own = fields(hers, "/pages/receipt")
    positions = [position for position, _ in ledger.entries_of(ledger.subject("bob").stream or "")]
    refused(ann.ask("POST", "/pages/receipt", data=own | {"position": str(positions[0])}), 403)
    refused(ann.ask("POST", "/pages/settings", data=fields(hers, "/pages/settings") | {"to": "on"}), 403)
    assert ann.ask("POST", "/pages/receipt", data=own).status_code == 200
    refused(ann.ask("GET", "/pages/operators"), 403)
    refused(ann.ask("GET", "/pages/settings", headers={"Cookie": f"{COOKIE}={'A' * 43}"}), 403)
    operator = Visitor(visited.url)
    assert operator.open(link(visited, OPERATORS)).status_code == 200
    for path in ("/pages/settings", "/pages/pop-up", "/pages/accepted"):
        refused(operator.ask("GET", path), 403)
    assert topics(ledger) == topics(ledger, "bob") == ["terms-shown", "accepted"]


def test_an_erasure_ends_what_is_open_also_for_who_comes_back(
    ledger: ConsentLedger, visited: Served, ann: Visitor
) -> None:
    page = ann.open(link(visited, POP_UP))
    by_id = Visitor(visited.url)
    subject = ledger.subject("ann").subject_id
    assert subject is not None
    by_id.open(link(visited, SETTINGS | {"subject": f"id:{subject.hex()}"}))
    ledger.erase("ann", "asked")
    for visitor in (ann, by_id):
        refused(visitor.ask("GET", "/pages/settings"), 403)
    refused(ann.ask("GET", "/pages/pop-up"), 403)
    refused(ann.send("/pages/pop-up", page), 403)
    again = Visitor(visited.url)
    assert again.open(link(visited, POP_UP)).status_code == 200
    refused(ann.ask("GET", "/pages/settings"), 403)
    refused(ann.ask("GET", "/pages/pop-up"), 403)
    assert topics(ledger) == ["terms-shown"]


HOSTILE = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"


def test_no_text_becomes_markup(ledger: ConsentLedger, served: Served) -> None:
    notice = structs.replace(b.TERMS.notice, text=HOSTILE, accept=HOSTILE)
    purposes = [structs.replace(one, wording=HOSTILE, settings_wording=HOSTILE) for one in b.TERMS.purposes]
    hostile = structs.replace(b.TERMS, title=HOSTILE, notice=notice, purposes=purposes, plans=[HOSTILE])
    ledger.publish(hostile)
    asked: dict[str, Any] = {"page": "pop-up", "subject": HOSTILE, "plan": HOSTILE, "surface": HOSTILE}
    visitor = Visitor(served.url)
    pages = [visitor.open(link(served, asked))]
    assert visitor.send("/pages/pop-up", pages[0]).status_code == 303
    pages += [visitor.ask("GET", path) for path in ("/pages/accepted", "/pages/settings")]
    for page in pages:
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert "&lt;script&gt;" in page.text


def test_every_page_has_its_headers(visited: Served, ann: Visitor) -> None:
    pages = [ann.open(link(visited, POP_UP)), ann.ask("GET", "/pages/settings"), ann.ask("GET", "/pages/open/x")]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert policy in (POLICY, f"{POLICY}; script-src 'self'")
        assert "frame-ancestors 'none'" in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"style=|<style|https?://|onclick|javascript:", page.text)
        assert "ann" not in re.findall(r'(?:href|action|src)="([^"]*)"', page.text)
    assert_problem(ann.ask("GET", "/pages/settings?subject=bob"), 400, "query")


def test_links_need_their_scope(ledger: ConsentLedger, visited: Served) -> None:
    with visited.client("pages") as product:
        assert_problem(product.post("/v1/links", json=OPERATORS), 403, "scope")
        assert_problem(product.post("/v1/links", json=SETTINGS), 404, "unknown-subject")
        assert_problem(product.post("/v1/links", json=POP_UP | {"plan": "team"}), 409, "refused")
        assert_problem(product.post("/v1/links", json=POP_UP | {"subject": "id:" + "0" * 32}), 404, "unknown-subject")
        assert_problem(product.post("/v1/links", json={"page": "others"}), 422, "invalid")
    assert ledger.recorder.head() == 1
