"""Training runs: how they start, and how they finish (design, sections 4 and 8)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET, structs

from ledger.domain.entry import make_entry
from ledger.domain.events import Event, InputFile, RunFinished, RunStarted
from ledger.domain.runs import RunRecord, decide_finish, decide_start, fold_run
from ledger.domain.times import format_time
from ledger.errors import InvalidInput, RunDiffers
from tests.domain.given import NONCE, at

NEW = RunRecord(stream="run/r1")
INPUT = [InputFile(bytes=1, sha256="a" * 64), InputFile(bytes=2, sha256="b" * 64)]
START = RunStarted(purpose="model-training", kind="chat", started_at=format_time(at("10")), cutoff=7, input=INPUT)
FINISH = RunFinished(uses=1, items=2, root="c" * 64)


def _record(*events: Event) -> RunRecord:
    return fold_run(
        [
            make_entry(
                event,
                stream="run/r1",
                version=version,
                occurred_at=format_time(at("10")),
                recorded_at=format_time(at("11")),
                nonce=NONCE,
            )
            for version, event in enumerate(events, start=1)
        ],
        RunRecord(stream="run/r1"),
    )


def test_the_record_of_a_run_says_how_it_started_and_finished() -> None:
    assert (NEW.version, NEW.recorded, NEW.started, NEW.finished) == (0, None, None, None)
    started = _record(START)
    assert started.started is not None
    assert (started.version, started.recorded, started.started.data, started.finished) == (1, at("11"), START, None)
    finished = _record(START, FINISH)
    assert finished.finished is not None
    assert (finished.version, finished.started, finished.finished.data) == (2, started.started, FINISH)


def test_a_new_run_is_started() -> None:
    assert decide_start(NEW, START, at("12")) == [START]


def test_a_run_may_start_at_this_very_moment_and_never_later() -> None:
    assert decide_start(NEW, START, at("10")) == [START]
    with pytest.raises(InvalidInput, match=r"started by now, 2025-09-10T09:59:59.999999Z.*never starts in the future"):
        decide_start(NEW, START, at("10 09:59:59.999999"))


def test_the_same_start_again_does_nothing() -> None:
    assert decide_start(_record(START), START, at("12")) == []
    assert decide_start(_record(START, FINISH), START, at("12")) == []


def test_the_first_cutoff_and_parent_stay() -> None:
    # Both are information: a rerun takes the cutoff that is recorded.
    again = structs.replace(START, cutoff=99, parent="r0")
    assert decide_start(_record(START), again, at("12")) == []


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("purpose", "research"),
        ("kind", "voice"),
        ("started_at", format_time(at("9"))),
        ("started_at", format_time(at("30"))),
        ("input", []),
        ("input", INPUT[:1]),
        ("input", [InputFile(bytes=3, sha256="a" * 64), INPUT[1]]),
    ],
)
def test_another_start_of_the_same_run_says_what_differs(what: str, value: Any) -> None:
    with pytest.raises(RunDiffers, match=f"expected run r1 with the {what} it was started with") as differs:
        decide_start(_record(START), structs.replace(START, **{what: value}), at("12"))
    assert "give this run another name" in str(differs.value)


def test_a_run_finishes_once() -> None:
    assert decide_finish(_record(START), FINISH) == [FINISH]
    assert decide_finish(_record(START, FINISH), FINISH) == []
    assert decide_finish(_record(START, FINISH), RunFinished(uses=9, items=9, root="d" * 64)) == []


def test_a_run_need_not_have_a_parent() -> None:
    assert START.parent is UNSET
