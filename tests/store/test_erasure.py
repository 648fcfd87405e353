"""Erasing a person: identity and evidence are gone, the log says so, and no old line brings the person back."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from ledger.application import ConsentLedger, Recorded
from ledger.domain.names import subject_stream
from ledger.errors import SubjectErased, UnknownSubject
from ledger.settings import Place
from tests import builders as b

ROOT = Path(__file__).parents[2]
ANNA, KEY, ADDRESS = "anna@example.org", "order-4711", b"203.0.113.7"


@pytest.fixture
def accepted(ledger: ConsentLedger) -> ConsentLedger:
    """anna accepted, with keys and evidence; berta too."""
    b.grant(ledger, "berta")
    ledger.record(ANNA, b.shown(), key=KEY, evidence=ADDRESS)
    ledger.record(ANNA, b.accepted(), key=ANNA, evidence=b"Mozilla/5.0")
    return ledger


def everything(place: Place) -> Iterator[tuple[str, str]]:
    """Every row of every table of the ledger, as text; bytes in it as hex."""
    with b.admin(place) as admin:
        admin.execute("SET bytea_output = 'hex'")
        tables = admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'").fetchall()
        assert len(tables) >= 6
        for (table,) in tables:
            query = sql.SQL("SELECT t::text FROM ledger.{} t").format(sql.Identifier(table))
            for (row,) in admin.execute(query):
                yield table, row
                # An entry is text in bytes: what it says counts too.
                if table == "log_entry":
                    yield table, bytes.fromhex(row.split("\\x")[1].split('"')[0]).decode()


def trace(value: bytes | str) -> str:
    return value.hex() if isinstance(value, bytes) else value


def test_nothing_leads_from_the_person_to_the_stream(accepted: ConsentLedger, ledger_place: Place) -> None:
    subject = accepted.subject(ANNA)
    assert subject.subject_id is not None
    mine: list[bytes | str] = [subject.subject_id, ANNA, ANNA.encode(), KEY, KEY.encode(), ADDRESS, b"Mozilla/5.0"]
    for plain in (ANNA.encode(), KEY.encode(), subject.subject_id):
        for salt in (
            b"",
            b"consent-ledger/v1/key\n",
            b"consent-ledger/v1/key-fence\n",
            b"consent-ledger/v1/key-owner\n",
        ):
            # Whoever has no more than the database could try these out.
            mine += [hashlib.sha256(salt + plain).digest(), hmac.digest(b"", salt + plain, "sha256")]
    traces = [trace(value) for value in mine]
    stream_hash = hashlib.sha256(b"consent-ledger/v1/subject\n" + subject.subject_id).hexdigest()
    assert stream_hash == subject.stream, "the stream key alone is a hash of the subject id, and stays"
    before = [row for _, row in everything(ledger_place)]
    assert all(any(found in row for row in before) for found in (subject.subject_id.hex(), ANNA, ADDRESS.hex()))

    accepted.erase(ANNA, "request")

    rows = list(everything(ledger_place))
    for table, row in rows:
        for found in traces:
            assert found not in row, table
        # The stream stands in the log alone, and what is left of the identity nowhere beside it.
        assert table == "log_entry" or (subject.stream or "") not in row
    assert [table for table, _ in rows].count("identities") == 1, "berta's"
    assert [table for table, _ in rows].count("evidence") == 0
    assert [table for table, _ in rows].count("erased_identity") == 1
    fingerprint = hmac.digest(accepted.secret, ANNA.encode(), "sha256").hex()
    assert {table for table, row in rows if fingerprint in row} == {"erased_identity"}


def test_the_fence_of_a_key_leads_nowhere(accepted: ConsentLedger, ledger_place: Place) -> None:
    """Nor for whoever has the secret: the row that it finds has no position."""
    accepted.erase(ANNA, "request")
    found = accepted.recorder.known_keys(
        [
            *accepted.keys(accepted.subject("berta"), b.shown(), KEY),
            *accepted.keys(accepted.subject("berta"), b.shown(), ANNA),
        ]
    )
    assert [position for _, position in found.values()] == [None, None]


def test_the_log_says_so_and_nothing_more_is_recorded(accepted: ConsentLedger, ledger_place: Place) -> None:
    stream = accepted.subject(ANNA).stream or ""
    subject_id = accepted.subject(ANNA).subject_id
    assert subject_id is not None
    assert accepted.erase(ANNA, "request") == Recorded(6, stream)
    assert [entry.event for _, entry in accepted.entries_of(stream)] == ["terms-shown", "accepted", "subject-erased"]
    with pytest.raises(SubjectErased):
        accepted.subject(ANNA)
    for name in (ANNA, f"id:{subject_id.hex()}", f"key:{stream}"):
        with pytest.raises(SubjectErased):
            accepted.record(name, b.toggled("off"))
        with pytest.raises(SubjectErased):
            accepted.erase(name, "again")
    with pytest.raises(SubjectErased):
        accepted.record(ANNA, b.shown(source="old system", occurred=b.now_of(accepted) - timedelta(days=1)), key=KEY)
    assert len(b.whole_log(ledger_place)) == 6


def test_who_was_never_there_cannot_be_erased(accepted: ConsentLedger) -> None:
    for name in ("nobody", f"id:{'0' * 32}", f"key:{'0' * 64}"):
        with pytest.raises(UnknownSubject):
            accepted.erase(name, "request")


def test_an_old_line_does_not_bring_the_person_back(accepted: ConsentLedger, ledger_place: Place) -> None:
    before = b.now_of(accepted)
    accepted.erase(ANNA, "request")
    old: dict[str, Any] = {"source": "old system", "occurred": before}
    for request in (b.shown(**old), b.accepted(to="off", **old), b.toggled("off", **old)):
        with pytest.raises(SubjectErased):
            accepted.record(ANNA, request)
    # An Accept made later is no new beginning either: only a showing is.
    with pytest.raises(SubjectErased):
        accepted.record(ANNA, b.accepted(to="off"))
    assert accepted.identities.link([(ANNA, before)]) == {}
    assert len(b.whole_log(ledger_place)) == 6


def test_a_showing_recorded_later_makes_a_new_subject(accepted: ConsentLedger, ledger_place: Place) -> None:
    before, first = b.now_of(accepted), accepted.subject(ANNA)
    accepted.erase(ANNA, "request")
    accepted.record(ANNA, b.shown())
    accepted.record(ANNA, b.accepted())
    second = accepted.subject(ANNA)
    assert second.subject_id != first.subject_id
    assert second.stream != first.stream
    assert [entry.version for _, entry in accepted.entries_of(second.stream or "")] == [1, 2]
    # The old file again: its lines are no more welcome than before, though there is a stream to put them in.
    with pytest.raises(SubjectErased):
        accepted.record(ANNA, b.toggled("off", source="old system", occurred=before))
    assert len(accepted.entries_of(second.stream or "")) == 2
    # And erased once more: one row each time.
    accepted.erase(ANNA, "again")
    with b.admin(ledger_place) as admin:
        assert admin.execute("SELECT count(*) FROM ledger.erased_identity").fetchone() == (2,)


def test_if_the_forgetting_fails_nothing_is_appended(accepted: ConsentLedger, ledger_place: Place) -> None:
    with b.admin(ledger_place) as admin:
        admin.execute(
            "CREATE FUNCTION ledger.fail() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'failed on purpose'; END $$;"
            "CREATE TRIGGER fail BEFORE DELETE ON ledger.identities FOR EACH ROW EXECUTE FUNCTION ledger.fail()"
        )
        with pytest.raises(psycopg.errors.RaiseException, match="on purpose"):
            accepted.erase(ANNA, "request")
        assert_untouched(accepted, ledger_place)
        admin.execute("DROP TRIGGER fail ON ledger.identities")
    assert accepted.erase(ANNA, "request").position == 6


def assert_untouched(ledger: ConsentLedger, place: Place) -> None:
    assert len(b.whole_log(place)) == 5
    assert ledger.subject(ANNA).subject_id is not None
    with b.admin(place) as admin:
        assert admin.execute("SELECT count(*) FROM ledger.evidence").fetchone() == (2,)
        assert admin.execute("SELECT count(*) FROM ledger.erased_identity").fetchone() == (0,)


def test_killed_between_the_append_and_the_forgetting(accepted: ConsentLedger, ledger_place: Place) -> None:
    arguments = [ledger_place.url or "", str(ledger_place.state), ANNA]
    with b.admin(ledger_place) as admin:
        # What the forgetting waits for: so the append is done when the process is killed.
        admin.execute("SELECT pg_advisory_lock('ledger.erased_identity'::regclass::oid::bigint)")
        eraser = subprocess.Popen([sys.executable, "-m", "tests.store.eraser", *arguments], cwd=ROOT)
        waiting = (
            "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
        )
        pid = wait_for(admin, waiting)
        eraser.kill()
        eraser.wait()
        admin.execute("SELECT pg_advisory_unlock_all()")
        wait_for(admin, f"SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})")
    assert_untouched(accepted, ledger_place)
    assert accepted.erase(ANNA, "request").position == 6


def wait_for(connection: psycopg.Connection[Any], query: str) -> Any:
    deadline = time.monotonic() + 30
    while (row := connection.execute(query).fetchone()) is None:
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.01)
    return row[0]


def test_erased_while_others_record(accepted: ConsentLedger, ledger_place: Place) -> None:
    """Each is stored before the erasure, or told of it; and what came with a refused one is kept nowhere."""
    stream = accepted.subject(ANNA).stream or ""
    started = threading.Semaphore(0)

    def record() -> list[int]:
        stored: list[int] = []
        try:
            while len(stored) < 10_000:
                stored.append(accepted.record(ANNA, b.toggled("off"), evidence=ADDRESS).position)
                started.release()
        except SubjectErased:
            return stored
        raise AssertionError("never erased")

    with ThreadPoolExecutor(8) as pool:
        recorders = [pool.submit(record) for _ in range(8)]
        for _ in range(10):
            assert started.acquire(timeout=30)
        erased = accepted.erase(ANNA, "request")
        stored = [position for recorder in recorders for position in recorder.result(60)]
    entries = accepted.entries_of(stream)
    assert entries[-1][0] == erased.position
    assert sorted(stored) == [position for position, _ in entries[2:-1]]
    with b.admin(ledger_place) as admin:
        assert admin.execute("SELECT count(*) FROM ledger.evidence").fetchone() == (0,)
        assert admin.execute("SELECT count(*) FROM ledger.identities WHERE identity = %s", [ANNA]).fetchone() == (0,)


def test_erased_again_and_again_while_others_are_shown_terms(accepted: ConsentLedger, ledger_place: Place) -> None:
    """Every subject of the person ends with their erasure, and the next begins with a showing recorded after it."""
    stop = threading.Event()

    def show() -> None:
        while not stop.is_set():
            try:
                accepted.record(ANNA, b.shown(), evidence=ADDRESS)
            except SubjectErased:
                continue

    erasures = 0
    with ThreadPoolExecutor(4) as pool:
        shows = [pool.submit(show) for _ in range(4)]
        deadline = time.monotonic() + 30
        while erasures < 12 and time.monotonic() < deadline:
            try:
                accepted.erase(ANNA, "request")
                erasures += 1
            except (SubjectErased, UnknownSubject):
                continue
        stop.set()
        for show_ in shows:
            show_.result(30)
    assert erasures == 12
    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    berta = accepted.subject("berta").stream
    streams = list(dict.fromkeys(stream for _, stream, *_ in log if stream not in ("terms", berta)))
    assert len(streams) >= 12
    last_erased = None
    for stream in streams:
        entries = [entry for _, entry in accepted.entries_of(stream)]
        # One was erased after the link was made and before the showing was stored.
        assert entries[0].event == "terms-shown" or len(entries) == 1
        assert last_erased is None or entries[0].recorded > last_erased
        assert [entry.event for entry in entries].count("subject-erased") <= 1
        assert "subject-erased" not in [entry.event for entry in entries[:-1]]
        last_erased = entries[-1].recorded
    linked = accepted.identities.find([ANNA])[ANNA]
    with b.admin(ledger_place) as admin:
        left = {stream for (stream,) in admin.execute("SELECT DISTINCT stream FROM ledger.evidence").fetchall()}
    assert left <= {linked.stream}
    assert linked.subject_id is None or subject_stream(linked.subject_id) not in streams[:-1]
