"""`verdict-spans`: what a row holds, and when it moves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from ledger.domain.consent import record_of
from ledger.domain.terms import Terms
from ledger.projections.verdict_spans import standing_in, verdict_spans
from tests.domain import given


def rows_of(*events: given.Given, terms: Iterable[Terms] = (given.SHIPPED,)) -> list[dict[str, Any]]:
    """The rows as they come over a wire; positions are ten times versions."""
    entries = given.stream(*events)
    record = record_of(given.STREAM, entries, given.catalogue(*terms))
    rows = verdict_spans(record, {entry.version: 10 * entry.version for entry in entries})
    return [msgspec.json.decode(msgspec.json.encode(row)) for row in rows]


ACCEPT: tuple[given.Given, ...] = ((given.shown(), "3"), (given.accepted(), "4"))
OTHER = given.terms("other")

MOVES: dict[str, tuple[tuple[given.Given, ...], int | None]] = {
    "a use is nothing": (((given.used("3", attested=True), "3"),), None),
    "shown": ((ACCEPT[0],), 10),
    "to be shown the same again is no news": ((ACCEPT[0], (given.shown(), "5")), 10),
    "to be shown others is, for what is kept goes by them": ((ACCEPT[0], (given.shown(OTHER), "5")), 20),
    "not after an accept": ((*ACCEPT, (given.shown(OTHER), "5")), 20),
    "to be shown anything for the first time is, also then": ((ACCEPT[1], (given.shown(), "5")), 20),
    "another plan is": ((*ACCEPT, (given.shown(plan="max"), "5")), 30),
    "a decision is": ((*ACCEPT, (given.toggled("on"), "5")), 30),
    "an erasure is": ((*ACCEPT, (given.ERASED, "5")), 30),
}


@pytest.mark.parametrize(("events", "position"), MOVES.values(), ids=list(MOVES))
def test_a_row_stands_where_it_changed_last(events: tuple[given.Given, ...], position: int | None) -> None:
    rows = rows_of(*events, terms=(given.SHIPPED, OTHER))
    assert [row["position"] for row in rows] == ([] if position is None else [position])


def test_a_row_holds_what_a_verdict_asks_and_nothing_else() -> None:
    (row,) = rows_of(*ACCEPT)
    assert row.keys() == {"stream", "position", "gone", "shown", "when_off", "purposes"}
    assert row["purposes"] == [
        {
            "purpose": given.TRAINING,
            "starts": ["2025-09-04T10:00:00Z"],
            "spans": [
                {"uncovered": "collected-before-grant"},
                {
                    "basis": 2,
                    "quality": "default-untouched",
                    "terms": given.V1,
                    "plan": "pro",
                    "rules": {
                        "plans": ["free", "pro", "max"],
                        "kinds": ["chat", "coding-session"],
                        "when_on": "P5Y",
                    },
                },
            ],
        }
    ]


def test_of_somebody_erased_a_row_holds_nothing_else() -> None:
    (row,) = rows_of(*ACCEPT, (given.ERASED, "5"))
    assert row == {
        "stream": given.STREAM,
        "position": 30,
        "gone": True,
        "shown": False,
        "when_off": None,
        "purposes": [],
    }


def test_what_is_no_row_is_refused() -> None:
    (row,) = rows_of(*ACCEPT)
    row["purposes"][0]["spans"][1]["quality"] = "good"
    with pytest.raises(msgspec.ValidationError):
        standing_in(row)
