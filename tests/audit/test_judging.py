"""What an audit says of uses does not depend on how it came to see them."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.audit import history
from ledger.audit.audit import Report
from ledger.audit.judging import _Judge
from ledger.domain.names import subject_stream
from ledger.proof.plainly import PlainUses
from tests.audit.logs import AuditedLog, KeptExport, audited
from tests.domain import given
from tests.proof.small_log import SUBJECT, item, used


def a_log_of_many(seed: int) -> AuditedLog:
    """People of whom some came by an import, some left evidence, some withdrew, and some were used all the same."""
    chance = random.Random(seed)
    log = AuditedLog().terms()
    log.run("6")
    people = [subject_stream(number.to_bytes(16, "big")) for number in range(60)]
    for person in people:
        more: dict[str, Any] = {"imported": given.IMPORTED} if chance.random() < 0.3 else {}
        if chance.random() < 0.1:
            more = {"evidence": "e" * 64}
        log.append(person, given.shown(), "2", **more)
        log.append(person, given.accepted(touched=chance.choice([(), (given.TRAINING,)])), "3", **more)
        log.append(person, given.toggled(chance.choice(["on", "off"])), chance.choice(["5", "3 12:00"]), "5")
    for person in people:
        if chance.random() < 0.7:
            log.append(person, used([item("chat", "4")], basis=chance.choice([2, 2, 2, 3])), "6 11:00")
    for person in people:
        if chance.random() < 0.3:
            log.append(person, given.toggled("off"), "3 13:00", "7")
    log.publish("8")
    return log


def reports(folder: Path, seed: int) -> list[Report]:
    """An audit of all at once, and one that goes on after every few entries."""
    log = a_log_of_many(seed)
    kept = KeptExport(folder)
    whole = AuditedLog()
    for size in range(40, len(log.entries), 40):
        whole.entries, whole.notes = log.entries[:size], log.notes
        kept.put(whole)
        kept.checkpoint = None  # type: ignore[assignment]
        audited(kept, folder / "seen")
        kept = KeptExport(folder)
    kept.put(log)
    return [audited(kept), replace(audited(kept, folder / "seen", batch=7), seen=0)]


@pytest.mark.parametrize("seed", range(3))
def test_the_plain_way_finds_what_care_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    plain = 0
    plainly = _Judge._plainly

    def counting(self: _Judge, *asked: object) -> object:
        nonlocal plain
        found = plainly(self, *asked)  # type: ignore[arg-type]
        plain += found is not None
        return found

    monkeypatch.setattr(_Judge, "_plainly", counting)
    at_once, in_steps = reports(tmp_path, seed)
    assert at_once == in_steps
    assert {"violation-known", "violation-in-hindsight", "rests-on-import"} <= at_once.counts.keys()
    assert plain > 10
    monkeypatch.setattr(_Judge, "_plainly", lambda *_: None)
    (tmp_path / "seen").unlink()
    assert reports(tmp_path, seed) == [at_once, in_steps]


def test_among_many_toggles_no_grant_is_searched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditedLog().terms()
    log.append(SUBJECT, given.shown(), "2")
    log.append(SUBJECT, given.accepted(), "3")
    for minute in range(100):
        log.append(SUBJECT, given.toggled("on" if minute % 2 else "off"), f"3 {11 + minute // 60}:{minute % 60:02}")
    log.run("6")
    for basis, collected in ((2, "3 10:30"), (4, "3 11:01"), (10, "3 11:08")):
        log.append(SUBJECT, used([item("chat", collected)], basis=basis), "6 11:00")
    log.publish("8")
    kept = KeptExport(tmp_path)
    kept.put(log)
    monkeypatch.delattr(PlainUses, "basis")
    assert audited(kept).counts == {"violation-known": 1}, "the last was collected while it was off"


def test_streams_judged_a_few_at_a_time_are_all_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = reports(tmp_path, 7)
    monkeypatch.setattr(history, "_SOME", 1)
    monkeypatch.setattr(history, "MOST_SEEN", 1)
    (tmp_path / "seen").unlink()
    assert reports(tmp_path, 7) == expected
