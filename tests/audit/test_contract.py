"""What every source of a log is held to: the same log gives the same report, and the same damage the same names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from ledger.domain.entry import Imported, encode_entry
from ledger.domain.names import LOG_STREAM, TERMS_STREAM
from ledger.domain.times import format_time
from ledger.errors import Refused
from ledger.proof.merkle import leaf_hash
from tests.audit.logs import AuditedLog, Build, Kept, KeptExport, a_log, audited, found, use
from tests.domain import given
from tests.proof.small_log import OTHER, SUBJECT


def test_an_honest_log_is_right(kept: Kept) -> None:
    log = a_log()
    kept.put(log)
    report = audited(kept, log=log)
    assert found(report) == []
    assert report.is_right
    assert report.is_clean
    assert (report.entries, report.root) == (9, log.tree.root())
    assert (report.streams, report.maps, report.runs, report.uses) == (4, 2, 1, 1)
    assert report.newest is not None
    assert report.newest[0].size == 9


def not_canonical() -> AuditedLog:
    log = AuditedLog().granted()
    position = log.raw(log.entries[1].replace(b',"nonce"', b', "nonce"'))
    log.publish(without={position})
    return log


def unknown_event() -> AuditedLog:
    log = AuditedLog().granted()
    position = log.raw(b'{"event":"forgotten"}')
    log.publish(without={position})
    return log


def too_long() -> AuditedLog:
    log = AuditedLog().granted()
    position = log.raw(log.entries[1] + b" " * 65_000)
    log.publish(without={position})
    return log


def version_left_out() -> AuditedLog:
    log = AuditedLog().granted()
    log.append(SUBJECT, given.toggled("off"), "7", version=5)
    log.sign()
    return log


def version_twice() -> AuditedLog:
    log = AuditedLog().granted()
    log.append(SUBJECT, given.toggled("off"), "7", version=3)
    log.sign()
    return log


def time_that_falls() -> AuditedLog:
    log = AuditedLog().granted()
    log.append(SUBJECT, given.toggled("off"), "7 10:00:30")
    log.append(SUBJECT, given.toggled("on"), "7 10:00:10")
    log.publish()
    return log


def dated_back() -> AuditedLog:
    log = AuditedLog().granted()
    log.append(OTHER, given.shown(), "6 10:58:59.9")
    log.publish()
    return log


def import_dated_back() -> AuditedLog:
    log = AuditedLog().granted()
    mark = Imported(at=format_time(given.at("6 10:00")), source="old system")
    log.append(OTHER, given.shown(), "2", imported=mark)
    log.publish()
    return log


def import_from_the_future() -> AuditedLog:
    log = AuditedLog().granted()
    mark = Imported(at=format_time(given.at("7")), source="old system")
    log.append(OTHER, given.shown(), "7 11:00", imported=mark)
    log.publish()
    return log


def import_moved_without_need() -> AuditedLog:
    log = AuditedLog().granted()
    at, own = (format_time(given.at(day)) for day in ("7", "2"))
    log.append(OTHER, given.shown(), "3", imported=Imported(at=at, source="old system", recorded_at=own))
    log.publish()
    return log


def occurrence_of_nobody() -> AuditedLog:
    log = AuditedLog().granted()
    log.append(TERMS_STREAM, given.terms("later"), "6", "7")
    log.publish()
    return log


def map_of_a_stream_cut_short() -> AuditedLog:
    """Signed like any other: the withdrawal at position 6 is left out of it."""
    log = AuditedLog().granted()
    withdrawal = log.append(SUBJECT, given.toggled("off"), "7")
    log.publish(without={withdrawal})
    return log


def map_without_a_person() -> AuditedLog:
    log = AuditedLog().granted()
    showing = log.append(OTHER, given.shown(), "7")
    log.publish(without={showing})
    return log


def map_that_goes_back() -> AuditedLog:
    log = a_log()
    log.publish("11", covers=4)
    return log


def map_of_itself() -> AuditedLog:
    log = AuditedLog().granted()
    log.publish(covers=6)
    return log


def map_that_miscounts() -> AuditedLog:
    log = AuditedLog().granted()
    log.publish()
    wrong = structs.replace(log.entry(6).data, streams=4)
    log.entries.pop()
    right = AuditedLog()
    for stored in log.entries:
        right.append_bytes(stored)
    right.append(LOG_STREAM, wrong, "20")
    right.sign()
    return right


def map_of_a_time_to_come() -> AuditedLog:
    log = AuditedLog().granted()
    log.publish("8")
    right = AuditedLog()
    for stored in log.entries[:5]:
        right.append_bytes(stored)
    right.append(LOG_STREAM, log.entry(6).data, "9", "8")
    right.sign()
    return right


def checkpoint_over_another_entry() -> AuditedLog:
    log = a_log()
    changed = encode_entry(structs.replace(log.entry(3), nonce="f" * 32))
    log.entries[2] = changed
    return log


def checkpoint_without_a_map() -> AuditedLog:
    log = AuditedLog().granted()
    log.sign()
    return log


def checkpoint_by_somebody_else() -> AuditedLog:
    log = a_log()
    other = AuditedLog(seed=100)
    for stored in log.entries:
        other.append_bytes(stored)
    log.notes = [other.checkpoint()]
    return log


def used_before_the_grant() -> AuditedLog:
    log = AuditedLog().granted()
    log.append(SUBJECT, use("1", attested=True), "7")
    log.publish()
    return log


def used_without_a_run() -> AuditedLog:
    log = AuditedLog().granted()
    log.append(SUBJECT, use(run="r2"), "7")
    log.run("7", run="r2")
    log.publish()
    return log


def used_for_another_purpose() -> AuditedLog:
    log = AuditedLog().granted()
    log.run("7", run="r2", purpose="research")
    log.append(SUBJECT, use(run="r2"), "8")
    log.publish()
    return log


def withdrawn_late() -> AuditedLog:
    log = AuditedLog().granted()
    log.append(SUBJECT, given.toggled("off"), "3 12:00", "7")
    log.publish()
    return log


def run_started_twice() -> AuditedLog:
    log = AuditedLog().granted()
    log.run("7")
    log.publish()
    return log


def run_that_says_more() -> AuditedLog:
    log = AuditedLog().granted()
    log.finish(2, 2, "0" * 64)
    log.publish()
    return log


def use_after_the_end() -> AuditedLog:
    log = AuditedLog().granted()
    log.finish(1, 1, leaf_hash(f'["{SUBJECT}",3]'.encode()).hex())
    log.append(SUBJECT, use(), "8")
    log.publish()
    return log


def terms_published_twice() -> AuditedLog:
    log = AuditedLog().granted()
    log.append(TERMS_STREAM, given.terms(when_on="P9Y"), "7")
    log.publish()
    return log


def terms_before_their_publication() -> AuditedLog:
    log = AuditedLog().granted()
    later = given.terms("later")
    log.append(SUBJECT, given.shown(later), "7")
    log.append(TERMS_STREAM, later, "8")
    log.publish()
    return log


def run_dated_back() -> AuditedLog:
    """It says that it began before the withdrawal, under terms by which that makes the difference."""
    log = AuditedLog().terms(given.terms(withdrawal="future-runs"))
    log.append(SUBJECT, given.shown(), "2")
    log.append(SUBJECT, given.accepted(touched=(given.TRAINING,)), "3")
    log.append(SUBJECT, given.toggled("off"), "6")
    log.run("5", recorded="7")
    log.append(SUBJECT, use(), "7")
    log.publish()
    return log


def resting_on_an_import() -> AuditedLog:
    log = AuditedLog().terms()
    mark = Imported(at=format_time(given.at("4")), source="old system")
    log.append(SUBJECT, given.shown(), "2", imported=mark)
    log.append(SUBJECT, given.accepted(), "3", imported=mark)
    log.run("6")
    log.append(SUBJECT, use(), "6 11:00")
    log.publish()
    return log


RIGHT, WRONG = True, False
#: The log, whether it is right all the same, and what is found where.
CASES: list[tuple[Build, bool, list[tuple[str, int | None]]]] = [
    (not_canonical, WRONG, [("entry-invalid", 6)]),
    (unknown_event, WRONG, [("entry-invalid", 6)]),
    (too_long, WRONG, [("entry-invalid", 6)]),
    (version_left_out, WRONG, [("version-wrong", 6), ("checkpoint-without-map", 6)]),
    (version_twice, WRONG, [("version-wrong", 6), ("checkpoint-without-map", 6)]),
    (time_that_falls, WRONG, [("time-falls", 7)]),
    (dated_back, WRONG, [("dated-back", 6)]),
    (import_dated_back, WRONG, [("dated-back", 6)]),
    (import_from_the_future, WRONG, [("import-time", 6)]),
    (import_moved_without_need, WRONG, [("import-time", 6)]),
    (occurrence_of_nobody, WRONG, [("occurred-differs", 6)]),
    (map_of_a_stream_cut_short, WRONG, [("map-root", 7)]),
    (map_without_a_person, WRONG, [("map-root", 7), ("map-streams", 7)]),
    (map_that_goes_back, WRONG, [("map-covers", 10)]),
    (map_of_itself, WRONG, [("map-covers", 6)]),
    (map_that_miscounts, WRONG, [("map-streams", 6)]),
    (map_of_a_time_to_come, WRONG, [("map-time", 6)]),
    (checkpoint_over_another_entry, WRONG, [("map-root", 7), ("map-root", 9), ("checkpoint-root", 9)]),
    (checkpoint_without_a_map, WRONG, [("checkpoint-without-map", 5)]),
    (checkpoint_by_somebody_else, WRONG, [("checkpoint-invalid", None)]),
    (used_before_the_grant, RIGHT, [("violation-known", 6)]),
    (used_without_a_run, RIGHT, [("violation-known", 6)]),
    (used_for_another_purpose, RIGHT, [("violation-known", 7)]),
    (withdrawn_late, RIGHT, [("violation-in-hindsight", 5)]),
    (run_started_twice, RIGHT, [("run-differs", 6)]),
    (run_that_says_more, RIGHT, [("run-finished-differs", 6)]),
    (use_after_the_end, RIGHT, [("run-finished-differs", 6)]),
    (terms_published_twice, RIGHT, [("terms-republished", 6)]),
    (terms_before_their_publication, RIGHT, [("terms-unpublished", 6)]),
    (run_dated_back, RIGHT, [("backdated-run", 5), ("backdated-use", 6)]),
    (resting_on_an_import, RIGHT, [("rests-on-import", 5)]),
]


@pytest.mark.parametrize(("build", "is_right", "expected"), CASES, ids=[case[0].__name__ for case in CASES])
def test_what_is_wrong_is_named_with_its_position(
    kept: Kept, build: Build, is_right: bool, expected: list[tuple[str, int | None]]
) -> None:
    log = build()
    kept.put(log)
    report = audited(kept, log=AuditedLog())
    # A ledger has the checkpoints before the last as well, and says of each that it differs.
    assert set(found(report)) - {("checkpoint-root", 7)} == set(expected)
    assert report.is_right is is_right
    assert all(one.sentence for one in (*report.wrong, *report.remarks))


def test_an_audit_that_goes_on_finds_what_one_from_the_beginning_does(kept: Kept, tmp_path: Path) -> None:
    assert_going_on_finds_the_same(kept, withdrawn_late(), tmp_path / "seen")


@pytest.mark.parametrize("build", [case[0] for case in CASES], ids=[case[0].__name__ for case in CASES])
def test_an_audit_that_goes_on_finds_all_that_is_wrong(build: Build, tmp_path: Path) -> None:
    assert_going_on_finds_the_same(KeptExport(tmp_path), build(), tmp_path / "seen")


def assert_going_on_finds_the_same(kept: Kept, log: AuditedLog, state: Path) -> None:
    before = AuditedLog(seed=100)  # what others signed is not remembered
    for stored in log.entries[:4]:
        before.append_bytes(stored)
    before.sign()
    kept.put(before)
    audited(kept, state, log=AuditedLog())
    kept.put(log)
    going_on, anew = audited(kept, state), audited(kept)
    assert going_on.seen == 4
    assert replace(going_on, seen=0) == anew


def test_a_log_that_does_not_extend_what_was_seen_is_refused(kept: Kept, tmp_path: Path) -> None:
    log = a_log()
    kept.put(log)
    assert audited(kept, tmp_path / "seen").is_clean
    # Signed anew with the log's own key, and in itself without a fault.
    other = AuditedLog().granted()
    other.append(SUBJECT, given.toggled("off", plan="max"), "7")
    other.publish("8")
    other.append(SUBJECT, given.toggled("on"), "9")
    other.publish("10")
    kept.put(other)
    assert audited(kept).is_clean
    with pytest.raises(Refused, match=r"another entry at position 6, .*keep the state"):
        audited(kept, tmp_path / "seen")
    shorter = AuditedLog().granted()
    shorter.publish("8")
    kept.put(shorter)
    with pytest.raises(Refused, match=r"root [0-9a-f]{64}, that this state saw, found .*position 6"):
        audited(kept, tmp_path / "seen")
    kept.put(log)
    assert audited(kept, tmp_path / "seen").is_clean


def test_a_log_that_was_cut_short_is_refused(kept: Kept, tmp_path: Path) -> None:
    log = a_log()
    kept.put(log)
    audited(kept, tmp_path / "seen")
    before = AuditedLog()
    for stored in log.entries[:7]:
        before.append_bytes(stored)
    before.sign()
    kept.put(before)
    assert audited(kept).is_clean
    with pytest.raises(Refused, match="only 7 entries: it was cut short"):
        audited(kept, tmp_path / "seen")


def test_a_late_withdrawal_is_a_violation_once_it_arrives(kept: Kept, tmp_path: Path) -> None:
    log = AuditedLog().granted()
    log.publish("8")
    kept.put(log)
    assert found(audited(kept, tmp_path / "seen")) == []
    log.append(SUBJECT, given.toggled("off"), "3 12:00", "9")
    log.publish("10")
    kept.put(log)
    report = audited(kept, tmp_path / "seen")
    assert found(report) == [("violation-in-hindsight", 5)]
    assert "collected-while-off" in report.wrong[0].sentence
    assert report.wrong[0].version == 3


def test_a_map_may_be_older_than_the_entries_before_it(kept: Kept, tmp_path: Path) -> None:
    """Appends do not wait for the sequencer: some come between what a map covers and the map."""
    log = AuditedLog().granted()
    log.append(SUBJECT, given.toggled("off"), "7")
    log.publish("8", covers=4)
    kept.put(log)
    assert audited(kept, tmp_path / "seen").is_clean
    log.append(SUBJECT, given.toggled("on"), "9")
    log.publish("10", covers=7)
    log.publish("10", covers=9)
    kept.put(log)
    assert audited(kept, tmp_path / "seen").is_clean
    assert audited(kept).is_clean
