"""Whoever may write may not choose the ledger's clock; and a clock that steps back stops nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import Imported, canonical, decode_entry
from ledger.domain.recording import Request
from ledger.domain.times import format_time
from ledger.settings import Place
from ledger.store.clock import LedgerClock
from ledger.store.writer import Append
from tests import builders as b

HOUR = timedelta(hours=1)


def names(ledger: ConsentLedger, *appends: Append) -> list[str]:
    return [ledger.writer.append(append).name for append in appends]


def test_a_time_ahead_of_the_clock_is_refused(ledger: ConsentLedger, ledger_place: Place) -> None:
    ahead = b.append_of(b.stream_of(1), 1, b.now_of(ledger, ahead=1))
    outcome = ledger.writer.append(ahead)
    assert outcome.name == "out-of-time"
    assert outcome.clock is not None
    assert names(ledger, b.append_of(b.stream_of(1), 1, outcome.clock)) == ["stored"]


def test_what_waited_longer_than_a_minute_is_refused(ledger: ConsentLedger) -> None:
    """Lateness counts from the highest time of all that was not imported (FORMATS.md, section 1)."""
    now = b.now_of(ledger)
    late, in_time = now - timedelta(seconds=60, microseconds=1), now - timedelta(seconds=60)
    assert names(ledger, b.append_of(b.stream_of(1), 1, late)) == ["stored"], "nothing is later yet"
    assert names(ledger, b.append_of(b.stream_of(2), 1, now)) == ["stored"]
    assert names(ledger, b.append_of(b.stream_of(3), 1, late, nonce=3)) == ["out-of-time"]
    assert names(ledger, b.append_of(b.stream_of(4), 1, in_time, nonce=4)) == ["stored"]


def test_times_never_fall_within_a_stream(ledger: ConsentLedger) -> None:
    now = b.now_of(ledger)
    before = now - timedelta(microseconds=1)
    assert names(ledger, b.append_of(b.stream_of(1), 1, now)) == ["stored"]
    assert names(ledger, b.append_of(b.stream_of(1), 2, before, nonce=2)) == ["out-of-time"]
    assert names(ledger, b.append_of(b.stream_of(1), 2, now, nonce=3)) == ["stored"]


def imported(stream: str, recorded: datetime, at: datetime) -> Append:
    stored = json.loads(b.entry_bytes(stream, 1, recorded))
    stored["imported"] = {"at": format_time(at), "source": "test"}
    return Append(stream, 1, [canonical(stored)])


def test_an_import_brings_its_own_past_and_no_future(ledger: ConsentLedger) -> None:
    now = b.now_of(ledger)
    past = datetime(1999, 1, 1, tzinfo=UTC)
    assert names(ledger, b.append_of(b.stream_of(1), 1, now)) == ["stored"]
    assert names(ledger, imported(b.stream_of(2), past, now)) == ["stored"]
    assert names(ledger, imported(b.stream_of(3), now + HOUR, now)) == ["out-of-time"]
    assert names(ledger, imported(b.stream_of(3), past, now + HOUR)) == ["out-of-time"]
    assert names(ledger, imported(b.stream_of(3), past, now - 2 * HOUR)) == ["out-of-time"]


@pytest.mark.parametrize("off_by", [HOUR, timedelta(minutes=-2)], ids=["fast", "slow"])
def test_a_program_whose_clock_is_off_decides_again(
    ledger: ConsentLedger, ledger_place: Place, off_by: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_attempts(monkeypatch)
    b.grant(ledger, "anna")
    ledger.clock.read(b.now_of(ledger) + off_by)
    recorded = ledger.record("anna", b.toggled("off"))
    entry = decode_entry(b.whole_log(ledger_place)[recorded.position - 1][3])
    assert abs(entry.recorded - b.now_of(ledger)) < timedelta(seconds=30)


def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """One to learn the time, one to be stored: more means that it goes in circles."""
    monkeypatch.setattr("ledger.application.MOST_ATTEMPTS", 2)


def record_in_an_hour(place: Place, stream: str, version: int, was_imported: bool) -> datetime:
    """An entry as it stands after the database's clock stepped back by an hour."""
    with b.admin(place) as admin:
        row = admin.execute("SELECT clock_timestamp(), max(position) + 1 FROM ledger.log_entry").fetchone()
        assert row is not None
        moment: datetime = row[0] + HOUR
        stored = json.loads(b.entry_bytes(stream, version, moment))
        if was_imported:
            stored["imported"] = {"at": format_time(moment), "source": "test"}
        admin.execute(
            "INSERT INTO ledger.log_entry (position, stream, version, event, recorded_at, imported, entry)"
            " VALUES (%s, %s, %s, 'terms-shown', %s, %s, %s)",
            [row[1], stream, version, moment, was_imported, canonical(stored)],
        )
    return moment


IMPORT = {"occurred": datetime(2025, 9, 1, tzinfo=UTC), "source": "old system"}


@pytest.mark.parametrize("was_imported", [False, True], ids=["live", "imported"])
@pytest.mark.parametrize("request_of", [b.toggled, lambda to: b.toggled(to, **IMPORT)], ids=["live", "import"])
def test_a_clock_that_steps_back_stops_nobody(
    ledger: ConsentLedger,
    ledger_place: Place,
    was_imported: bool,
    request_of: Callable[[str], Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    b.grant(ledger, "anna", "berta")
    stream = ledger.subject("anna").stream or ""
    latest = record_in_an_hour(ledger_place, stream, 3, was_imported)
    few_attempts(monkeypatch)
    for name in ("berta", "anna", "berta"):
        for to in ("off", "on", "off"):
            ledger.record(name, request_of(to))
        times = [entry.recorded for _, entry in ledger.entries_of(ledger.subject(name).stream or "")]
        assert times == sorted(times)
        if name == "anna":
            assert times[-3:] == [latest] * 3
    ats = [
        entry.imported.at
        for _, entry in ledger.entries_of(stream)
        if isinstance(entry.imported, Imported) and entry.recorded_at > entry.imported.at
    ]
    assert ats == [], "no import is taken in before it was recorded"


def test_many_callers_while_the_clock_stands_still(ledger: ConsentLedger, ledger_place: Place) -> None:
    names_ = [f"person-{number}" for number in range(8)]
    b.grant(ledger, *names_)
    latest = record_in_an_hour(ledger_place, ledger.subject("person-0").stream or "", 3, False)
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(ledger.record, names_[number % 8], b.toggled("off")) for number in range(64)]
        positions = {call.result(60).position for call in calls}
    assert len(positions) == 64
    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    assert {decode_entry(log[position - 1][3]).recorded for position in positions} == {latest}


def test_between_answers_the_clock_goes_on_by_itself() -> None:
    asked: list[datetime] = []

    def ask() -> datetime:
        asked.append(datetime(2026, 1, 1, tzinfo=UTC))
        return asked[-1]

    clock = LedgerClock(ask)
    first = clock.now()
    second = clock.now()
    assert len(asked) == 1
    assert first <= second < first + timedelta(minutes=1)
    clock.read(first + HOUR)
    assert first + HOUR <= clock.now() < first + HOUR + timedelta(minutes=1)
