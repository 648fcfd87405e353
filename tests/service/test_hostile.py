"""Whatever a caller may send: the right status, one sentence, and nothing written."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from ledger.application import ConsentLedger
from ledger.service.bodies import DEEPEST, LARGEST_BODY
from ledger.service.tokens import REMEMBER_SECONDS, new_token
from ledger.store.database import connect
from ledger.store.tokens import revoke_token
from tests import builders as b
from tests.service.conftest import Serve, Served
from tests.service.test_routes import ACCEPTED, OFF, SHOWN, event

USE: dict[str, Any] = {
    "run": "spring",
    "purpose": "model-training",
    "items": {"chat": 2},
    "collected_from": "2025-10-01T08:00:00Z",
    "collected_until": "2025-11-20T15:45:00Z",
    "manifest": "0" * 64,
}
MOMENT = "2025-10-01T08:00:00Z"
#: Every route with a token: how it is asked, and the scopes that do not open it.
ROUTES: list[tuple[str, str, Any, list[str]]] = [
    ("POST", "/v1/events", event("terms-shown", SHOWN), ["read", "erase", "audit", "record:causes", "record:uses"]),
    ("POST", "/v1/events", event("accepted", ACCEPTED), ["read", "record:causes"]),
    ("POST", "/v1/events", event("toggle-changed", OFF), ["read", "record:causes", "pages"]),
    ("POST", "/v1/events", event("toggle-changed", OFF | {"cause": "administrator"}), ["record", "record:uses"]),
    ("POST", "/v1/events", event("data-used-for-training", USE), ["record", "train", "record:causes"]),
    ("POST", "/v1/erasures", {"subject": "ann", "reason": "asked"}, ["record", "read", "audit"]),
    ("POST", "/v1/status", {"subject": "ann"}, ["record", "audit", "train"]),
    ("POST", "/v1/check", {"subject": "ann", "collected_at": MOMENT}, ["record", "audit"]),
    ("POST", "/v1/check/batch", {"questions": [{"subject": "ann", "collected_at": MOMENT}]}, ["record", "erase"]),
    ("GET", "/v1/terms", None, ["audit", "erase"]),
    ("POST", "/v1/receipts", {"position": 1}, ["record", "train"]),
    ("POST", "/v1/bundles", {"subject": "ann"}, ["record", "read", "train"]),
    ("GET", "/tile/entries/000.p/1", None, ["read", "record", "train"]),
    ("GET", "/metrics", None, ["record", "audit"]),
    ("POST", "/v1/links", {"page": "settings", "subject": "ann"}, ["record", "read", "audit"]),
    ("POST", "/v1/links", {"page": "operators"}, ["pages", "record"]),
]


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> None:
    """One sentence, in the form of RFC 9457, which repeats no token."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert problem["status"] == status
    assert problem["detail"].startswith("expected ")
    assert "\n" not in problem["detail"]
    assert not re.search("consent_[A-Za-z0-9_-]{43}", problem["detail"])
    assert code is None or problem["code"] == code


@pytest.fixture
def nothing_written(ledger: ConsentLedger) -> Iterator[Callable[[], None]]:
    """The ledger has ann's grant; at the end, and whenever asked, it has nothing else."""
    b.grant(ledger, "ann", "bob")

    def tables() -> list[Any]:
        with b.admin(ledger.place) as admin:
            return [
                admin.execute(f"SELECT count(*) FROM ledger.{table}").fetchone()
                for table in ("log_entry", "identities", "evidence", "idempotency_key", "erased_identity")
            ]

    before = tables()

    def check() -> None:
        assert tables() == before

    yield check
    check()


@pytest.mark.parametrize(("method", "path", "body", "_"), ROUTES)
def test_nobody_gets_in_without_a_token(
    served: Served, nothing_written: None, method: str, path: str, body: Any, _: Any
) -> None:
    expired = served.token(name="old")
    with b.admin(served.place) as admin:
        admin.execute("UPDATE ledger.token SET created_at = '2025-01-01', expires_at = '2025-01-02' WHERE name = 'old'")
    headers: list[list[tuple[str, str]]] = [
        [],
        [("Authorization", "Basic dXNlcjpwYXNz")],
        [("Authorization", "Bearer consent_short")],
        [("Authorization", f"Bearer {new_token()}")],
        [("Authorization", f"Bearer {expired}")],
    ]
    with httpx.Client(base_url=served.url) as client:
        for given in headers:
            answer = client.request(method, path, json=body, headers=given)
            assert_problem(answer, 401, "no-token")
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "body", "scopes"), ROUTES)
def test_a_scope_opens_what_is_said_of_it_and_nothing_else(
    served: Served, nothing_written: None, method: str, path: str, body: Any, scopes: Any
) -> None:
    with served.client(*scopes) as client:
        answer = client.request(method, path, json=body)
    assert_problem(answer, 403, "scope")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_token_in_the_query_or_in_two_headers_is_none(served: Served, nothing_written: None) -> None:
    token = served.token()
    with httpx.Client(base_url=served.url) as client:
        for name in ("access_token", "token"):
            assert_problem(client.get(f"/v1/terms?{name}={token}"), 400, "query")
            answer = client.get(f"/v1/terms?{name}={token}", headers={"Authorization": f"Bearer {token}"})
            assert_problem(answer, 400, "query")
        twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
        assert_problem(client.get("/v1/terms", headers=twice), 400, "repeated-header")


def test_a_revoked_token_ends_within_a_second(ledger: ConsentLedger, served: Served, nothing_written: None) -> None:
    import time

    token = served.token(name="product")
    with served.client(token=token) as client:
        assert client.get("/v1/terms").status_code == 200
        with connect(ledger.url, "the ledger", "consent_tokens") as connection:
            revoke_token(connection, "product")
        time.sleep(REMEMBER_SECONDS)
        assert_problem(client.get("/v1/terms"), 401, "no-token")


BODIES: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "nothing": (b"", {}, 400, "malformed"),
    "no JSON": (b"{", {}, 400, "malformed"),
    "more than one": (b"{}{}", {}, 400, "malformed"),
    "not UTF-8": (b'{"subject":"\xff"}', {}, 400, "malformed"),
    "a lone surrogate": (b'{"subject":"\\ud800"}', {}, 400, "malformed"),
    "NaN": (b'{"subject":NaN}', {}, 400, "malformed"),
    "a list": (b"[]", {}, 422, "invalid"),
    "null": (b"null", {}, 422, "invalid"),
    "deep": (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), {}, 400, "too-deep"),
    "very deep": (b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}, 400, "too-deep"),
    "deep objects": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, {}, 400, "too-deep"),
    "a name twice": (b'{"subject":"ann","subject":"bob"}', {}, 400, "repeated-name"),
    "a name twice, escaped": (b'{"subject":"ann","sub\\u006aect":"bob"}', {}, 400, "repeated-name"),
    "an unknown field": (b'{"subject":"ann","more":1}', {}, 422, "invalid"),
    "another type": (b'{"subject":7}', {}, 422, "invalid"),
    "too large": (b'{"subject":"' + b"a" * LARGEST_BODY + b'"}', {}, 413, "too-large"),
    "gzip": (gzip.compress(b'{"subject":"ann"}'), {"Content-Encoding": "gzip"}, 415, "compressed"),
    "said to be gzip": (b'{"subject":"ann"}', {"Content-Encoding": "gzip"}, 415, "compressed"),
    "a form": (b"subject=ann", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "not-json"),
    "no type": (b'{"subject":"ann"}', {"Content-Type": ""}, 415, "not-json"),
    "another charset": (b'{"subject":"ann"}', {"Content-Type": "application/json; charset=latin-1"}, 415, "not-json"),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_is_strict_json_or_refused(served: Served, nothing_written: None, what: str) -> None:
    content, headers, status, code = BODIES[what]
    with served.client() as client:
        for path in ("/v1/events", "/v1/status"):
            given = {"Content-Type": "application/json", **headers}
            assert_problem(client.post(path, content=content, headers=given), status, code)
        # The connection, or another, goes on.
        assert client.get("/v1/terms").status_code == 200


def test_a_body_without_a_length_is_held_to_the_same_size(served: Served, nothing_written: None) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 1024 + 2):
            yield b" " * 1024

    with served.client() as client:
        try:
            answer = client.post("/v1/events", content=chunks(), headers={"Content-Type": "application/json"})
        except httpx.WriteError:
            return  # the service hung up before everything was sent, as it says that it does
        assert_problem(answer, 413, "too-large")


EVENTS: dict[str, tuple[Any, int, str]] = {
    "recorded_at": (event("terms-shown", SHOWN, recorded_at=MOMENT), 422, "not-taken"),
    "recorded_at in the data": (event("terms-shown", {**SHOWN, "recorded_at": MOMENT}), 422, "not-taken"),
    "imported": (event("terms-shown", SHOWN, imported={"at": MOMENT, "source": "x"}), 422, "not-taken"),
    "attested": (event("data-used-for-training", {**USE, "attested": False}), 422, "not-taken"),
    "nonce": (event("terms-shown", SHOWN, nonce="0" * 32), 422, "invalid"),
    "stream": (event("terms-shown", SHOWN, stream="log"), 422, "invalid"),
    "a key in the body": (event("terms-shown", SHOWN, key="k"), 422, "invalid"),
    "another event": (event("terms-published", SHOWN), 422, "invalid"),
    "the log's own": (event("subject-map-published", {"covers": 1, "root": "0" * 64, "streams": 1}), 422, "invalid"),
    "an erasure": (event("subject-erased", {"reason": "x"}), 422, "invalid"),
    "a run": ({"event": "run-started", "run": "r", "data": {}}, 422, "invalid"),
    "no subject": ({"event": "terms-shown", "data": SHOWN}, 422, "invalid"),
    "a subject with a control character": (event("terms-shown", SHOWN, subject="a\nb"), 422, "invalid"),
    "an id that is none": (event("terms-shown", SHOWN, subject="id:0"), 422, "invalid"),
    "a time without an offset": (event("terms-shown", SHOWN, occurred_at="2025-10-01T08:00:00"), 422, "invalid"),
    "a day that is none": (event("terms-shown", SHOWN, occurred_at="2025-02-29T08:00:00Z"), 422, "invalid"),
    "too much evidence": (event("terms-shown", SHOWN, evidence="ä" * 40_000), 422, "invalid"),
    "unknown terms": (event("accepted", ACCEPTED | {"terms": "1999"}), 409, "refused"),
    "another notice": (event("terms-shown", SHOWN | {"notice": "0" * 64}), 409, "refused"),
    "toggles that the terms have not": (event("accepted", ACCEPTED | {"toggles": {"x": "on"}}), 409, "refused"),
    "touched that no toggle is": (event("accepted", ACCEPTED | {"touched": ["x"]}), 409, "refused"),
    "an end before its beginning": (
        event("data-used-for-training", USE | {"collected_until": "2025-01-01T00:00:00Z"}),
        409,
        "refused",
    ),
    "an On of nobody": (event("toggle-changed", OFF | {"to": "on"}, subject="cem"), 409, "refused"),
    "an id of nobody": (event("terms-shown", SHOWN, subject="id:" + "0" * 32), 404, "unknown-subject"),
    "a key of nobody": (event("terms-shown", SHOWN, subject="key:" + "0" * 64), 404, "unknown-subject"),
}


@pytest.mark.parametrize("what", EVENTS)
def test_what_no_caller_may_record(served: Served, nothing_written: None, what: str) -> None:
    body, status, code = EVENTS[what]
    with served.client() as client:
        assert_problem(client.post("/v1/events", json=body), status, code)


def test_a_key_stands_for_one_request(ledger: ConsentLedger, served: Served) -> None:
    b.grant(ledger, "ann", "bob")
    key = {"Idempotency-Key": "k"}
    with served.client() as client:
        first = client.post("/v1/events", json=event("toggle-changed", OFF), headers=key)
        assert first.status_code == 201
        head = ledger.recorder.head()
        for other in (
            event("toggle-changed", OFF | {"surface": "elsewhere"}),
            event("toggle-changed", OFF, occurred_at=MOMENT),
            event("toggle-changed", OFF, subject="bob"),  # another person's
            event("terms-shown", SHOWN, subject="nobody yet"),
            event("terms-shown", SHOWN),
        ):
            assert_problem(client.post("/v1/events", json=other, headers=key), 409, "key-reused")
        assert ledger.recorder.head() == head
        for bad in (b"", b"a b", "ü".encode(), b"x" * 257):
            answer = client.post("/v1/events", json=event("terms-shown", SHOWN), headers=[(b"Idempotency-Key", bad)])
            assert_problem(answer, 422, "invalid")
        twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        answer = client.post("/v1/events", json=event("terms-shown", SHOWN), headers=twice)
        assert_problem(answer, 400, "repeated-header")
        assert ledger.recorder.head() == head


def test_a_body_that_only_looks_repeated_is_taken(served: Served, ledger: ConsentLedger) -> None:
    """Spaces, escapes and the order of names are anybody's own."""
    b.grant(ledger, "ann")
    with served.client() as client:
        for text in (b'{ "subject" : "ann" }', b'{"sub\\u006aect":"\\u0061nn"}', b'\n{"subject":\n\t"ann"}\n'):
            answer = client.post(
                "/v1/status", content=text, headers={"Content-Type": "application/json; charset=UTF-8"}
            )
            assert answer.status_code == 200, answer.text


def test_a_whole_number_is_one_however_it_is_written(served: Served, ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    with served.client() as client:
        for number, status in (("3", 200), ("3.0", 200), ("3e0", 200), ("3.5", 422), ("true", 422), ("1e400", 400)):
            text = f'{{"subject":"ann","position":{number}}}'
            answer = client.post("/v1/status", content=text, headers={"Content-Type": "application/json"})
            assert answer.status_code == status, (number, answer.text)


def test_too_many_requests(serve: Serve, ledger: ConsentLedger) -> None:
    ledger.publish(b.TERMS)
    served = serve(rate=2.0)
    with served.client() as client, served.client() as other:
        statuses = [client.get("/v1/terms").status_code for _ in range(12)]
        assert statuses[:4] == [200] * 4
        refused = client.get("/v1/terms")
        assert_problem(refused, 429, "too-many")
        assert refused.headers["retry-after"] == "1"
        assert other.get("/v1/terms").status_code == 200  # another token's


def test_who_guesses_tokens_is_slowed_down(served: Served) -> None:
    with httpx.Client(base_url=served.url) as client:
        statuses = [
            client.get("/v1/terms", headers={"Authorization": f"Bearer {new_token()}"}).status_code for _ in range(60)
        ]
    assert statuses[0] == 401
    assert 429 in statuses


def test_no_identity_is_in_a_url(served: Served) -> None:
    """What the API's document has for paths: numbers of tiles, projections and the names of subscribing services."""
    with httpx.Client(base_url=served.url) as client:
        document = client.get("/openapi.json").json()
    variables = {part for path in document["paths"] for part in path.split("/") if "{" in part}
    assert variables == {"{level}", "{number}", "{projection}", "{name}"}
    assert 'in": "query' not in json.dumps(document)


def test_paths_that_lead_nowhere(served: Served, nothing_written: None) -> None:
    with served.client() as client:
        for path in ("/", "/v1", "/v1/status/", "/v1/status/ann", "/docs", "/redoc", "/tile/0/", "/v1/%00", "/%ff"):
            assert_problem(client.get(path), 405 if path == "/v1/status" else 404)
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "TRACE", "OPTIONS"):
            answer = client.request(method, "/v1/status")
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST"
