"""A file of events into a real ledger: stored, there before, or rejected with the reason, and nothing in between."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from ledger.application import ConsentLedger
from ledger.domain.events import DataUsedForTraining
from ledger.domain.recording import Request
from ledger.errors import KeyReused, UnknownSubject
from ledger.importing import events as module
from ledger.importing import sorting
from ledger.settings import Place
from ledger.store.writer import Append, Outcome
from tests.builders import TERMS, admin, assert_whole, toggled, whole_log
from tests.domain import given
from tests.importing.events import (
    accepted,
    history,
    rejects,
    run_started,
    shown,
    state,
    take,
    used,
)
from tests.importing.events import toggled as toggle


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture(autouse=True)
def published(ledger: ConsentLedger) -> None:
    ledger.publish(TERMS)


def test_a_person_s_life_is_stored_with_its_source(ledger: ConsentLedger, file: Path) -> None:
    done = take(ledger, file, shown("ann"), accepted("ann"), toggle("ann", "20T10:00:00"))
    assert (done.lines, done.stored, done.repeated, done.rejected, done.rejects_file) == (3, 3, 0, 0, None)
    entries = history(ledger, "ann")
    assert [entry.event for entry in entries] == ["terms-shown", "accepted", "toggle-changed"]
    assert {entry.imported.source for entry in entries if entry.imported} == {"old system"}
    assert all(entry.imported and entry.imported.at > entry.recorded_at == entry.occurred_at for entry in entries)
    assert not file.with_name("events.jsonl.rejects.jsonl").exists()


def test_a_subject_s_lines_are_taken_in_the_order_they_were_recorded(ledger: ConsentLedger, file: Path) -> None:
    take(
        ledger,
        file,
        toggle("ann", "20T10:00:00"),
        accepted("ann", "01T10:00:00"),
        toggle("ann", "10T10:00:00", recorded_at="2025-09-25T10:00:00Z", key="offline"),
        shown("ann", "01T10:00:00", recorded_at="2025-09-01T09:59:59Z"),
    )
    assert [(entry.event, entry.recorded_at[8:19]) for entry in history(ledger, "ann")] == [
        ("terms-shown", "01T09:59:59"),
        ("accepted", "01T10:00:00"),
        ("toggle-changed", "20T10:00:00"),
        ("toggle-changed", "25T10:00:00"),
    ]


def test_of_one_moment_the_order_of_the_file_counts(ledger: ConsentLedger, file: Path) -> None:
    offs = [toggle("ann", "20T10:00:00", to) | {"key": to} for to in ("off", "on")]
    take(ledger, file, shown("ann"), accepted("ann"), *offs)
    assert [entry.data.to for entry in history(ledger, "ann")[2:]] == ["off", "on"]


def test_a_line_older_than_its_stream_keeps_its_own_time_apart(ledger: ConsentLedger, file: Path) -> None:
    take(ledger, file, shown("ann"), accepted("ann", "15T10:00:00"))
    take(ledger, file, toggle("ann", "10T10:00:00"))
    late = history(ledger, "ann")[-1]
    assert (late.occurred_at[8:10], late.recorded_at[8:10]) == ("10", "15")
    assert late.imported
    assert str(late.imported.recorded_at).startswith("2025-09-10")


def test_the_same_file_again_doubles_nothing(ledger: ConsentLedger, ledger_place: Place, file: Path) -> None:
    lines = [shown("ann"), accepted("ann"), shown("bob", key="k"), run_started("r0"), used("ann", "06T10:00:00")]
    take(ledger, file, *lines)
    before = whole_log(ledger_place)
    done = take(ledger, file, source="another name")
    assert (done.stored, done.repeated, done.rejected) == (0, 5, 0)
    assert whole_log(ledger_place) == before


def test_a_line_twice_in_a_file_is_one_event(ledger: ConsentLedger, file: Path) -> None:
    done = take(ledger, file, shown("ann"), json.dumps(shown("ann"), indent=None).encode() + b"\n", accepted("ann"))
    assert (done.stored, done.repeated) == (2, 1)


def test_a_key_stands_for_one_request_of_one_person(ledger: ConsentLedger, file: Path) -> None:
    done = take(
        ledger,
        file,
        shown("ann", key="k"),
        accepted("ann", key="k"),  # another event
        shown("ann", "01T11:00:00", key="k"),  # another time
        shown("bob", key="k"),  # another person, and new
    )
    assert (done.stored, done.rejected) == (1, 3)
    assert [reject["line"] for reject in rejects(file)] == [2, 3, 4]
    assert all("under this key" in reject["reason"] for reject in rejects(file))
    with pytest.raises(UnknownSubject):
        ledger.subject("bob")  # of whom nothing was stored


def test_a_key_is_the_same_by_import_and_by_request(ledger: ConsentLedger, file: Path) -> None:
    take(ledger, file, shown("ann", key="k"))
    request = Request(given.shown(TERMS), occurred=history(ledger, "ann")[0].occurred)
    with pytest.raises(KeyReused):
        ledger.record("ann", request, key="k")  # on another surface
    ledger.record("ann", toggled("off"), key="k2")
    done = take(ledger, file, toggle("ann", "20T10:00:00", key="k2"))
    assert done.rejected == 1


def test_a_key_points_to_the_entry_of_its_own_line(ledger: ConsentLedger, ledger_place: Place, file: Path) -> None:
    take(ledger, file, shown("ann", key="a"), accepted("ann", key="b"), toggle("ann", "20T10:00:00", key="c"))
    with admin(ledger_place) as connection:
        rows = connection.execute(
            "SELECT position FROM ledger.idempotency_key WHERE position IS NOT NULL ORDER BY position"
        ).fetchall()
    assert [position for (position,) in rows] == [2, 3, 4]


def test_what_the_rules_refuse_is_rejected_and_the_rest_is_stored(ledger: ConsentLedger, file: Path) -> None:
    done = take(
        ledger,
        file,
        accepted("ann"),  # no notice, all On
        accepted("bob", to="off"),  # no notice: its Off counts
        toggle("cem", "20T10:00:00", "on"),  # nothing accepted
        toggle("dan", "20T10:00:00"),  # a withdrawal, always
        shown("eve", recorded_at="2999-01-01T00:00:00Z"),
        toggle("id:" + "0" * 32, "20T10:00:00"),
        toggle("key:" + "0" * 64, "20T10:00:00"),
    )
    assert (done.stored, done.rejected) == (2, 5)
    assert [(reject["line"], reject["reason"].split(",")[0]) for reject in rejects(file)] == [
        (1, "expected a notice of terms 2025-09-28 before their Accept"),
        (3, "expected an Accept before a toggle is set to on"),
        (5, "expected an import recorded by now"),
        (6, "expected a person in the ledger"),
        (7, "expected a person whose id is known"),
    ]
    for nobody in ("ann", "cem", "eve"):
        with pytest.raises(UnknownSubject):
            ledger.subject(nobody)


def test_one_person_by_identity_id_and_stream_key_is_one_stream(ledger: ConsentLedger, file: Path) -> None:
    take(ledger, file, shown("ann"))
    subject = ledger.subject("ann")
    assert subject.subject_id is not None
    by_id, by_key = f"id:{subject.subject_id.hex()}", f"key:{subject.stream}"
    done = take(ledger, file, toggle(by_key, "20T10:00:00"), accepted(by_id), toggle("ann", "21T10:00:00", "on"))
    assert (done.stored, done.rejected) == (3, 0)
    assert [entry.event for entry in history(ledger, "ann")] == ["terms-shown", "accepted", *["toggle-changed"] * 2]


def test_a_run_that_happened_elsewhere(ledger: ConsentLedger, file: Path) -> None:
    done = take(ledger, file, run_started("r0", recorded_at="2025-09-07T10:00:00Z"), run_started("r1"))
    assert (done.stored, done.rejected) == (2, 0)
    started = ledger.run_of("r0").started
    assert started is not None
    assert started.imported
    # Nobody acts when a run starts, so it occurs when it is recorded.
    assert started.occurred_at == started.recorded_at == "2025-09-07T10:00:00.000000Z"
    other = run_started("r0", data={"kind": "coding-session"})
    done = take(ledger, file, other, run_started("r2", data={"started_at": "2999-01-01T00:00:00Z"}))
    assert done.rejected == 2
    assert "the kind it was started with" in rejects(file)[0]["reason"]
    assert "never starts in the future" in rejects(file)[1]["reason"]


def test_a_use_from_outside_is_stored_whatever_the_verdict(ledger: ConsentLedger, file: Path) -> None:
    take(ledger, file, shown("ann"), accepted("ann"), used("ann", "06T10:00:00"), used("bob", "06T10:00:00"))
    uses = [history(ledger, named)[-1].data for named in ("ann", "bob")]
    assert all(isinstance(use, DataUsedForTraining) and use.attested for use in uses)
    assert uses[0].basis == 2
    assert not uses[1].basis


def test_nothing_brings_an_erased_person_back_but_a_later_showing(ledger: ConsentLedger, file: Path) -> None:
    lines = [shown("ann"), accepted("ann"), toggle("ann", "20T10:00:00")]
    take(ledger, file, *lines)
    old = ledger.subject("ann").stream
    ledger.erase("ann", "request")
    assert take(ledger, file).rejected == 3
    assert all("found one erased" in reject["reason"] for reject in rejects(file))
    assert ledger.identities.find(["ann"])["ann"].stream is None

    erased = ledger.identities.find(["ann"])["ann"].erased
    assert erased is not None
    seconds = [(erased + timedelta(seconds=number)).isoformat()[:19] + "Z" for number in (1, 2, 3)]
    later = [fields | {"occurred_at": at} for fields, at in zip(lines, seconds, strict=True)]
    _wait_until(ledger, seconds[-1])
    # An Accept alone brings nobody back; a showing does, as somebody new, of whom the old lines say nothing.
    assert take(ledger, file, later[1]).rejected == 1
    done = take(ledger, file, *lines, *later)
    assert (done.stored, done.rejected) == (3, 3)
    assert [reject["line"] for reject in rejects(file)] == [1, 2, 3]
    assert ledger.subject("ann").stream != old
    assert take(ledger, file).repeated == 3


def _wait_until(ledger: ConsentLedger, text: str) -> None:
    while ledger.clock.now() <= given.at(text):
        time.sleep(0.05)


def test_a_later_run_without_rejects_leaves_no_rejects_file(ledger: ConsentLedger, file: Path) -> None:
    take(ledger, file, accepted("ann"))
    assert len(rejects(file)) == 1
    take(ledger, file, shown("ann"))
    assert not file.with_name("events.jsonl.rejects.jsonl").exists()


def test_a_reject_shows_the_line_as_it_stands(ledger: ConsentLedger, file: Path) -> None:
    take(ledger, file, b'{"a":"\xff\t"}\r\n', b"\n", b'{"b":"' + b"x" * 300_000 + b'"}\n', shown("ann"))
    first, second = rejects(file)
    assert (first["line"], first["text"]) == (1, '{"a":"\ufffd\t"}')
    assert second["line"] == 3
    assert second["text"].startswith('{"b":"xxx')
    assert second["text"].endswith("… (cut: the first 4096 of 300009 bytes)")


def test_a_line_that_was_refused_stays_so_but_one_that_was_put_right_comes_in(
    ledger: ConsentLedger, file: Path
) -> None:
    lines = [accepted("ann", "01T09:00:00"), shown("ann"), toggle("ann", "20T10:00:00")]
    for _ in range(2):  # the second time the notice is there, but it was not when the Accept came
        done = take(ledger, file, *lines)
        assert (done.lines, done.rejected) == (3, 1)
    done = take(ledger, file, accepted("ann", "01T11:00:00"), *lines[1:])
    assert (done.stored, done.repeated, done.rejected) == (1, 2, 0)
    last = history(ledger, "ann")[-1]
    assert (last.event, last.occurred_at[8:13], last.recorded_at[8:13]) == ("accepted", "01T11", "20T10")


def test_the_sorting_may_spill_and_the_batches_be_small(
    ledger: ConsentLedger, ledger_place: Place, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "MOST_ITEMS", 11)
    monkeypatch.setattr(module, "BATCH_LINES", 7)
    lines = [
        fields
        for number in range(20)
        for fields in (shown(f"p{number}"), accepted(f"p{number}"), toggle(f"p{number}", "20T10:00:00"))
    ]
    lines += [toggle("p3", f"21T10:00:{second:02}", "on" if second % 2 else "off") for second in range(40)]
    lines += [accepted(f"nobody{number}") for number in range(15)]
    random.Random(1).shuffle(lines)
    done = take(ledger, file, *lines)
    assert (done.lines, done.stored, done.rejected) == (115, 100, 15)
    assert [reject["line"] for reject in rejects(file)] == sorted(reject["line"] for reject in rejects(file))
    assert_whole(whole_log(ledger_place))
    assert [entry.data.to for entry in history(ledger, "p3")[3:]] == ["off", "on"] * 20


class _Interrupting:
    """Lets somebody else be faster, once, with what the import has decided to append."""

    def __init__(self, ledger: ConsentLedger, act: object) -> None:
        self._insert = ledger.recorder.insert_many
        self._act = act

    def __call__(self, appends: Sequence[Append]) -> list[Outcome]:
        act, self._act = self._act, None
        if callable(act):
            act()
        return self._insert(appends)


def test_whoever_is_faster_is_taken_into_account(
    ledger: ConsentLedger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(ledger, file, shown("ann"), accepted("ann"), shown("bob"), shown("eve", key="e"))

    def others() -> None:
        ledger.record("ann", toggled("off"))  # a conflict
        ledger.erase("bob", "request")  # nobody any more
        ledger.record("dan", Request(given.shown(TERMS)), key="d")  # linked in between, and the key taken

    monkeypatch.setattr(ledger.recorder, "insert_many", _Interrupting(ledger, others))
    done = take(
        ledger,
        file,
        toggle("ann", "20T10:00:00"),
        accepted("bob"),
        accepted("dan"),
        shown("cem", key="d"),
        shown("fay"),
        accepted("fay"),
    )
    assert (done.stored, done.rejected) == (3, 3)
    assert [(reject["line"], reject["reason"][:40]) for reject in rejects(file)] == [
        (2, "expected a person who is not erased, fou"),
        (3, "expected a notice of terms 2025-09-28 be"),
        (4, "expected the same request as was recorde"),
    ]
    assert [entry.data.to for entry in history(ledger, "ann")[2:]] == ["off", "off"]


def test_two_imports_of_one_file_at_once_store_it_once(
    ledger: ConsentLedger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [fields for number in range(30) for fields in (shown(f"p{number}"), accepted(f"p{number}"))]
    take(ledger, file, *lines[:20])
    extra = file.with_name("half.jsonl")
    monkeypatch.setattr(ledger.recorder, "insert_many", _Interrupting(ledger, lambda: take(ledger, extra, *lines[:41])))
    done = take(ledger, file, *lines)
    assert (done.stored, done.repeated, done.rejected) == (19, 41, 0)
    people = [f"p{number}" for number in range(30)]
    assert len(state(ledger, people)) == 61


def test_the_database_is_asked_by_the_batch_and_not_by_the_line(
    ledger: ConsentLedger, ledger_place: Place, file: Path
) -> None:
    lines = [fields for number in range(300) for fields in (shown(f"p{number}"), accepted(f"p{number}"))]
    with psycopg.connect(ledger_place.url or "", autocommit=True) as connection:
        take(ledger, file, *lines, accepted("nobody"))
        row = connection.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    assert row[0] < 100
