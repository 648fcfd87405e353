"""What eventsourcing asks of a recorder, and what ours promises besides."""

from __future__ import annotations

import threading
import time
from datetime import datetime

import pytest
from eventsourcing.persistence import RecordConflictError, StoredEvent

from ledger.application import ConsentLedger
from ledger.store.keys import Key
from ledger.store.recorder import AlreadyRecorded, OutOfTime
from tests import builders as b
from tests.domain import given

ONE, TWO = b.stream_of(1), b.stream_of(2)


def stored_event(stream: str, version: int, recorded: datetime, topic: str = "terms-shown") -> StoredEvent:
    event = given.shown() if topic == "terms-shown" else given.accepted()
    return StoredEvent(stream, version, topic, b.entry_bytes(stream, version, recorded, event))


@pytest.fixture
def filled(ledger: ConsentLedger) -> ConsentLedger:
    """Two streams in turn: one at the positions 1, 2, 4, 6, two at 3 and 5; odd versions were shown, even accepted."""
    now = b.now_of(ledger)
    for stream, version in [(ONE, 1), (ONE, 2), (TWO, 1), (ONE, 3), (TWO, 2), (ONE, 4)]:
        topic = "terms-shown" if version % 2 else "accepted"
        ledger.recorder.insert_events([stored_event(stream, version, now, topic)])
    return ledger


def versions(ledger: ConsentLedger, stream: str = ONE, **wanted: int | bool | None) -> list[int]:
    return [event.originator_version for event in ledger.recorder.select_events(stream, **wanted)]  # type: ignore[arg-type]


def test_select_events(filled: ConsentLedger) -> None:
    assert versions(filled) == [1, 2, 3, 4]
    assert versions(filled, TWO) == [1, 2]
    assert versions(filled, b.stream_of(3)) == []
    assert versions(filled, gt=0) == [1, 2, 3, 4]
    assert versions(filled, gt=2) == [3, 4]
    assert versions(filled, lte=2) == [1, 2]
    assert versions(filled, lte=0) == []
    assert versions(filled, gt=1, lte=3) == [2, 3]
    assert versions(filled, gt=4) == []
    assert versions(filled, desc=True) == [4, 3, 2, 1]
    assert versions(filled, limit=2) == [1, 2]
    assert versions(filled, limit=0) == []
    assert versions(filled, desc=True, limit=1) == [4]
    assert versions(filled, gt=1, lte=3, desc=True, limit=1) == [3]
    event = filled.recorder.select_events(ONE, limit=1)[0]
    assert (event.originator_id, event.topic) == (ONE, "terms-shown")
    assert b'"nonce"' in bytes(event.state)


def positions(ledger: ConsentLedger, start: int | None, limit: int = 10, *more: object, **wanted: bool) -> list[int]:
    found = ledger.recorder.select_notifications(start, limit, *more, **wanted)  # type: ignore[arg-type]
    return [notification.id for notification in found]


def test_select_notifications(filled: ConsentLedger) -> None:
    assert positions(filled, None) == [1, 2, 3, 4, 5, 6]
    assert positions(filled, 1) == [1, 2, 3, 4, 5, 6]
    assert positions(filled, 3) == [3, 4, 5, 6]
    assert positions(filled, 3, inclusive_of_start=False) == [4, 5, 6]
    assert positions(filled, None, inclusive_of_start=False) == [1, 2, 3, 4, 5, 6]
    assert positions(filled, 1, 2) == [1, 2]
    assert positions(filled, 1, 0) == []
    assert positions(filled, 2, 10, 4) == [2, 3, 4]
    assert positions(filled, 1, 10, 0) == []
    assert positions(filled, 7) == []
    assert positions(filled, 1, 10, None, ["accepted"]) == [2, 5, 6]
    assert positions(filled, 1, 2, 5, ["accepted"]) == [2, 5]
    assert positions(filled, 1, 10, None, ["accepted", "terms-shown"]) == [1, 2, 3, 4, 5, 6]
    assert positions(filled, 1, 10, None, ["toggle-changed"]) == []


def test_max_notification_id(ledger: ConsentLedger) -> None:
    assert ledger.recorder.max_notification_id() is None
    ledger.publish(b.TERMS)
    assert ledger.recorder.max_notification_id() == 1


def test_pages_end_where_the_log_ended_when_they_began(filled: ConsentLedger) -> None:
    assert [position for position, *_ in filled.recorder.pages(2)] == [3, 4, 5, 6]
    assert [position for position, *_ in filled.recorder.pages(2, until=4)] == [3, 4]
    assert list(filled.recorder.pages(until=0)) == []
    assert [position for position, *_ in filled.recorder.streams([TWO, ONE], until=4)] in ([1, 2, 4, 3], [3, 1, 2, 4])
    assert filled.recorder.streams([ONE], until=0) == []
    later = filled.recorder.pages()
    assert next(later)[0] == 1
    filled.publish(b.TERMS)
    assert [position for position, *_ in later] == [2, 3, 4, 5, 6]


def test_an_empty_log_has_no_pages_even_while_it_fills(ledger: ConsentLedger) -> None:
    pages = ledger.recorder.pages(until=ledger.recorder.head())
    ledger.publish(b.TERMS)
    assert list(pages) == []


def test_insert_events_says_what_became_of_them(filled: ConsentLedger) -> None:
    now = b.now_of(filled)
    recorder = filled.recorder
    assert recorder.insert_events([]) == []
    both = [stored_event(TWO, version, now) for version in (3, 4)]
    assert list(recorder.insert_events(both)) == [7, 8]
    with pytest.raises(RecordConflictError):
        recorder.insert_events(both)
    with pytest.raises(RecordConflictError):
        recorder.insert_events([stored_event(TWO, 9, now)])
    with pytest.raises(OutOfTime) as late:
        recorder.insert_events([stored_event(TWO, 5, b.now_of(filled, ahead=100))])
    assert late.value.clock >= now
    key = Key(b"k" * 32, b"r" * 32)
    assert list(recorder.insert_events([stored_event(TWO, 5, now)], keys=[key])) == [9]
    with pytest.raises(AlreadyRecorded) as before:
        recorder.insert_events([stored_event(TWO, 6, now)], keys=[key])
    assert before.value.position == 9


def test_a_subscription_follows_and_stops(filled: ConsentLedger) -> None:
    seen: list[int] = []
    with filled.recorder.subscribe(gt=4) as subscription:
        follower = threading.Thread(target=lambda: seen.extend(n.id for n in subscription))
        follower.start()
        for position in (7, 8):
            filled.recorder.insert_events([stored_event(ONE, position - 2, b.now_of(filled))])
        deadline = time.monotonic() + 20
        while len(seen) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
    follower.join(20)
    assert not follower.is_alive(), "it did not stop"
    assert seen == [5, 6, 7, 8]


def test_a_subscription_to_some_events(filled: ConsentLedger) -> None:
    with filled.recorder.subscribe(topics=["accepted"]) as subscription:
        assert [next(subscription).id for _ in range(3)] == [2, 5, 6]
