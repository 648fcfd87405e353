"""Appends stored together: faster than each for itself, with the same answers, and under the same rules."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import canonical
from ledger.domain.times import format_time
from ledger.settings import Place
from ledger.store import arrays
from ledger.store.database import connect
from ledger.store.evidence import new_evidence
from ledger.store.keys import Key
from ledger.store.parameters import arrays_of
from ledger.store.statements import statement
from ledger.store.writer import Append, Outcome
from tests import builders as b

PAST = datetime(1999, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def names(ledger: ConsentLedger, *appends: Append) -> list[str]:
    return [outcome.name for outcome in ledger.writer.append_all(appends) if isinstance(outcome, Outcome)]


def key(number: int, request: int = 0, entry: int = 0, fence: bool = False) -> Key:
    return Key(number.to_bytes(32, "big"), request.to_bytes(32, "big"), fence, entry)


def imported(stream: str, version: int, recorded: datetime, at: datetime) -> Append:
    stored = json.loads(b.entry_bytes(stream, version, recorded))
    stored["imported"] = {"at": format_time(at), "source": "test"}
    return Append(stream, version, [canonical(stored)])


def test_all_are_stored_in_their_order_with_their_keys(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)
    appends = [
        b.append_of(b.stream_of(1), 1, now, count=3, keys=[key(1, entry=0), key(2, entry=2), key(3, fence=True)]),
        b.append_of(b.stream_of(2), 1, now, keys=[key(4)]),
        b.append_of(b.stream_of(3), 1, now, count=2),
    ]
    outcomes = ledger.writer.append_all(appends)
    assert [(one.name, one.position) for one in outcomes if isinstance(one, Outcome)] == [
        ("stored", 1),
        ("stored", 4),
        ("stored", 5),
    ]
    b.assert_whole(b.whole_log(ledger_place))
    with b.admin(ledger_place) as admin:
        rows = admin.execute("SELECT key, position FROM ledger.idempotency_key ORDER BY key").fetchall()
        columns = admin.execute("SELECT event, recorded_at, imported FROM ledger.log_entry").fetchall()
    assert [(int.from_bytes(bytes(one), "big"), position) for one, position in rows] == [
        (1, 1),
        (2, 3),
        (3, None),
        (4, 4),
    ]
    assert columns == [("terms-shown", now, False)] * 6
    assert names(ledger, b.append_of(b.stream_of(1), 4, now, nonce=9), imported(b.stream_of(4), 1, PAST, now)) == [
        "stored",
        "stored",
    ]


def test_none_at_all_is_nothing(ledger: ConsentLedger) -> None:
    assert ledger.recorder.insert_many([]) == []


def test_evidence_comes_along(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)
    proof = new_evidence(b"203.0.113.7")
    assert names(ledger, b.append_of(b.stream_of(1), 1, now, evidence=[proof])) == ["stored"]
    with b.admin(ledger_place) as admin:
        assert admin.execute("SELECT count(*) FROM ledger.evidence").fetchone() == (1,)


#: What stands in the way of one of three, by what it is answered.
Case = Callable[[str, datetime], Append]
IN_THE_WAY: dict[str, Case] = {
    "a version that is there": lambda stream, now: b.append_of(stream, 1, now, nonce=5),
    "a gap": lambda stream, now: b.append_of(stream, 4, now),
    "a known key": lambda stream, now: b.append_of(stream, 3, now, keys=[key(1)]),
    "a key for another request": lambda stream, now: b.append_of(stream, 3, now, keys=[key(1, request=7)]),
    "a time ahead": lambda stream, now: b.append_of(stream, 3, now + HOUR),
    "a time before the last": lambda stream, now: b.append_of(stream, 3, now - HOUR / 2),
    "a time long ago": lambda _, now: b.append_of(b.stream_of(8), 1, now - HOUR),
    "an import of tomorrow": lambda _, now: imported(b.stream_of(8), 1, now + HOUR, now),
    "an import with tomorrow's clock": lambda _, now: imported(b.stream_of(8), 1, PAST, now + HOUR),
    "an import with yesterday's clock": lambda _, now: imported(b.stream_of(8), 1, PAST, now - 2 * HOUR),
    "an import before the stream's last": lambda stream, now: imported(stream, 3, PAST, now),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_one_that_cannot_be_stored_fails_no_other_and_is_answered_as_ever(
    ledger: ConsentLedger, ledger_place: Place, what: str
) -> None:
    now = b.now_of(ledger)
    assert names(ledger, b.append_of(b.stream_of(1), 1, now, count=2, keys=[key(1)])) == ["stored"]
    bad = IN_THE_WAY[what](b.stream_of(1), now)
    alone = ledger.writer.append(bad)
    assert alone.name != "stored"
    around = [b.append_of(b.stream_of(number), 1, now) for number in (2, 3)]
    answers = ledger.writer.append_all([around[0], bad, around[1]])
    assert [one.name for one in answers if isinstance(one, Outcome)] == ["stored", alone.name, "stored"]
    b.assert_whole(b.whole_log(ledger_place))


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_the_function_itself_stores_nothing_then(ledger: ConsentLedger, ledger_place: Place, what: str) -> None:
    """Whoever calls it without the writer gets around nothing."""
    now = b.now_of(ledger)
    names(ledger, b.append_of(b.stream_of(1), 1, now, count=2, keys=[key(1)]))
    before = b.whole_log(ledger_place)
    appends = [b.append_of(b.stream_of(2), 1, now), IN_THE_WAY[what](b.stream_of(1), now)]
    with connect(ledger_place.url or "", "the ledger", "consent_service") as service:
        arrays.register(service)
        with pytest.raises(psycopg.errors.IntegrityError):
            service.execute(statement("append_together"), arrays_of(appends))
    assert b.whole_log(ledger_place) == before


def test_a_stream_in_two_pieces_is_not_stored_together(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)
    pieces = [b.append_of(b.stream_of(number), version, now) for number, version in [(1, 1), (2, 1), (1, 2)]]
    with connect(ledger_place.url or "", "the ledger", "consent_service") as service:
        arrays.register(service)
        with pytest.raises(psycopg.errors.IntegrityError):
            service.execute(statement("append_together"), arrays_of(pieces))
    assert b.whole_log(ledger_place) == []


def test_bytes_that_are_no_entry_fail_no_other(ledger: ConsentLedger) -> None:
    now = b.now_of(ledger)
    answers = ledger.writer.append_all([Append("x", 1, [b"{"]), b.append_of(b.stream_of(2), 1, now)])
    assert isinstance(answers[0], psycopg.Error)
    assert isinstance(answers[1], Outcome)
    assert answers[1].name == "stored"


def test_batches_that_race_for_streams_lose_nothing(ledger: ConsentLedger, ledger_place: Place) -> None:
    """Threads with batches of streams in common: of each place one is stored, and positions have no gaps."""
    now = b.now_of(ledger)
    stored: list[tuple[str, int]] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(12):
            streams = chance.sample(range(40), 15)
            appends = [b.append_of(b.stream_of(one), 1, now, nonce=number) for one in streams]
            for append, outcome in zip(appends, ledger.writer.append_all(appends), strict=True):
                assert isinstance(outcome, Outcome)
                if outcome.name == "stored":
                    stored.append((append.stream, outcome.position or 0))

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    assert sorted(stored) == sorted((stream, position) for position, stream, _, _ in log)
    assert len({stream for stream, _ in stored}) == len(stored)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_arrays_arrive_as_they_are(ledger_place: Place, count: int) -> None:
    with b.admin(ledger_place) as admin:
        arrays.register(admin)
        row = admin.execute(
            "SELECT %b::bytea[], %b::integer[], %b::boolean[]",
            [
                arrays.of_bytes([b"", b"\0\1", b"x" * 70_000][:count]),
                arrays.of_integers([-1, 0, 2**31 - 1][:count]),
                arrays.of_booleans([True, False, True][:count]),
            ],
        ).fetchone()
    assert row == (
        [b"", b"\0\1", b"x" * 70_000][:count],
        [-1, 0, 2**31 - 1][:count],
        [True, False, True][:count],
    )
