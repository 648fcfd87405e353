"""The use cases over a real ledger: read a record, decide, append, and decide again on a conflict."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import UNSET, structs

from ledger.application import ConsentLedger, Recorded, open_ledger
from ledger.domain.entry import decode_entry
from ledger.domain.events import RunFinished, RunStarted
from ledger.domain.names import subject_stream
from ledger.domain.recording import Request
from ledger.domain.terms import Catalogue
from ledger.domain.times import format_time
from ledger.errors import InvalidInput, LedgerMissing, Refused, RunDiffers, SubjectErased, Unavailable, UnknownSubject
from ledger.settings import Place, place_of
from tests import builders as b
from tests.domain import given

LATER_TERMS = structs.replace(b.TERMS, version="2026-01-01")


def events(ledger: ConsentLedger, name: str) -> list[str]:
    return [entry.event for _, entry in ledger.entries_of(ledger.subject(name).stream or "")]


# Terms.


def test_terms_are_published_once(ledger: ConsentLedger) -> None:
    assert ledger.publish(b.TERMS) == 1
    assert ledger.publish(b.TERMS) is None
    with pytest.raises(Refused, match="other content"):
        ledger.publish(structs.replace(b.TERMS, title="Others"))
    assert ledger.publish(LATER_TERMS) == 2
    assert [terms.version for terms in ledger.catalogue().all()] == [b.TERMS.version, "2026-01-01"]
    assert ledger.terms(None) == LATER_TERMS
    assert ledger.terms(b.TERMS.version) == b.TERMS
    with pytest.raises(Refused, match="found 2025-09-28, 2026-01-01"):
        ledger.terms("1999-01-01")


def test_terms_published_by_many_at_once(ledger: ConsentLedger, ledger_place: Place) -> None:
    gate = threading.Barrier(8)

    def publish(number: int) -> int | None:
        gate.wait(30)
        return ledger.publish(b.TERMS if number % 2 else LATER_TERMS)

    with ThreadPoolExecutor(8) as pool:
        answers = [future.result(60) for future in [pool.submit(publish, number) for number in range(8)]]
    assert sorted(answer for answer in answers if answer is not None) == [1, 2]
    assert len(b.whole_log(ledger_place)) == 2


def test_a_zero_character_in_the_texts_of_terms(ledger: ConsentLedger) -> None:
    """They alone may hold control characters (FORMATS.md section 1), which PostgreSQL's JSON does not take."""
    odd = structs.replace(b.TERMS, title="zero \x00, and its spelling \\u0000, and \x1f")
    assert ledger.publish(odd) == 1
    assert ledger.terms(None) == odd


# Recording.


def test_a_person_is_shown_terms_accepts_and_withdraws(ledger: ConsentLedger, ledger_place: Place) -> None:
    b.grant(ledger, "anna")
    recorded = ledger.record("anna", b.toggled("off"))
    subject = ledger.subject("anna")
    assert subject.subject_id is not None
    assert recorded == Recorded(4, subject_stream(subject.subject_id))
    assert events(ledger, "anna") == ["terms-shown", "accepted", "toggle-changed"]
    position, stream, version, stored = b.whole_log(ledger_place)[3]
    assert (position, stream, version) == (4, recorded.stream, 3)
    entry = decode_entry(stored)
    assert entry.occurred_at == entry.recorded_at
    assert entry.imported is UNSET
    assert ledger.record_of(recorded.stream).version == 3


def test_whoever_is_named_by_id_or_stream_is_the_same(ledger: ConsentLedger) -> None:
    b.grant(ledger, "anna")
    anna = ledger.subject("anna")
    assert anna.subject_id is not None
    for name in (f"id:{anna.subject_id.hex()}", f"key:{anna.stream}"):
        assert (ledger.subject(name).stream, ledger.subject(name).subject_id) == (anna.stream, anna.subject_id)
        ledger.record(name, b.toggled("off"))
    assert events(ledger, "anna")[2:] == ["toggle-changed"] * 2
    for name in ("id:12", "key:" + "A" * 64, "id:" + "g" * 32, "", "a\nb", "x" * 513, "\ud800"):
        with pytest.raises(InvalidInput):
            ledger.subject(name)


def test_nobody_is_made_up(ledger: ConsentLedger, ledger_place: Place) -> None:
    b.grant(ledger)
    with pytest.raises(UnknownSubject):
        ledger.subject("nobody")
    for name in (f"id:{'0' * 32}", f"key:{'0' * 64}"):
        with pytest.raises(UnknownSubject):
            ledger.record(name, b.shown())
    for refused in (b.accepted(), b.toggled("on"), Request(given.shown(LATER_TERMS))):
        with pytest.raises(Refused):
            ledger.record("anna", refused, evidence=b"203.0.113.7")
    with b.admin(ledger_place) as admin:
        for table in ("identities", "evidence", "idempotency_key"):
            assert admin.execute(f"SELECT count(*) FROM ledger.{table}").fetchone() == (0,)
    assert len(b.whole_log(ledger_place)) == 1


def test_one_identity_by_many_at_once_is_one_subject(ledger: ConsentLedger, ledger_place: Place) -> None:
    b.grant(ledger)
    gate = threading.Barrier(12)

    def show() -> str:
        gate.wait(30)
        return ledger.record("anna", b.shown()).stream

    with ThreadPoolExecutor(12) as pool:
        streams = {future.result(60) for future in [pool.submit(show) for _ in range(12)]}
    assert len(streams) == 1
    assert events(ledger, "anna") == ["terms-shown"] * 12
    b.assert_whole(b.whole_log(ledger_place))


def test_terms_published_by_another_process_are_known_when_needed(ledger: ConsentLedger, ledger_place: Place) -> None:
    with open_ledger(ledger_place) as other:
        other.publish(b.TERMS)
        assert ledger.record("anna", b.shown()).position == 2
        other.publish(LATER_TERMS)
        assert ledger.record("anna", b.shown(LATER_TERMS)).position == 4


def test_the_answer_after_a_conflict_is_that_of_the_new_state(ledger: ConsentLedger, ledger_place: Place) -> None:
    """The record changes between decision and append; what was right before is refused now."""
    b.grant(ledger, "anna")
    stream = ledger.subject("anna").stream or ""
    asked: list[int] = []

    def decide_again(now: datetime) -> list[object]:
        record = ledger.record_of(stream)
        asked.append(record.version)
        decided = ledger.decide(record, b.toggled("on"), now)
        if len(asked) == 1:
            ledger.erase("anna", "request")
        return list(ledger.to_entries(stream, record.version, decided))

    with pytest.raises(SubjectErased):
        ledger.append(decide_again)  # type: ignore[arg-type]
    assert asked == [2, 3]
    assert events_of_stream(ledger, stream) == ["terms-shown", "accepted", "subject-erased"]


def events_of_stream(ledger: ConsentLedger, stream: str) -> list[str]:
    return [entry.event for _, entry in ledger.entries_of(stream)]


def test_evidence_opens_the_digest_of_its_entry(ledger: ConsentLedger, ledger_place: Place) -> None:
    b.grant(ledger)
    recorded = ledger.record("anna", b.shown(), evidence=b"203.0.113.7")
    entry = decode_entry(b.whole_log(ledger_place)[recorded.position - 1][3])
    with b.admin(ledger_place) as admin:
        rows = admin.execute("SELECT stream, salt, body FROM ledger.evidence").fetchall()
    ((stream, salt, body),) = rows
    assert (stream, bytes(body)) == (recorded.stream, b"203.0.113.7")
    assert hashlib.sha256(b"consent-ledger/v1/evidence\n" + salt + body).hexdigest() == entry.evidence
    with pytest.raises(InvalidInput, match="65536 bytes"):
        ledger.record("anna", b.shown(), evidence=bytes(65_537))


def test_an_import_keeps_its_own_times(ledger: ConsentLedger) -> None:
    b.grant(ledger)
    past = datetime(2025, 9, 1, 12, tzinfo=UTC)
    ledger.record("anna", b.shown(source="old system", occurred=past, recorded=past + timedelta(hours=1)))
    ledger.record("anna", b.accepted(source="old system", occurred=past))
    first, second = (entry for _, entry in ledger.entries_of(ledger.subject("anna").stream or ""))
    assert (first.occurred, first.recorded) == (past, past + timedelta(hours=1))
    # Older than its stream's last: stored with that one, its own beside it.
    assert (second.occurred, second.recorded) == (past, past + timedelta(hours=1))
    assert second.imported is not UNSET
    assert (second.imported.source, second.imported.recorded_at) == ("old system", format_time(past))
    with pytest.raises(Refused, match="recorded by now"):
        ledger.record("anna", b.shown(source="old system", occurred=b.now_of(ledger, ahead=3600)))


# Runs.


def run(**changes: object) -> RunStarted:
    start = RunStarted(
        purpose=given.TRAINING, kind="chat", started_at="2026-01-01T00:00:00.000000Z", cutoff=1, input=[]
    )
    return structs.replace(start, **changes)


def test_a_run_starts_once_and_finishes_once(ledger: ConsentLedger, ledger_place: Place) -> None:
    started = ledger.start_run("r1", run())
    assert ledger.start_run("r1", run(cutoff=7, parent="r0")) == started, "its cutoff is the first's"
    with pytest.raises(RunDiffers, match="kind"):
        ledger.start_run("r1", run(kind="coding-session"))
    finished = ledger.finish_run("r1", RunFinished(uses=0, items=0, root="0" * 64))
    assert ledger.finish_run("r1", RunFinished(uses=1, items=1, root="1" * 64)) == finished
    assert [stream for _, stream, *_ in b.whole_log(ledger_place)] == ["run/r1"] * 2
    tomorrow = format_time(b.now_of(ledger, ahead=86_400))
    with pytest.raises(InvalidInput, match="never starts in the future"):
        ledger.start_run("r2", run(started_at=tomorrow))


def test_a_run_started_by_many_at_once(ledger: ConsentLedger, ledger_place: Place) -> None:
    gate = threading.Barrier(8)

    def start(number: int) -> int:
        gate.wait(30)
        started: int = ledger.start_run("r1", run(cutoff=number)).data.cutoff
        return started

    with ThreadPoolExecutor(8) as pool:
        cutoffs = {future.result(60) for future in [pool.submit(start, number) for number in range(8)]}
    assert len(cutoffs) == 1
    assert len(b.whole_log(ledger_place)) == 1


# Opening.


def test_a_ledger_opened_twice_is_one(ledger: ConsentLedger, ledger_place: Place) -> None:
    b.grant(ledger, "anna")
    with open_ledger(ledger_place) as other:
        assert other.identity == ledger.identity
        assert other.subject("anna") == ledger.subject("anna")
        assert events(other, "anna") == events(ledger, "anna") == ["terms-shown", "accepted"]
        assert other.terms(None) == b.TERMS


def test_nothing_is_created_by_opening(tmp_path: Path) -> None:
    with pytest.raises(LedgerMissing, match="consent init"):
        open_ledger(place_of(str(tmp_path / "none"), {})).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="expected the ledger at postgresql:///consent to answer"):
        open_ledger(Place(f"postgresql:///consent?host={tmp_path}", None, tmp_path)).__enter__()


def test_an_empty_catalogue(ledger: ConsentLedger) -> None:
    assert ledger.catalogue().all() == Catalogue().all() == []
    with pytest.raises(Refused, match="found none"):
        ledger.terms(None)


def test_terms_that_another_process_published_count_at_once(ledger: ConsentLedger, ledger_place: Place) -> None:
    with open_ledger(ledger_place) as other:
        other.publish(b.TERMS)
        other.record("ann", b.shown())
        stream = other.record("ann", b.accepted()).stream
    record = ledger.record_of(stream)
    assert [decision.denied for decision in record.decisions] == [None]
