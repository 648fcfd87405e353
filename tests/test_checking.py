"""Verdicts on many people at once: those that each would get alone, on the log at one position."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from ledger.application import ConsentLedger, open_ledger
from ledger.checking import Question, check_all
from ledger.domain.eligibility import Item
from ledger.settings import Place
from tests import builders as b


def test_a_batch_says_what_each_would_be_told_alone(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann", "bob", "gone")
    ledger.record("bob", b.toggled("off"))
    stream = ledger.subject("gone").stream
    ledger.erase("gone", "request")
    now = b.now_of(ledger)
    long_ago = now - timedelta(days=400)
    questions = [
        Question(named, "model-training", Item(collected, kind, plan), started)
        for named in ("ann", "bob", "gone", "nobody", f"key:{stream}", f"id:{'0' * 32}")
        for collected, kind, plan, started in (
            (now, "chat", None, None),
            (now, "video", None, None),
            (now, "chat", "team", now),
            (long_ago, "chat", None, now),
            (now + timedelta(days=1), "chat", None, None),
        )
    ]
    together = check_all(ledger, questions)
    alone = [check_all(ledger, [question])[0] for question in questions]
    assert [checked.verdict.reason for checked in together] == [checked.verdict.reason for checked in alone]
    assert [checked.verdict.basis for checked in together] == [checked.verdict.basis for checked in alone]
    assert {checked.position for checked in together} == {ledger.recorder.head()}
    assert [checked.verdict.reason for checked in together[:4]] == [
        "granted",
        "kind-not-covered",
        "plan-not-covered",
        "collected-before-grant",
    ]
    assert {checked.verdict.reason for checked in together[15:20]} == {"unknown-subject"}
    assert {checked.verdict.reason for checked in together[20:25]} == {"erased"}


def test_nobody_is_asked_of(ledger: ConsentLedger) -> None:
    assert check_all(ledger, []) == []


def test_terms_that_another_process_publishes_count_at_once(ledger: ConsentLedger, ledger_place: Place) -> None:
    """Terms are not read again once they were: but those that are new are, in the statement that reads the entries."""
    b.grant(ledger, "ann")
    question = Question("ann", "model-training", Item(b.now_of(ledger), "chat"))
    assert check_all(ledger, [question])[0].verdict.terms == b.TERMS.version
    later = msgspec.structs.replace(b.TERMS, version="later")
    with open_ledger(ledger_place) as elsewhere:
        elsewhere.publish(later)
        elsewhere.record("ann", b.shown(later))
        elsewhere.record("ann", b.accepted(later))
    question = Question("ann", "model-training", Item(b.now_of(ledger), "chat"))
    [checked] = check_all(ledger, [question])
    assert (checked.verdict.reason, checked.verdict.terms) == ("granted", "later")
    assert [terms.version for terms in ledger.catalogue().all()] == [b.TERMS.version, "later"]


def test_a_person_is_seen_as_soon_as_they_are_recorded(ledger: ConsentLedger, ledger_place: Place) -> None:
    b.grant(ledger)
    with open_ledger(ledger_place) as elsewhere:
        for number in range(3):
            named = f"person {number}"
            question = Question(named, "model-training", Item(b.now_of(ledger), "chat"))
            assert check_all(ledger, [question])[0].verdict.reason == "unknown-subject"
            recorded = elsewhere.record(named, b.shown())
            [checked] = check_all(ledger, [question])
            assert (checked.verdict.reason, checked.position) == ("no-decision", recorded.position)
