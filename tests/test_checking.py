"""Verdicts on many people at once: those that each would get alone, on the log at one position."""

from __future__ import annotations

from datetime import timedelta

from ledger.application import ConsentLedger
from ledger.checking import Question, check_all
from ledger.domain.eligibility import Item
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
