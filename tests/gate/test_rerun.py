"""The same run again: the same files, nothing new in the log, and nothing else under its name."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from ledger.application import ConsentLedger
from ledger.errors import InvalidInput, RunDiffers, Unavailable
from ledger.gate.gate import dry_run
from tests import builders
from tests.domain import given
from tests.gate import people, runs
from tests.gate.people import GRANTED, late
from tests.gate.runs import (
    Silent,
    decided,
    filtered,
    item,
    jsonl,
    refused,
)


def test_the_same_filter_again_writes_the_same_and_records_nothing(
    people_on: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    first = filtered(people_on, items, out)
    written, head = runs.bytes_of(out), people_on.recorder.head()
    assert filtered(people_on, items, out).summary == first.summary
    assert filtered(people_on, items, elsewhere).summary == first.summary
    assert runs.bytes_of(out) == runs.bytes_of(elsewhere) == written
    assert people_on.recorder.head() == head


def test_what_happens_after_a_run_changes_nothing_in_its_files(
    people_on: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    """Not even an amendment of terms that nobody has decided on, which moves a deadline in a detail."""
    people.fill(people_on, {"undecided": [(given.shown(), GRANTED)]})
    path = jsonl(tmp_path / "more.jsonl", *map(json.loads, items.read_text().splitlines()), item("undecided", "u"))
    filtered(people_on, path, tmp_path / "out")
    written = runs.bytes_of(tmp_path / "out")
    assert "after the deadline of 2025-09-28" in refused(tmp_path / "out")[0]["detail"]
    people_on.publish(structs.replace(given.SHIPPED, version="moved", amends=given.V1, decide_by="2999-01-01"))
    people_on.record("ann", builders.toggled("off"))
    people_on.record("ann", late(given.toggled("off"), given.at("15")))
    people_on.record("undecided", builders.accepted())
    filtered(people_on, path, tmp_path / "out")
    assert runs.bytes_of(tmp_path / "out") == written


def test_a_run_that_exists_must_be_the_same(people_on: ConsentLedger, items: Path, tmp_path: Path) -> None:
    other_terms = structs.replace(
        given.terms("t2", purposes={given.TRAINING: ["chat"], "research": ["chat"]}), withdrawal="future-runs"
    )
    filtered(people_on, items, tmp_path / "out")
    people_on.publish(other_terms)
    other = jsonl(tmp_path / "other.jsonl", item("ann", "other"))
    head = people_on.recorder.head()
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (items, {"purpose": "research"}, "research"),
        (items, {"started": runs.STARTED + timedelta(seconds=1)}, "2026-06-01T00:00:01.000000Z"),
        (items, {"kind": "coding-session"}, "coding-session"),
        (other, {}, "… of [0-9]+ bytes, found [0-9a-f]{12}… of"),
    ]
    for path, more, found in cases:
        with pytest.raises(RunDiffers, match=found):
            filtered(people_on, path, tmp_path / "out", **more)
        with pytest.raises(RunDiffers, match=found):
            dry_run(people_on, runs.asked(path, **more), Silent())
    assert people_on.recorder.head() == head
    # What is left out is as it was, though the terms would now have it otherwise.
    assert filtered(people_on, items, tmp_path / "out", started=None).summary["kind"] == "chat"


def test_a_run_of_files_that_cannot_be_read_never_starts(people_on: ConsentLedger, tmp_path: Path) -> None:
    head = people_on.recorder.head()
    broken = tmp_path / "items.jsonl"
    broken.write_text('{"subject":')
    with pytest.raises(Unavailable):
        filtered(people_on, broken, tmp_path / "out")
    for more in ({"started": people_on.clock.now() + timedelta(hours=1)}, {"purpose": "nothing"}, {"parent": "r0"}):
        with pytest.raises(InvalidInput):
            filtered(people_on, jsonl(broken, item("ann", "a")), tmp_path / "out", **more)
    assert people_on.recorder.head() == head
    assert people_on.run_of("r1").started is None


def test_a_folder_belongs_to_one_run_at_a_time(people_on: ConsentLedger, items: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with decided(people_on, items, out), pytest.raises(Unavailable, match="at work"):
        filtered(people_on, items, out)
    filtered(people_on, items, out)
    with pytest.raises(InvalidInput, match="r1"):
        filtered(people_on, items, out, run="r2")
    assert people_on.run_of("r2").started is None


def test_a_dry_run_counts_the_same_and_leaves_no_trace(people_on: ConsentLedger, items: Path, tmp_path: Path) -> None:
    head = people_on.recorder.head()
    _, counts = dry_run(people_on, runs.asked(items), Silent())
    assert people_on.recorder.head() == head
    outcome = filtered(people_on, items, tmp_path / "out")
    assert outcome.counts == counts
    # Of a run that exists it says what was decided at its cutoff.
    people_on.record("ann", late(given.toggled("off"), given.at("15")))
    start, counts = dry_run(people_on, runs.asked(items), Silent())
    assert (start.cutoff, counts) == (outcome.summary["cutoff"], outcome.counts)
