"""A batch of single appends is stored together, until something is in the way of one; the answers are the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ledger.application import ConsentLedger
from ledger.settings import Place
from ledger.store import writer
from ledger.store.evidence import new_evidence
from ledger.store.keys import Key
from ledger.store.statements import statement
from ledger.store.writer import Append
from tests import builders as b


def statements_of(ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the statements that the writer asks for from now on."""
    asked: list[str] = []

    def noted(name: str) -> str:
        asked.append(name)
        return statement(name)

    monkeypatch.setattr("ledger.store.writer.statement", noted)
    return asked


def answers(ledger: ConsentLedger, *appends: Append) -> list[str]:
    return [ledger.writer.append(append).name for append in appends]


def test_after_a_conflict_some_batches_are_judged_one_by_one(
    ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = b.now_of(ledger)
    monkeypatch.setattr(writer, "CAREFUL_BATCHES", 2)
    asked = statements_of(ledger, monkeypatch)
    appends = [b.append_of(b.stream_of(n), 1, now, nonce=n) for n in range(6)]
    taken = b.append_of(b.stream_of(0), 1, now, nonce=9)
    assert answers(ledger, appends[0], taken, *appends[1:5]) == ["stored", "conflict", *["stored"] * 4]
    assert asked == [
        "append_together",  # stored
        *("append_together", "append"),  # the conflict, found together and judged for itself
        *("append", "append"),  # carefully
        *("append_together", "append_together"),
    ]


@pytest.mark.parametrize("careful", [False, True])
def test_whatever_is_asked_is_answered_alike(ledger: ConsentLedger, ledger_place: Place, careful: bool) -> None:
    """In one batch with others, together or not: conflicts, keys, times, evidence and several entries at once."""
    now = b.now_of(ledger)
    key, other = Key(b"k" * 32, b"r" * 32), Key(b"k" * 32, b"s" * 32)
    late = b.now_of(ledger, ahead=60)
    asked: Sequence[Append] = [
        b.append_of(b.stream_of(1), 1, now, nonce=1, keys=[key]),
        b.append_of(b.stream_of(2), 2, now, nonce=2),
        b.append_of(b.stream_of(3), 1, now, count=3, nonce=30),
        b.append_of(b.stream_of(4), 1, late, nonce=4),
        b.append_of(b.stream_of(5), 1, now, nonce=5, evidence=[new_evidence(b"203.0.113.7")]),
        b.append_of(b.stream_of(1), 2, now, nonce=6),
        b.append_of(b.stream_of(6), 1, now, nonce=7, keys=[other]),
        b.append_of(b.stream_of(7), 1, now, nonce=8, keys=[key]),
    ]

    async def work() -> list[str]:
        if careful:
            ledger.writer._careful_batches = 100
        told = await asyncio.gather(*(ledger.writer.append_async(append) for append in asked))
        return [answer.name for answer in told]

    expected = ["stored", "conflict", "stored", "out-of-time", "stored", "stored", "key-reused", "repeated"]
    assert asyncio.run(work()) == expected
    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    assert len(log) == 6
