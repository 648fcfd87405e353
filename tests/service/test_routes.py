"""The routes, over real HTTP on a real database: what is recorded is what the library records, and answers agree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import decode_entry
from ledger.proof.promise import parse_receipt
from ledger.proof.tiles import decode_entries
from ledger.proving.history import prove_history
from ledger.sequencer.steps import sequence
from tests import builders as b
from tests.service.conftest import Served

SHOWN: dict[str, Any] = {
    "terms": b.TERMS.version,
    "notice": b.TERMS.notice_hash(),
    "toggles": {"model-training": "on"},
    "plan": "pro",
    "surface": "pop-up",
    "locale": "en",
}
ACCEPTED: dict[str, Any] = {
    "terms": b.TERMS.version,
    "toggles": {"model-training": "on"},
    "touched": [],
    "plan": "pro",
    "surface": "pop-up",
}
OFF: dict[str, Any] = {"purpose": "model-training", "to": "off", "surface": "privacy-settings", "cause": "person"}


def event(topic: str, data: dict[str, Any], subject: str = "ann", **more: Any) -> dict[str, Any]:
    return {"event": topic, "subject": subject, "data": data, **more}


@pytest.fixture
def client(ledger: ConsentLedger, served: Served) -> Iterator[httpx.Client]:
    """All scopes, over a ledger with the shipped terms."""
    ledger.publish(b.TERMS)
    with served.client() as client:
        yield client


def test_the_story(ledger: ConsentLedger, client: httpx.Client) -> None:
    shown = client.post("/v1/events", json=event("terms-shown", SHOWN, evidence="203.0.113.7"))
    assert shown.status_code == 201, shown.text
    assert (shown.json()["position"], shown.json()["version"], shown.json()["repeated"]) == (2, 1, False)
    accepted = client.post("/v1/events", json=event("accepted", ACCEPTED)).json()
    assert accepted["event"] == "accepted"
    status = client.post("/v1/status", json={"subject": "ann"}).json()
    assert (status["purposes"][0]["state"], status["purposes"][0]["decision"]["quality"]) == ("on", "default-untouched")
    asked = {"subject": "ann", "collected_at": b.now_of(ledger).isoformat().replace("+00:00", "Z")}
    assert client.post("/v1/check", json=asked).json()["reason"] == "granted"

    off = client.post("/v1/events", json=event("toggle-changed", OFF))
    assert off.status_code == 201
    later = {"subject": "ann", "collected_at": b.now_of(ledger).isoformat().replace("+00:00", "Z")}
    both = client.post("/v1/check/batch", json={"questions": [asked, later, {**asked, "subject": "nobody"}]}).json()
    assert [verdict["reason"] for verdict in both["verdicts"]] == ["granted", "collected-while-off", "unknown-subject"]
    assert both["position"] == ledger.recorder.head()

    before = client.post("/v1/status", json={"subject": "ann", "position": 3}).json()
    assert before["purposes"][0]["state"] == "on"
    entries = [entry for _, entry in ledger.entries_of(status["stream"])]
    assert [entry.event for entry in entries] == ["terms-shown", "accepted", "toggle-changed"]
    assert entries[0].evidence
    assert all("imported" not in str(entry) or not entry.imported for entry in entries)


def test_the_same_key_is_one_event(ledger: ConsentLedger, client: httpx.Client) -> None:
    asked = event("terms-shown", SHOWN)
    first = client.post("/v1/events", json=asked, headers={"Idempotency-Key": "k1"})
    again = client.post("/v1/events", json=asked, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json()["position"], again.json()["position"]) == (2, 2)
    assert again.json()["repeated"] is True
    assert ledger.recorder.head() == 2


def test_a_receipt_answers_and_a_proof_follows(ledger: ConsentLedger, client: httpx.Client) -> None:
    told = client.post("/v1/events", json=event("terms-shown", SHOWN))
    raw = told.content[told.content.index(b'"receipt":') + len(b'"receipt":') :].partition(b',"no_receipt"')[0]
    receipt = parse_receipt(raw)
    assert decode_entry(receipt.entry).stream == told.json()["stream"]
    promise = client.post("/v1/receipts", json={"position": 2}).json()
    assert (promise["kind"], promise["size"]) == ("promise", None)
    sequence(ledger)
    proof = client.post("/v1/receipts", json={"position": 2}).json()
    assert (proof["kind"], proof["size"], proof["covered_by"]) == ("proof", 3, None)
    assert proof["file"].startswith("c2sp.org/tlog-proof@v1\n")
    repeated = client.post("/v1/receipts", json={"position": 99})
    assert (repeated.status_code, repeated.json()["code"]) == (404, "no-position")


def test_the_bundle_is_the_one_that_the_command_writes(ledger: ConsentLedger, client: httpx.Client) -> None:
    b.grant(ledger, "ann")
    sequence(ledger)
    answer = client.post("/v1/bundles", json={"subject": "ann"})
    assert answer.status_code == 200
    assert answer.content == prove_history(ledger, ledger.subject("ann").stream or "").data


def test_the_log_as_tiles(ledger: ConsentLedger, served: Served) -> None:
    b.grant(ledger, "ann")
    with served.client("audit") as auditor, served.client(token="") as anybody:
        assert anybody.get("/checkpoint").status_code == 404
        sequence(ledger)
        size = ledger.recorder.head()
        note = anybody.get("/checkpoint")
        assert note.text.splitlines()[:2] == ["ledger.test", str(size)]
        assert note.headers["cache-control"] == "no-cache"
        tile = anybody.get(f"/tile/0/000.p/{size}")
        assert (tile.status_code, len(tile.content)) == (200, 32 * size)
        assert "immutable" in tile.headers["cache-control"]
        entries = auditor.get(f"/tile/entries/000.p/{size}")
        assert decode_entries(entries.content) == [stored for *_, stored in ledger.recorder.pages()]
        for path in (f"/tile/0/000.p/{size + 1}", "/tile/0/000", "/tile/1/000.p/1", "/tile/0/0", "/tile/0/x000/000"):
            assert anybody.get(path).status_code == 404, path
        assert anybody.get("/tile/0/%2e%2e/000").status_code == 404
        assert anybody.get(f"/tile/entries/000.p/{size}").status_code == 401


def test_terms_with_the_digest_that_a_showing_names(client: httpx.Client) -> None:
    told = client.get("/v1/terms").json()["versions"]
    assert [(one["terms"]["version"], one["notice"]) for one in told] == [(b.TERMS.version, b.TERMS.notice_hash())]


def test_a_use_from_outside_is_stored_as_reported(ledger: ConsentLedger, client: httpx.Client) -> None:
    b.grant(ledger, "ann")
    data = {
        "run": "spring",
        "purpose": "model-training",
        "items": {"chat": 2},
        "collected_from": "2025-10-01T10:00:00+02:00",
        "collected_until": "2025-11-20T15:45:00Z",
        "manifest": "0" * 64,
    }
    told = client.post("/v1/events", json=event("data-used-for-training", data))
    assert told.status_code == 201, told.text
    use = ledger.entries_of(told.json()["stream"])[-1][1].data
    assert (use.attested, use.collected_from) == (True, "2025-10-01T08:00:00.000000Z")


def test_erased(ledger: ConsentLedger, client: httpx.Client) -> None:
    b.grant(ledger, "ann")
    told = client.post("/v1/erasures", json={"subject": "ann", "reason": "asked"})
    assert (told.status_code, told.json()["event"]) == (201, "subject-erased")
    for path, more in (("/v1/status", {}), ("/v1/bundles", {}), ("/v1/erasures", {"reason": "again"})):
        answer = client.post(path, json={"subject": "ann", **more})
        assert (answer.status_code, answer.json()["code"]) == (409, "subject-erased"), path
    asked = {"subject": "ann", "collected_at": "2025-10-01T08:00:00Z"}
    assert client.post("/v1/check", json=asked).json()["reason"] == "erased"


def test_alive_ready_and_counted(client: httpx.Client, served: Served) -> None:
    with served.client(token="") as anybody:
        assert anybody.get("/healthz").json() == {"alive": True}
        assert anybody.get("/readyz").json() == {"ready": True}
    client.post("/v1/events", json=event("terms-shown", SHOWN))
    client.post("/v1/check", json={"subject": "nobody", "collected_at": "2025-10-01T08:00:00Z"})
    text = client.get("/metrics").text
    for line in (
        'consent_appends_total{event="terms-shown"} 1',
        'consent_verdicts_total{reason="unknown-subject"} 1',
        'consent_requests_total{method="POST",route="/v1/events",status="201"} 1',
        "consent_log_position 2.0",
        "consent_checkpoint_lag 2.0",
        "consent_conflicts_total 0",
    ):
        assert f"\n{line}\n" in text, line


def test_every_answer_says_what_it_must(client: httpx.Client) -> None:
    for answer in (
        client.get("/healthz"),
        client.get("/nothing"),
        client.get("/v1/terms?x=1"),
        client.put("/v1/terms"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
    assert client.put("/v1/terms").headers["allow"] == "GET"


def test_many_at_once_about_one_person_and_about_many(ledger: ConsentLedger, served: Served) -> None:
    """All race for streams and keys; each answer is true, and whoever loses is decided again."""
    b.grant(ledger, "ann")
    head = ledger.recorder.head()
    headers = {"Authorization": f"Bearer {served.token('record', 'read')}"}

    async def ask_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60) as client:
            of_ann = [event("toggle-changed", OFF | {"surface": f"device-{number}"}) for number in range(30)]
            of_many = [event("terms-shown", SHOWN, f"person-{number}") for number in range(30)]
            twice = [client.post("/v1/events", json=of_ann[0], headers={"Idempotency-Key": "k"}) for _ in range(10)]
            ordinary = [client.post("/v1/events", json=body) for body in [*of_ann[1:], *of_many]]
            return await asyncio.gather(*twice, *ordinary)

    answers = asyncio.run(ask_all())
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201] * 60
    assert len({answer.json()["position"] for answer in answers}) == 60
    assert ledger.recorder.head() == head + 60
    b.assert_whole(b.whole_log(ledger.place))
