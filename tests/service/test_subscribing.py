"""Subscriptions over HTTP, against a real server: the same rows as any other way, and nothing missed in a break."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from ledger.application import ConsentLedger
from ledger.projections import PROJECTIONS
from ledger.projections.rebuild import rebuild
from ledger.projections.runner import Runner
from ledger.projections.subscription import Subscription
from ledger.projections.telling import intent_told, row_told, to_line, token_told
from ledger.service import following as own_pages
from ledger.service.server import SHUTDOWN_SECONDS
from ledger.store.database import connect
from ledger.store.tokens import revoke_token
from tests import builders as b
from tests.cli.conftest import run
from tests.projections.population import Population
from tests.service.conftest import SECONDS, Serve, Served
from tests.service.following import Event, all_events, following, path_of
from tests.service.test_server import Process

CONSENT = "current-consent"
Rows = dict[tuple[Any, ...], dict[str, Any]]


def take_in(held: Rows, projection: str, events: Iterable[Event]) -> Rows:
    """What a subscriber does with what it is told."""
    reached = 0
    for kind, told, _ in events:
        if kind == "intent" and told["intent"] == "snapshot":
            held.clear()
            reached = 0
        if kind == "row":
            assert told["position"] >= reached
            reached = told["position"]
            held[tuple(told["row"][column] for column in PROJECTIONS[projection].key)] = told
    return held


def told_by_the_database(ledger: ConsentLedger, projection: str, after: int | None = None) -> list[dict[str, Any]]:
    """The same objects, in Python."""
    with Subscription(ledger, PROJECTIONS[projection], after) as subscription:
        page = subscription.next_page()
        told = [intent_told(page.intent, subscription.token(page.after)), *map(row_told, page.rows)]
        assert page.complete
        told.append(token_told(subscription.token(page.position)))
    return [json.loads(to_line(one)) for one in told]


def told_by_the_command(ledger: ConsentLedger, projection: str, after: str | None = None) -> list[dict[str, Any]]:
    done = run("subscribe", projection, *([] if after is None else ["--after", after]), place=ledger.place)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def in_order(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, with the rows of one position, which have no order, in one."""
    return sorted(told, key=lambda one: (one.keys() == {"token"}, one.get("position", 0), to_line(one)))


def test_a_snapshot_then_nothing_then_changes(served: Served, ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann", "bob")
    named = ledger.identity.id.hex()
    with served.client("read") as client:
        (kind, intent, token), *rows, (last_kind, last, last_id) = all_events(client, CONSENT)
    assert (kind, intent, token) == ("intent", {"intent": "snapshot", "token": f"{named}:0"}, f"{named}:0")
    assert [(kind, told["position"], id_) for kind, told, id_ in rows] == [
        ("row", 3, f"{named}:3"),
        ("row", 5, f"{named}:5"),
    ]
    assert (last_kind, last, last_id) == ("token", {"token": f"{named}:5"}, f"{named}:5")

    with following(served, CONSENT, last_id) as events:
        assert next(events)[1] == {"intent": "nothing", "token": last_id}
        assert next(events)[:2] == ("token", {"token": last_id})
        ledger.record("ann", b.toggled("off"))
        kind, told, id_ = next(event for event in events if event[0] == "row")
        assert (told["position"], told["row"]["toggle"], id_) == (6, "off", f"{named}:6")
        assert next(events) == ("token", {"token": id_}, id_)
        quiet_since = time.monotonic()
        assert next(events) == ("token", {"token": id_}, id_)
        assert time.monotonic() - quiet_since < 2


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_three_ways_tell_the_same(
    projection: str, served: Served, ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database in Python, JSON Lines and server-sent events; and from every id on, what leads to the same rows."""
    monkeypatch.setattr(own_pages, "OWN_PAGE", 4)
    population = Population(ledger, seed=21)
    population.grow(3)
    token = served.token("read")
    with following(served, projection, token=token) as live:
        lived: list[Event] = [next(live)]
        for _ in range(3):
            population.grow(2)
            head = ledger.recorder.head()
            for event in live:
                lived.append(event)
                if event[0] == "token" and event[1]["token"].endswith(f":{head}"):
                    break
    with served.client(token=token) as client:
        once = all_events(client, projection)
        assert_resumable(client, projection, lived, take_in({}, projection, once))
    told = in_order([told for _, told, _ in once])
    assert told == in_order(told_by_the_database(ledger, projection))
    assert told == in_order(told_by_the_command(ledger, projection))


def assert_resumable(client: httpx.Client, projection: str, lived: list[Event], final: Rows) -> None:
    """From each id on, what was told before and what is told after it lead to the same rows."""
    assert take_in({}, projection, lived) == final
    ids = {event[2]: index for index, event in enumerate(lived) if event[2] is not None}
    assert len(ids) > 5
    for id_, index in ids.items():
        rest = all_events(client, projection, id_)
        assert take_in(take_in({}, projection, lived[: index + 1]), projection, rest) == final, id_
        after = int(id_.rpartition(":")[2])
        assert all(told["position"] > after for kind, told, _ in rest if kind == "row")


def test_a_rebuild_in_the_middle_is_a_snapshot(served: Served, ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann", "bob")
    with following(served, CONSENT) as events, Runner(ledger.url, "the ledger") as runner:
        before = [next(events) for _ in range(4)]
        rebuild(runner, PROJECTIONS[CONSENT])
        after = [next(event for event in events if event[0] == "intent")]
        assert after[0][1]["intent"] == "snapshot"
        after += [next(events) for _ in range(3)]
        assert [kind for kind, *_ in after] == ["intent", "row", "row", "token"]
        assert take_in({}, CONSENT, before) == take_in({}, CONSENT, after)
        ledger.record("ann", b.toggled("off"))
        assert next(event for event in events if event[0] == "row")[1]["row"]["toggle"] == "off"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Last-Event-ID": "0" * 32 + ":1"}, 409, "other-ledger"),
        ({"Last-Event-ID": "LEDGER:999"}, 409, "beyond-the-log"),
        ({"Last-Event-ID": "1"}, 409, "other-ledger"),
        ({"Last-Event-ID": ""}, 409, "other-ledger"),
        ({"Consent-At-Least": "0" * 32 + ":1"}, 409, "other-ledger"),
        ({"Consent-At-Least": "x"}, 409, "other-ledger"),
        ({"Consent-Follow": "x"}, 422, "invalid"),
    ],
)
def test_what_no_stream_begins_with(
    headers: dict[str, str], status: int, code: str, served: Served, ledger: ConsentLedger
) -> None:
    given = {name: value.replace("LEDGER", ledger.identity.id.hex()) for name, value in headers.items()}
    with served.client("read") as client:
        answer = client.get(path_of(CONSENT), headers=given)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["detail"].startswith("expected ")


def test_who_may_not_follow(served: Served, ledger: ConsentLedger) -> None:
    paths = [path_of(CONSENT), "/v1/head"]
    for path in paths:
        with served.client(token="") as nobody, served.client("record") as recorder:
            assert nobody.get(path).status_code == 401
            assert recorder.get(path).status_code == 403
    with served.client("read") as client:
        assert client.get(path_of("nothing")).status_code == 404
        assert client.get(path_of(CONSENT) + "?after=1").status_code == 400
    token = served.token("read", name="one")
    with following(served, CONSENT, token=token) as events:
        assert next(events)[0] == "intent"
        with connect(ledger.url, "the ledger", "consent_tokens") as connection:
            revoke_token(connection, "one")
        *_, (kind, told, _) = events
        assert (kind, told["status"], told["code"]) == ("problem", 401, "no-token")


def test_no_more_subscribers_than_there_may_be(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.service.subscribing.MOST_STREAMS", 2)
    with served.client("read") as client:
        with following(served, CONSENT) as one, following(served, CONSENT) as two:
            assert (next(one)[0], next(two)[0]) == ("intent", "intent")
            assert 'consent_subscribers{projection="current-consent"} 2' in client.get("/metrics").text
            answer = client.get(path_of(CONSENT))
            assert (answer.status_code, answer.json()["code"]) == (503, "full")
        deadline = time.monotonic() + SECONDS
        while 'consent_subscribers{projection="current-consent"} 0' not in client.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.get(path_of(CONSENT), headers={"Consent-Follow": "no"}).status_code == 200


def test_a_stream_outlives_the_time_for_requests(serve: Serve) -> None:
    with following(serve(receive_seconds=0.3), CONSENT) as events:
        began = time.monotonic()
        while time.monotonic() - began < 1:
            assert next(events)[0] in ("intent", "token")


def test_who_takes_nothing_is_dropped_and_goes_on(
    serve: Serve, ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = socket.create_server

    def with_small_buffers(*given: Any, **named: Any) -> socket.socket:
        """The system's own take megabytes, which a test would have to fill."""
        bound = create(*given, **named)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        return bound

    monkeypatch.setattr(socket, "create_server", with_small_buffers)
    monkeypatch.setattr("ledger.service.streams.SLOW_SECONDS", 0.5)
    served = serve()
    ledger.publish(b.TERMS)
    token = served.token("read")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect(served.address)
        slow.settimeout(SECONDS)
        head = f"GET {path_of('training-uses')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        slow.sendall(head.encode())
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        with served.client("read", token=token) as client:
            others = client.get("/v1/head")
            assert others.status_code == 200
            grown = Population(ledger, seed=31, people=200)
            deadline = time.monotonic() + SECONDS
            while 'consent_subscribers{projection="training-uses"} 1' in client.get("/metrics").text:
                assert time.monotonic() < deadline
                grown.grow(1)
        found = bytearray()
        try:
            while part := slow.recv(65_536):
                found += part
        except ConnectionError:
            pass
    ids = [line[4:].strip() for line in found.decode().splitlines() if line.startswith("id: ")]
    position = int(ids[-2].rpartition(":")[2])  # the last one may be cut off
    assert position < ledger.recorder.head()
    with served.client(token=token) as client:
        rest = all_events(client, "training-uses", ids[-2])
    assert in_order([told for kind, told, _ in rest if kind == "row"]) == in_order(
        [told for told in told_by_the_database(ledger, "training-uses", position) if "row" in told]
    )


def test_a_database_that_goes_away_is_told_and_streams_begin_again(served: Served, ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    token = served.token("read")
    with following(served, CONSENT, token=token) as events:
        before = [next(events) for _ in range(3)]
        with b.admin(ledger.place) as admin:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            admin.execute(f"{cut} AND pid <> pg_backend_pid()")
        *_, (kind, told, _) = events
        assert (kind, told["status"], told["code"]) == ("problem", 503, "unavailable")
    with served.client(token=token) as client:
        (_, intent, _), *_ = all_events(client, CONSENT, before[-1][2])
    assert intent["intent"] == "nothing"


def test_a_service_that_ends_ends_its_streams_at_once_and_logs_them_once(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    process = Process(ledger.place)
    with following(Served(process.url, ledger.place), CONSENT) as events:
        assert next(events)[0] == "intent"
        began = time.monotonic()
        logged = process.stop()
        assert time.monotonic() - began < SHUTDOWN_SECONDS / 2
        assert [kind for kind, *_ in events][-1] == "token"
    lines = [json.loads(line) for line in logged.splitlines()]
    (stream,) = [line for line in lines if line.get("route") == "/v1/projections/{projection}/changes"]
    assert (stream["status"], stream["level"]) == (200, "info")


def test_reads_are_as_fresh_as_asked_or_fail(
    served: Served, ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.service.freshness.FRESH_SECONDS", 0.3)
    b.grant(ledger, "ann")
    with served.client("read") as client:
        head = client.get("/v1/head").json()["token"]
        assert head == f"{ledger.identity.id.hex()}:{ledger.recorder.head()}"
        later = f"{ledger.identity.id.hex()}:{ledger.recorder.head() + 1}"
        asked = {"subject": "ann"}
        item = asked | {"collected_at": "2025-10-01T08:00:00Z"}
        for path, body in (("status", asked), ("check", item), ("check/batch", {"questions": [item]})):
            for token, status in ((head, 200), (later, 503), ("0" * 32 + ":1", 409), ("x", 409)):
                answer = client.post(f"/v1/{path}", json=body, headers={"Consent-At-Least": token})
                assert answer.status_code == status, (path, token, answer.text)
        followed = client.get(path_of(CONSENT), headers={"Consent-At-Least": head, "Consent-Follow": "no"})
        assert f'{{"token":"{head}"}}' in followed.text
        assert client.get(path_of(CONSENT), headers={"Consent-At-Least": later}).status_code == 503


def test_a_name_says_how_far_it_has_come(served: Served, ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    with served.client(token=served.token("read", name="search")) as client:
        token = client.get("/v1/head").json()["token"]
        ledger.record("ann", b.toggled("off"))
        body = {"projection": CONSENT, "token": token}
        answer = client.post("/v1/subscriptions/search", json=body)
        assert answer.json() == {"name": "search", "lag": 1, **body}
        assert (
            'consent_subscription_lag{subscription="search",projection="current-consent"} 1.0'
            in client.get("/metrics").text
        )
        named, _, position = token.partition(":")
        for name, changed, status in (
            ("search", {"projection": "training-uses"}, 409),
            ("search", {"token": f"{named}:{int(position) + 2}"}, 409),
            ("search", {"token": "0" * 32 + f":{position}"}, 409),
            ("search", {"token": position}, 422),
            ("search", {"projection": "nothing"}, 422),
            ("ann@example.org", {}, 422),
        ):
            answer = client.post(f"/v1/subscriptions/{name}", json=body | changed)
            assert answer.status_code == status, (name, changed, answer.text)
        assert client.post("/v1/subscriptions/search", json=body).json()["token"] == token
    with served.client("record") as recorder:
        assert recorder.post("/v1/subscriptions/search", json=body).status_code == 403


def stands(client: httpx.Client) -> list[str]:
    """Each name, and how far it is behind."""
    return sorted(line for line in client.get("/metrics").text.splitlines() if line.startswith("consent_subscription"))


def test_a_name_is_moved_by_tokens_of_its_service_alone(served: Served, ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    with served.client("read") as reader:
        head = reader.get("/v1/head").json()["token"]
        begun = {"projection": CONSENT, "token": f"{ledger.identity.id.hex()}:1"}
        search = served.token("read", name="search")
        with served.client(token=search) as client:
            for name in ("search", "search.index"):
                assert client.post(f"/v1/subscriptions/{name}", json=begun).status_code == 200
        before = stands(reader)
        assert len(before) == 2

        # Neither moved nor made, whatever the other token is called; and what is there looks as what is not.
        told = set()
        for other in ("billing", "searching", "SEARCH", "sear", "search-2", "billing.search"):
            with served.client(token=served.token(name=other)) as client:
                for name in ("search", "search.index", "search.new", "none-has-it"):
                    answer = client.post(f"/v1/subscriptions/{name}", json=begun | {"token": head})
                    assert (answer.status_code, answer.json()["code"]) == (403, "not-yours"), (other, name)
                    told.add(answer.json()["detail"].replace(other.partition(".")[0], "OWN"))
        assert told == {
            "expected OWN, or a name that begins with OWN and a dot, for the token's name says whose it is, "
            "found another service's; take a name of your own"
        }
        assert stands(reader) == before


def test_a_service_goes_on_with_its_next_token(served: Served, ledger: ConsentLedger) -> None:
    """Both let it in until the first is revoked; the names stay where they were."""
    b.grant(ledger, "ann")
    body = {"projection": CONSENT, "token": f"{ledger.identity.id.hex()}:2"}
    first, second = (served.token("read", name=name) for name in ("search", "search.2026-12"))
    for token in (first, second, first, second):
        with served.client(token=token) as client:
            for name in ("search", "search.index"):
                assert client.post(f"/v1/subscriptions/{name}", json=body).status_code == 200
    with connect(ledger.url, "the ledger", "consent_tokens") as connection:
        revoke_token(connection, "search")
    third = served.token("read", name="search")
    for token in (second, third):
        with served.client(token=token) as client:
            assert client.post("/v1/subscriptions/search", json=body).status_code == 200


def test_an_operator_forgets_a_name_and_its_service_begins_it_again(served: Served, ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann")
    with served.client(token=served.token("read", name="search")) as client:
        body = {"projection": CONSENT, "token": client.get("/v1/head").json()["token"]}
        client.post("/v1/subscriptions/search", json=body)
        assert run("projections", "forget", "search", place=ledger.place).returncode == 0
        assert stands(client) == []
        # Of another projection even, which a name that stands is not.
        again = client.post("/v1/subscriptions/search", json=body | {"projection": "training-uses"})
        assert again.json()["projection"] == "training-uses"


def test_a_service_leaves_room_to_others(
    served: Served, ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.store.subscriptions.MOST_OF_A_SERVICE", 2)
    b.grant(ledger, "ann")
    search, billing = (served.token("read", name=name) for name in ("search", "billing"))
    with served.client(token=search) as greedy, served.client(token=billing) as other:
        body = {"projection": CONSENT, "token": greedy.get("/v1/head").json()["token"]}
        statuses = [
            greedy.post(f"/v1/subscriptions/{name}", json=body).status_code
            for name in ("search", "search.a", "search.b", "search.a")
        ]
        assert statuses == [200, 200, 409, 200]
        assert other.post("/v1/subscriptions/billing", json=body).status_code == 200
