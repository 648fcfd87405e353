"""Idempotency keys: the same request sent twice is one event, and another under the same key is an error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from ledger.application import ConsentLedger, Recorded
from ledger.domain.recording import Request
from ledger.errors import KeyReused
from ledger.settings import Place
from ledger.store.keys import fence_of, keys_of
from tests import builders as b

GIVEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def asked(ledger: ConsentLedger) -> ConsentLedger:
    """anna and berta accepted; anna's toggle was set off under the key `k`, at position 6."""
    b.grant(ledger, "anna", "berta")
    assert ledger.record("anna", b.toggled("off", occurred=GIVEN), key="k").position == 6
    return ledger


def test_the_same_again_is_the_same_event(asked: ConsentLedger, ledger_place: Place) -> None:
    stream = asked.subject("anna").stream or ""
    again = asked.record("anna", b.toggled("off", occurred=GIVEN), key="k")
    assert again == Recorded(6, stream, repeated=True)
    subject_id = asked.subject("anna").subject_id
    assert subject_id is not None
    for name in (f"id:{subject_id.hex()}", f"key:{stream}"):
        assert asked.record(name, b.toggled("off", occurred=GIVEN), key="k") == again
    assert len(b.whole_log(ledger_place)) == 6


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("anna", b.shown(occurred=GIVEN)),
        ("anna", b.toggled("on", occurred=GIVEN)),
        ("anna", b.toggled("off")),
        ("anna", b.toggled("off", occurred=GIVEN.replace(year=2025))),
        ("berta", b.toggled("off", occurred=GIVEN)),
        ("clara", b.shown(occurred=GIVEN)),
    ],
    ids=["event", "data", "no time", "time", "subject", "new subject"],
)
def test_another_request_under_the_same_key(
    asked: ConsentLedger, ledger_place: Place, name: str, request_: Request
) -> None:
    with pytest.raises(KeyReused):
        asked.record(name, request_, key="k")
    assert len(b.whole_log(ledger_place)) == 6
    assert asked.identities.find(["clara"])["clara"].subject_id is None
    assert asked.record("berta", b.toggled("off", occurred=GIVEN), key="another").position == 7


def test_without_a_key_it_is_two_events(asked: ConsentLedger) -> None:
    first, second = (asked.record("anna", b.toggled("off", occurred=GIVEN)) for _ in range(2))
    assert (first.position, second.position) == (7, 8)


def test_the_same_by_many_at_once(asked: ConsentLedger, ledger_place: Place) -> None:
    gate = threading.Barrier(16)

    def ask() -> Recorded:
        gate.wait(30)
        return asked.record("berta", b.toggled("off"), key="at once")

    with ThreadPoolExecutor(16) as pool:
        answers = [future.result(60) for future in [pool.submit(ask) for _ in range(16)]]
    assert {answer.position for answer in answers} == {7}
    assert sorted(answer.repeated for answer in answers) == [False] + [True] * 15
    assert len(b.whole_log(ledger_place)) == 7


def test_one_key_for_many_people_at_once(asked: ConsentLedger, ledger_place: Place) -> None:
    """Also people who are new, and whose id was drawn only just now."""
    gate = threading.Barrier(8)

    def ask(number: int) -> bool:
        gate.wait(30)
        try:
            return not asked.record(f"new-{number}", b.shown(), key="one for all").repeated
        except KeyReused:
            return False

    with ThreadPoolExecutor(8) as pool:
        answers = [future.result(60) for future in [pool.submit(ask, number) for number in range(8)]]
    assert answers.count(True) == 1
    assert len(b.whole_log(ledger_place)) == 7


def test_a_key_says_nothing_without_the_subject_id() -> None:
    """It may be an identity: two people's rows for it have nothing in common but what the secret opens."""
    secret = bytes(32)
    one, two = (keys_of(bytes([number]) * 16, "anna@example.org", b"request", secret) for number in range(2))
    assert one[0].key != two[0].key
    assert one[1].key == two[1].key
    assert one[1].request != two[1].request
    assert one[1] == fence_of(bytes(16), "anna@example.org", secret)
    assert keys_of(bytes(16), "k", b"request", None) == keys_of(bytes(16), "k", b"request", secret)[:1]
