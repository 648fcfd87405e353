"""Files of every kind, and several together: evidence of two histories, and receipts kept, open and broken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger.errors import InvalidInput, NotVerified
from ledger.proof.asked import Asked, stream_of
from ledger.proof.bundle import format_bundle
from ledger.proof.consistency import ConsistencyFile, format_consistency
from ledger.proof.entry_verifying import stream_of_receipt
from ledger.proof.note import ED25519, Note, format_note, make_signing_key, sign_note
from ledger.proof.policy import Trust, trust_of_keys
from ledger.proof.rotation import Rotation
from ledger.proof.tlog_proof import TlogProof, format_tlog_proof
from ledger.proof.together import Verified, verify_files
from ledger.proof.two_histories import TwoHistories
from ledger.proof.verifying import kind_of, verify_bundle, verify_file
from tests.domain import given
from tests.proof.small_log import ORIGIN, OTHER, SUBJECT, SUBJECT_ID, SmallLog, a_person

NOW = datetime(2025, 9, 9, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def log() -> SmallLog:
    return a_person()


def _together(*files: bytes, trust: Trust, asked: Asked | None = None) -> list[Verified]:
    return verify_files([(f"file{number}", data) for number, data in enumerate(files)], trust, asked or Asked())


def _rotation(log: SmallLog, seed: int = 9) -> bytes:
    new = make_signing_key(ORIGIN, ED25519, bytes([seed]) * 32)
    text = Rotation(ORIGIN, log.log_key.verifier, new.verifier, 8).text
    return format_note(Note(text, (sign_note(text, log.log_key), sign_note(text, new))))


def test_every_kind_is_known_and_holds(log: SmallLog) -> None:
    files = {
        "bundle": log.bundle_file(),
        "entry": log.tlog_proof(4),
        "consistency": log.consistency(5),
        "checkpoint": log.checkpoint(),
        "receipt": log.receipt(7),
        "rotation": _rotation(log),
    }
    for kind, data in files.items():
        for trust in (log.policy, log.bare):
            assert kind_of(data) == kind
            assert verify_file(data, trust).kind == kind
            assert all("\n" not in sentence for sentence in verify_file(data, trust).sentences)
    assert len(_together(*files.values(), trust=log.policy)) == len(files)


@pytest.mark.parametrize("data", [b"", b"hello", b"{}", b'{"a":1}', b"{", b"[]", b"\x00" * 100, b"{" * 100_000])
def test_what_is_no_proof_is_refused(log: SmallLog, data: bytes) -> None:
    with pytest.raises(NotVerified):
        verify_file(data, log.policy)


def test_each_kind_is_refused_under_other_keys(log: SmallLog) -> None:
    other = SmallLog(seed=100)
    for data in (log.bundle_file(), log.tlog_proof(4), log.consistency(5), log.checkpoint(), log.receipt(7)):
        with pytest.raises(NotVerified):
            verify_file(data, other.bare)
    with pytest.raises(NotVerified, match="pin that key"):
        verify_file(_rotation(log), other.bare)


def test_the_proof_of_an_entry_says_which_and_where(log: SmallLog) -> None:
    sentence = verify_file(log.tlog_proof(4), log.policy).sentences[0]
    assert sentence.startswith(f"for stream {SUBJECT}, which you must compare with your receipt: accepted of version 2")
    assert sentence.endswith(f"is in the log {ORIGIN} at position 4")
    with pytest.raises(NotVerified, match="expected an entry of stream"):
        verify_file(log.tlog_proof(4), log.policy, Asked(f"key:{OTHER}"))


def test_the_proof_of_an_entry_needs_the_entry(log: SmallLog) -> None:
    without = format_tlog_proof(TlogProof(3, log.path(4), None, log.checkpoint()))
    with pytest.raises(NotVerified, match="extra line"):
        verify_file(without, log.policy)
    other = format_tlog_proof(TlogProof(3, log.path(4), log.entries[4], log.checkpoint()))
    with pytest.raises(NotVerified, match="another root"):
        verify_file(other, log.policy)


# Whom


def test_an_id_and_a_key_lead_to_a_stream_and_a_name_does_not() -> None:
    assert stream_of(f"id:{SUBJECT_ID.hex()}") == SUBJECT
    assert stream_of(f"key:{SUBJECT}") == SUBJECT
    for named in (
        "alice",
        "",
        "id:",
        f"id:{SUBJECT_ID.hex().upper()[:-1]}",
        f"key:{SUBJECT}\n",
        f"ID:{SUBJECT}",
        SUBJECT,
    ):
        with pytest.raises(InvalidInput, match="cannot be looked up without the ledger"):
            stream_of(named)


def test_a_receipt_pins_the_stream_it_is_about(log: SmallLog) -> None:
    assert stream_of_receipt(log.receipt(7)) == SUBJECT
    assert stream_of_receipt(log.tlog_proof(3)) == OTHER


# How fresh


@pytest.mark.parametrize(
    ("age", "holds"),
    [(timedelta(hours=24), True), (timedelta(hours=24) - timedelta(microseconds=1), False), (timedelta(days=30), True)],
)
def test_freshness_is_by_the_time_of_the_maps_entry(log: SmallLog, age: timedelta, holds: bool) -> None:
    if holds:
        verify_bundle(log.bundle_file(), log.policy, now=NOW, max_age=age)
        return
    with pytest.raises(NotVerified, match=r"found one as of 2025-09-08T10:00:00\.000000Z"):
        verify_bundle(log.bundle_file(), log.policy, now=NOW, max_age=age)


def test_a_history_of_the_future_is_not_fresh(log: SmallLog) -> None:
    early = datetime(2025, 9, 8, 9, 58, 59, tzinfo=UTC)
    with pytest.raises(NotVerified, match="expected a history complete as of"):
        verify_bundle(log.bundle_file(), log.policy, now=early, max_age=timedelta(days=1))
    verify_bundle(log.bundle_file(), log.policy, now=early + timedelta(seconds=1), max_age=timedelta(days=1))


# Two histories


def _forked() -> SmallLog:
    """The same keys and the same beginning; somebody else is shown no withdrawal."""
    log = a_person(off=False)
    log.append(OTHER, given.accepted(), "7")
    log.publish("8")
    return log


def test_two_roots_at_one_size_are_evidence(log: SmallLog) -> None:
    other = _forked()
    first, second = log.checkpoint(), other.checkpoint(8)
    assert {kind_of(first), kind_of(second)} == {"checkpoint"}
    for trust in (log.policy, log.bare):
        assert verify_file(second, trust).kind == "checkpoint"
        with pytest.raises(TwoHistories) as found:
            _together(first, second, trust=trust)
        assert found.value.notes == (first.decode(), second.decode())
        assert "both checkpoints are of size 8" in str(found.value)


def test_a_consistency_proof_between_two_roots_of_one_size_is_evidence(log: SmallLog) -> None:
    notes = (log.checkpoint().decode(), _forked().checkpoint(8).decode())
    with pytest.raises(TwoHistories) as found:
        verify_file(format_consistency(ConsistencyFile(*notes, ())), log.policy)
    assert found.value.notes == notes


def test_two_entries_at_one_position_are_evidence_whatever_the_sizes(log: SmallLog) -> None:
    other = _forked()
    assert other.tree.size != log.tree.size
    with pytest.raises(TwoHistories, match="position 7 holds another entry under each"):
        _together(log.tlog_proof(7), other.tlog_proof(7), trust=log.policy)
    with pytest.raises(TwoHistories, match="position"):
        _together(log.bundle_file(), other.tlog_proof(7), trust=log.policy)


def test_files_of_one_history_are_no_evidence(log: SmallLog) -> None:
    grown = a_person()
    old = grown.bundle_file(), grown.checkpoint()
    grown.append(SUBJECT, given.toggled("on"), "9")
    grown.publish("10")
    assert len(_together(*old, grown.bundle_file(), grown.bundle_file(OTHER), trust=log.policy)) == 4


def test_logs_of_other_origins_are_other_logs(log: SmallLog) -> None:
    other = SmallLog("elsewhere.example/log", seed=50).terms()
    other.publish("2")
    keys = [one.verifier for one in (log.log_key, other.log_key)]
    trust = trust_of_keys(keys)
    assert len(_together(log.checkpoint(2), other.checkpoint(2), trust=trust)) == 2


def test_whoever_keeps_the_proof_of_an_entry_sees_a_map_that_hides_it() -> None:
    log = a_person()
    proof = log.tlog_proof(7)
    log.publish("9", without={7})
    cut = format_bundle(log.bundle())
    assert verify_file(cut, log.policy).fields["entries"] == 3
    with pytest.raises(TwoHistories, match=f"leaves out position 7 of stream {SUBJECT}"):
        _together(cut, proof, trust=log.policy)


def test_a_file_that_does_not_hold_is_named(log: SmallLog) -> None:
    with pytest.raises(NotVerified, match=r"\Afile1: expected"):
        _together(log.bundle_file(), b"hello", log.checkpoint(), trust=log.policy)


# Receipts


def _promise(*files: bytes, log: SmallLog) -> tuple[str, str]:
    *_, receipt = _together(*files, trust=log.policy)
    assert receipt.kept is not None
    assert receipt.is_good == (receipt.kept.state != "broken")
    return receipt.kept.state, receipt.kept.sentence


def test_a_promise_is_open_until_something_shows_what_became_of_it(log: SmallLog) -> None:
    receipt = log.receipt(7)
    assert _promise(receipt, log=log)[0] == "open"
    assert _promise(log.tlog_proof(4), log.checkpoint(), log.bundle_file(OTHER), receipt, log=log)[0] == "open"


def test_a_promise_is_kept_by_the_entry_at_its_position(log: SmallLog) -> None:
    for file in (log.bundle_file(), log.tlog_proof(7)):
        state, sentence = _promise(file, log.receipt(7), log=log)
        assert state == "kept"
        assert "position 7 holds this entry under the signed checkpoint of size 8" in sentence


def test_a_promise_is_broken_by_another_entry_at_its_position(log: SmallLog) -> None:
    """The entry was destroyed before the checkpoint, and another took its place."""
    lost = log.receipt(7)
    state, sentence = _promise(_forked().tlog_proof(7), lost, log=log)
    assert state == "broken"
    assert "position 7 holds another entry" in sentence


def test_a_promise_is_broken_by_a_complete_history_without_the_entry(log: SmallLog) -> None:
    state, sentence = _promise(_forked().bundle_file(), log.receipt(7), log=log)
    assert state == "broken"
    assert "the complete history of the stream up to position" in sentence


def test_a_promise_is_broken_by_a_log_that_ends_below_it_too_late(log: SmallLog) -> None:
    short = SmallLog().terms()
    short.append(OTHER, given.shown(), "2")
    short.publish("8")
    receipt = log.receipt(7)
    for file in (short.bundle_file(OTHER), short.tlog_proof(3)):
        assert _promise(file, receipt, log=log)[0] == "open", "exactly at the time that was promised"
    late = SmallLog().terms()
    late.append(OTHER, given.shown(), "2")
    late.publish("8 10:00:00.000001")
    for file in (late.bundle_file(OTHER), late.tlog_proof(3)):
        state, sentence = _promise(file, receipt, log=log)
        assert state == "broken"
        assert "the log ended at size 3, below position 7" in sentence


def test_a_promise_is_not_broken_by_another_log(log: SmallLog) -> None:
    other = SmallLog("elsewhere.example/log", seed=50).terms()
    other.publish("28")
    trust = Trust((log.log_key.verifier, other.log_key.verifier), (log.receipts_key.verifier,))
    *_, receipt = _together(other.tlog_proof(2), log.receipt(7), trust=trust)
    assert receipt.kept is not None
    assert receipt.kept.state == "open"


def test_a_receipt_needs_the_key_of_receipts(log: SmallLog) -> None:
    with pytest.raises(NotVerified, match="receipts"):
        verify_file(log.receipt(7), trust_of_keys([log.log_key.verifier]))


def test_a_receipt_about_somebody_else_is_refused(log: SmallLog) -> None:
    with pytest.raises(NotVerified, match="expected a receipt of stream"):
        verify_file(log.receipt(3), log.policy, Asked(f"key:{SUBJECT}"))
