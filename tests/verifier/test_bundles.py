"""Bundles as a log makes them: what the page says of them, whom it believes, and what it leaves open."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ledger.domain.entry import canonical
from ledger.proof.bundle import Bundle, StreamShown, format_bundle
from ledger.proof.note import COSIGNATURE, ED25519, Note, format_note, make_signing_key, parse_note, sign_note
from ledger.proof.subject_map import MapProof
from tests.domain import given
from tests.proof.small_log import OTHER, SUBJECT, SmallLog, a_person
from tests.verifier.page import Verifier
from tests.verifier.sample import (
    AUDITOR,
    LOG,
    ME,
    NOBODY,
    TRUST,
    WITNESS,
    demand_refusal,
    keys_of,
    signature_line,
    trust_in,
    without_signature,
)

# What holds


def test_a_whole_bundle_under_a_trust_file_and_an_id_is_green(verifier: Verifier) -> None:
    answer = verifier.verify(LOG.bundle_file(), TRUST, ME)
    assert answer.overall == "holds", answer
    assert set(answer.states.values()) == {"holds", "not-asked"}
    assert answer.states["fresh"] == "not-asked"
    assert [(use["known"], use["hindsight"], use["standing"]) for use in answer.uses] == [
        ("granted", "granted", "permitted")
    ]


def test_who_named_nobody_is_told_which_stream_to_compare(verifier: Verifier) -> None:
    answer = verifier.verify(LOG.bundle_file(), TRUST)
    assert (answer.overall, answer.states["person"]) == ("reservations", "reservation")
    assert f"stream {SUBJECT}, which you must compare with your receipt" in answer.summary[0]


def test_under_a_bare_key_nobody_vouches(verifier: Verifier) -> None:
    answer = verifier.verify(LOG.bundle_file(), keys_of(LOG.bare), ME)
    assert (answer.overall, answer.states["quorum"]) == ("reservations", "reservation")
    assert any("somebody else may be shown another log" in sentence for sentence in answer.summary)


def test_without_an_auditor_the_map_is_the_operators_word(verifier: Verifier) -> None:
    trust = f"log {LOG.log_key.verifier.text}\nwitness w {LOG.witnesses[0].verifier.text}\nquorum w\n"
    answer = verifier.verify(LOG.bundle_file(), trust, ME)
    assert (answer.overall, answer.states["quorum"]) == ("reservations", "reservation")
    assert "no auditor" in answer.sentences["quorum"]


def test_that_nothing_was_ever_recorded_is_proven_for_whoever_is_named(verifier: Verifier) -> None:
    bundle = LOG.bundle_file(NOBODY)
    answer = verifier.verify(bundle, TRUST, f"key:{NOBODY}")
    assert answer.overall == "holds", answer
    assert answer.summary[0].startswith("Nothing was ever recorded about the person you named")
    demand_refusal(verifier.verify(bundle, TRUST), "history")


def test_somebody_who_only_was_shown_the_terms_has_a_history_without_uses(verifier: Verifier) -> None:
    answer = verifier.verify(LOG.bundle_file(OTHER), TRUST, f"key:{OTHER}")
    assert (answer.overall, answer.uses) == ("holds", [])


def test_an_older_checkpoint_shows_the_history_as_of_its_own_map(verifier: Verifier) -> None:
    log = a_person()
    log.append(SUBJECT, given.shown(), "9")
    log.publish("10")
    for size, entries in ((8, 4), (10, 5)):
        answer = verifier.verify(log.bundle_file(size=size), trust_in(log), ME)
        assert answer.overall == "holds"
        assert f"{entries} entries, none changed" in answer.summary[0]


def test_a_log_signs_with_both_its_keys_while_they_change(verifier: Verifier) -> None:
    second = make_signing_key(LOG.origin, ED25519, b"\x42" * 32)
    note = parse_note(LOG.checkpoint())
    both = format_note(Note(note.text, (*note.signatures, sign_note(note.text, second))))
    bundle = format_bundle(LOG.bundle(checkpoint=both))
    for trust in (TRUST, f"{second.verifier.text}", f"{second.verifier.text} {LOG.log_key.verifier.text}"):
        assert verifier.verify(bundle, trust, ME).states["signature"] == "holds"
    wrong = format_note(Note(note.text, (*note.signatures, sign_note("other\n", second))))
    answer = verifier.verify(format_bundle(LOG.bundle(checkpoint=wrong)), f"{second.verifier.text}", ME)
    demand_refusal(answer, "signature")


# Whom the reader trusts, and whom they mean


def test_the_key_of_another_log_is_no_key_of_this_one(verifier: Verifier) -> None:
    other = SmallLog(seed=100)
    demand_refusal(verifier.verify(LOG.bundle_file(), other.log_key.verifier.text, ME), "signature")
    elsewhere = SmallLog("consent.example/log9", seed=100)
    demand_refusal(verifier.verify(LOG.bundle_file(), elsewhere.log_key.verifier.text, ME), "signature")


def test_a_witness_that_signs_as_the_log_does_not_pass(verifier: Verifier) -> None:
    forger = make_signing_key(LOG.origin, COSIGNATURE, bytes([1]) * 32)
    trust = f"log {LOG.log_key.verifier.text}\nwitness w {forger.verifier.text}\nquorum w\n"
    with pytest.raises(Exception, match="each public key once"):
        verifier.verify(LOG.bundle_file(), trust, ME)


def test_receipts_keys_sign_no_checkpoints(verifier: Verifier) -> None:
    note = parse_note(LOG.checkpoint())
    signed = format_note(Note(note.text, (*note.signatures, sign_note(note.text, LOG.receipts_key))))
    demand_refusal(verifier.verify(format_bundle(LOG.bundle(checkpoint=signed)), TRUST, ME), "signature")


def test_a_second_signature_by_the_same_key_is_not_read(verifier: Verifier) -> None:
    note = parse_note(LOG.checkpoint())
    again = format_note(Note(note.text, (*note.signatures, sign_note("other\n", LOG.log_key))))
    assert verifier.verify(format_bundle(LOG.bundle(checkpoint=again)), TRUST, ME).overall == "holds"
    before = format_note(Note(note.text, (sign_note("other\n", LOG.log_key), *note.signatures)))
    demand_refusal(verifier.verify(format_bundle(LOG.bundle(checkpoint=before)), TRUST, ME), "signature")


def test_one_witness_does_not_count_twice(verifier: Verifier) -> None:
    one, two = (key.verifier.text for key in LOG.witnesses)
    trust = f"log {LOG.log_key.verifier.text}\nwitness a {one}\nwitness b {two}\ngroup both all a b\nquorum both\n"
    bundle = json.loads(LOG.bundle_file())
    without_signature(WITNESS)(bundle)
    bundle["checkpoint"] += signature_line(bundle, "witness1.example") + "\n"
    demand_refusal(verifier.verify(canonical(bundle), trust, ME), "quorum")


def test_a_quorum_of_groups_is_counted(verifier: Verifier) -> None:
    one, two = (key.verifier.text for key in LOG.witnesses)
    trust = (
        f"log {LOG.log_key.verifier.text}\nwitness a {one}\nwitness b {two}\nwitness c {LOG.auditor.verifier.text}\n"
        "group either any a b\ngroup all all either c\nquorum all\n"
    )
    bundle = json.loads(LOG.bundle_file())
    without_signature(WITNESS)(bundle)
    assert verifier.verify(canonical(bundle), trust, ME).overall == "holds"
    without_signature("witness1.example")(bundle)
    demand_refusal(verifier.verify(canonical(bundle), trust, ME), "quorum")


def test_another_persons_bundle_is_not_yours(verifier: Verifier) -> None:
    demand_refusal(verifier.verify(LOG.bundle_file(OTHER), TRUST, ME), "person")
    demand_refusal(verifier.verify(LOG.bundle_file(NOBODY), TRUST, ME), "person")


@pytest.mark.parametrize("subject", ["alice", "id:12", f"id:{'A' * 32}", f"key:{'0' * 63}", "{}", "c2sp.org/x"])
def test_a_name_that_means_nobody_is_complained_about(verifier: Verifier, subject: str) -> None:
    with pytest.raises(Exception, match="xpected"):
        verifier.verify(LOG.bundle_file(), TRUST, subject)


def test_a_receipt_names_its_person_and_is_held_against_the_history(verifier: Verifier) -> None:
    promise, proof = LOG.receipt(7).decode(), LOG.tlog_proof(7).decode()
    for receipt in (promise, proof):
        answer = verifier.verify(LOG.bundle_file(), TRUST, receipt)
        assert (answer.overall, answer.states["receipt"]) == ("holds", "holds")
        demand_refusal(verifier.verify(LOG.bundle_file(OTHER), TRUST, receipt), "person")
    log = a_person()
    position = log.append(SUBJECT, given.toggled("on"), "9")
    answer = verifier.verify(log.bundle_file(), trust_in(log), log.receipt(position).decode())
    assert (answer.overall, answer.states["receipt"]) == ("reservations", "reservation")


def test_an_entry_that_was_promised_and_is_missing_breaks_the_promise(verifier: Verifier) -> None:
    kept = LOG.receipt(7).decode()
    cut = a_person(off=False)
    cut.append(SUBJECT, given.shown(), "9")
    cut.publish("10")
    answer = verifier.verify(cut.bundle_file(), trust_in(cut), kept)
    demand_refusal(answer, "receipt")
    assert "the promise was broken, and your receipt is the proof" in answer.sentences["receipt"]
    answer = verifier.verify(cut.bundle_file(), cut.log_key.verifier.text, kept)
    demand_refusal(answer, "receipt")
    assert "if your receipt is genuine" in answer.sentences["receipt"]


def test_a_receipt_that_was_changed_proves_nothing(verifier: Verifier) -> None:
    receipt = LOG.receipt(7).decode()
    moved = receipt.replace("position 7", "position 6")
    answer = verifier.verify(LOG.bundle_file(), TRUST, moved)
    demand_refusal(answer, "receipt")
    assert "it was changed" in answer.sentences["receipt"]
    for changed in (receipt.replace('"to":"off"', '"to":"on"'), receipt.replace("covered-by", "covered"), receipt[:-1]):
        with pytest.raises(Exception, match="xpected"):
            verifier.verify(LOG.bundle_file(), TRUST, changed)
    elsewhere = a_person()
    elsewhere.origin = "consent.example/log9"
    answer = verifier.verify(LOG.bundle_file(), TRUST, elsewhere.receipt(7).decode())
    demand_refusal(answer, "receipt")


# Maps and times


def test_a_history_cut_short_by_who_holds_the_key_is_refused_without_the_auditor(verifier: Verifier) -> None:
    log = a_person()
    log.publish("9", without={7})
    answer = verifier.verify(log.bundle_file(), keys_of(log.bare), ME)
    assert answer.overall == "reservations"
    assert "nothing out is the operator’s word" in answer.sentences["quorum"]
    bundle = json.loads(log.bundle_file())
    without_signature(AUDITOR)(bundle)
    demand_refusal(verifier.verify(canonical(bundle), trust_in(log), ME), "quorum")
    # And whoever holds the receipt of the withdrawal sees it under any key.
    demand_refusal(verifier.verify(log.bundle_file(), keys_of(log.bare), LOG.receipt(7).decode()), "receipt")


def test_a_stale_map_under_a_fresh_checkpoint_is_refused(verifier: Verifier) -> None:
    log = a_person()
    old = log.bundle()
    log.append(SUBJECT, given.toggled("on"), "9")
    fresh = Bundle(log.checkpoint(), old.map_entry, log.path(8), old.streams)
    demand_refusal(verifier.verify(format_bundle(fresh), trust_in(log), ME), "map")
    log.publish("10", covers=7)
    answer = verifier.verify(log.bundle_file(), trust_in(log), ME)
    assert answer.overall == "holds"
    assert "the other 3, the map itself among them, are not covered yet" in " ".join(answer.summary)


def test_an_old_map_is_refused_by_whoever_asks_for_a_fresh_one(verifier: Verifier) -> None:
    made = given.at("8")
    for age, now, state in [
        ("1h", made + timedelta(hours=1), "holds"),
        ("1h", made + timedelta(hours=1, microseconds=1), "fails"),
        ("2d", made + timedelta(days=2), "holds"),
        ("2d", made - timedelta(seconds=60), "holds"),
        ("2d", made - timedelta(seconds=61), "fails"),
    ]:
        answer = verifier.verify(LOG.bundle_file(), TRUST, ME, now=now, max_age=age)
        assert answer.states["fresh"] == state, answer


def test_an_empty_place_beside_an_empty_one_proves_no_absence(verifier: Verifier) -> None:
    bundle = LOG.bundle(NOBODY)
    (own,) = bundle.streams
    for proof in (
        MapProof((*own.proof.siblings, bytes(32))),
        MapProof(own.proof.siblings, other=(bytes.fromhex(NOBODY), bytes(32))),
    ):
        shown = StreamShown(own.stream, own.entries, proof)
        changed = Bundle(bundle.checkpoint, bundle.map_entry, bundle.map_path, (shown,))
        demand_refusal(verifier.verify(format_bundle(changed), TRUST, f"key:{NOBODY}"), "history")
