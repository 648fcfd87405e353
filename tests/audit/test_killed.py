"""An audit that is killed, again and again, goes on where it was and ends as one that was not."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from ledger.domain.names import subject_stream
from tests.audit.logs import AuditedLog, KeptTiles, audited
from tests.domain import given
from tests.proof.small_log import item, used

ROOT = Path(__file__).parents[2]
#: Entries between two commits: one bundle of a folder of tiles.
BATCH = 256


def a_long_log() -> AuditedLog:
    """1,500 entries: people who were shown the terms, accepted, were used by a run, and some withdrew in between."""
    chance = random.Random(7)
    log = AuditedLog().terms()
    log.run("2")
    people = [subject_stream(number.to_bytes(16, "big")) for number in range(500)]
    for person in people:
        log.append(person, given.shown(), "3")
        log.append(person, given.accepted(), "3")
        if len(log.entries) % 400 < 2:
            log.publish("3")
    for person in people:
        withdrawn = chance.random() < 0.5
        if withdrawn:
            log.append(person, given.toggled("off"), "3 12:00", "4")
        if not withdrawn or chance.random() < 0.1:
            log.append(person, used([item("chat", "3 13:00")], basis=2), "4")
    log.publish("4")
    return log


def test_killed_after_each_commit_it_ends_as_one_that_was_not(tmp_path: Path) -> None:
    kept = KeptTiles(tmp_path)
    log = a_long_log()
    kept.put(log)
    anew = audited(kept)
    assert anew.counts["violation-known"] > 10
    commits, died = 0, 0
    while True:
        # One commit more each time, so that it dies at other places too.
        asked = [str(tmp_path), str(tmp_path / "seen"), str(commits)]
        command = [sys.executable, "-m", "tests.audit.dying_audit", *asked]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        died += 1
        commits = died % 6
    assert died >= 4
    going_on = audited(kept, tmp_path / "seen")
    assert going_on.seen == len(log.entries)
    assert replace(going_on, seen=0) == anew
