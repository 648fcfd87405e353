"""What the rows of each projection say: given a stream, then these rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from ledger.domain.consent import record_of
from ledger.domain.terms import Catalogue, Terms
from ledger.projections.current_consent import CurrentConsent, current_consent
from ledger.projections.granted_intervals import GrantedIntervalRow, granted_intervals
from ledger.projections.training_uses import TrainingUse, training_uses
from tests.domain import given
from tests.domain.given import ERASED, SHIPPED, STREAM, TRAINING, V1, accepted, at, shown, stream, toggled, used

REFUSING = given.terms("v2", untouched_default="refused")


def rows(make: Any, *events: given.Given, terms: tuple[Terms, ...] = (SHIPPED, REFUSING)) -> list[Any]:
    """The rows of a stream whose versions 1, 2, 3 lie at the positions 10, 20, 30."""
    entries = stream(*events)
    record = record_of(STREAM, entries, Catalogue(terms))
    return list(make(record, {entry.version: 10 * entry.version for entry in entries}))


def consent(position: int, toggle: str, since: str | None, **more: Any) -> CurrentConsent:
    """A row under the shipped terms; on by an untouched grant of version 2, unless it is said otherwise."""
    usual: dict[str, Any] = {"basis": 2, "quality": "default-untouched"} if toggle == "on" else {}
    fields: dict[str, Any] = {"basis": None, "quality": None, "terms": V1, "plan": "pro", "purpose": TRAINING}
    moment = None if since is None else at(since)
    return CurrentConsent(stream=STREAM, position=position, toggle=toggle, since=moment, **fields | usual | more)  # type: ignore[arg-type]


ACCEPT: tuple[given.Given, ...] = ((shown(), "3"), (accepted(), "4"))
CURRENT: dict[str, tuple[tuple[given.Given, ...], list[CurrentConsent]]] = {
    "nobody decided": ((ACCEPT[0],), []),
    "accepted untouched": (ACCEPT, [consent(20, "on", "4")]),
    "accepted and operated": (
        ((shown(), "3"), (accepted(touched=(TRAINING,)), "4")),
        [consent(20, "on", "4", quality="explicit")],
    ),
    "accepted with off": (((shown(), "3"), (accepted(toggles={TRAINING: "off"}), "4")), [consent(20, "off", "4")]),
    "untouched under terms that call that no consent": (
        ((shown(REFUSING), "3"), (accepted(REFUSING), "4")),
        [consent(20, "off", None, terms=None)],
    ),
    "turned off": ((*ACCEPT, (toggled("off"), "5")), [consent(30, "off", "5")]),
    "turned off twice: the first ended it": (
        (*ACCEPT, (toggled("off"), "5"), (toggled("off"), "6")),
        [consent(40, "off", "5")],
    ),
    "an earlier off arriving last": (
        (*ACCEPT, (toggled("off"), "6"), (toggled("off"), "5", "7")),
        [consent(40, "off", "5")],
    ),
    "turned on again": (
        (*ACCEPT, (toggled("off"), "5"), (toggled("on"), "6")),
        [consent(40, "on", "6", basis=4, quality="explicit")],
    ),
    "of two grants the one that starts last": (
        (*ACCEPT, (toggled("on"), "6")),
        [consent(30, "on", "6", basis=3, quality="explicit")],
    ),
    "off before any accept": (((toggled("off"), "3"),), [consent(10, "off", "3", terms=None, plan=None)]),
    "an off stamped ahead counts from when it was recorded": (
        (*ACCEPT, (toggled("off"), "9", "5")),
        [consent(30, "off", "5")],
    ),
    "another plan is news": ((*ACCEPT, (shown(plan="max"), "5")), [consent(30, "on", "4", plan="max")]),
    "to be shown the terms again is none": ((*ACCEPT, (shown(), "5")), [consent(20, "on", "4")]),
    "a use is none": ((*ACCEPT, (used("4 12:00", basis=2), "5")), [consent(20, "on", "4")]),
    "erased": ((*ACCEPT, (ERASED, "5")), [consent(30, "on", "4", gone=True)]),
}


@pytest.mark.parametrize(("events", "expected"), CURRENT.values(), ids=list(CURRENT))
def test_current_consent(events: tuple[given.Given, ...], expected: list[CurrentConsent]) -> None:
    assert rows(current_consent, *events) == expected


def test_each_purpose_has_a_row_and_one_that_new_terms_do_not_name_is_left() -> None:
    both = given.terms("both", purposes={"one": ["chat"], "two": ["chat"]})
    only = given.terms("only", purposes={"one": ["chat"]})
    found = rows(
        current_consent,
        (shown(both), "3"),
        (accepted(both), "4"),
        (shown(only), "5"),
        (accepted(only, toggles={"one": "off"}), "6"),
        terms=(both, only),
    )
    assert [(row.purpose, row.toggle, row.terms, row.position) for row in found] == [
        ("one", "off", "only", 40),
        ("two", "on", "both", 20),
    ]


def interval(position: int, version: int, starts: str, ends: str | None = None, **more: Any) -> GrantedIntervalRow:
    return GrantedIntervalRow(
        stream=STREAM,
        position=position,
        purpose=TRAINING,
        version=version,
        starts=at(starts),
        ends=None if ends is None else at(ends),
        terms=V1,
        quality="default-untouched" if version == 2 else "explicit",
        **more,
    )


INTERVALS: dict[str, tuple[tuple[given.Given, ...], list[GrantedIntervalRow]]] = {
    "open": (ACCEPT, [interval(20, 2, "4")]),
    "ended": ((*ACCEPT, (toggled("off"), "5")), [interval(30, 2, "4", "5")]),
    "ended earlier by one that arrives later": (
        (*ACCEPT, (toggled("off"), "6"), (toggled("off"), "5", "7")),
        [interval(40, 2, "4", "5")],
    ),
    "ended once: a second off at the same time changes nothing": (
        (*ACCEPT, (toggled("off"), "5"), (toggled("off"), "5")),
        [interval(30, 2, "4", "5")],
    ),
    "each grant its own": (
        (*ACCEPT, (toggled("off"), "5"), (toggled("on"), "6")),
        [interval(30, 2, "4", "5"), interval(40, 4, "6")],
    ),
    "barred from the start": (
        (*ACCEPT, (toggled("off"), "6"), (toggled("on"), "5", "7")),
        [interval(30, 2, "4", "6"), interval(40, 4, "7 09:59:55", "6", gone=True)],
    ),
    "undone by an off that was made before it": (
        (*ACCEPT, (toggled("off"), "3 12:00", "5")),
        [interval(30, 2, "4", "3 12:00", gone=True)],
    ),
    "nothing granted": (((shown(REFUSING), "3"), (accepted(REFUSING), "4")), []),
    "erased: what was empty is gone since then": (
        (*ACCEPT, (toggled("off"), "3 12:00", "5"), (toggled("on"), "6"), (ERASED, "7")),
        [interval(30, 2, "4", "3 12:00", gone=True), interval(50, 4, "6", gone=True)],
    ),
}


@pytest.mark.parametrize(("events", "expected"), INTERVALS.values(), ids=list(INTERVALS))
def test_granted_intervals(events: tuple[given.Given, ...], expected: list[GrantedIntervalRow]) -> None:
    assert rows(granted_intervals, *events) == expected


def test_training_uses() -> None:
    use = structs.replace(used("4 12:00", until="4 13:00", basis=2), items={"chat": 2, "coding-session": 3})
    reported = used("4 12:00", attested=True, run="elsewhere")
    expected = TrainingUse(
        stream=STREAM,
        position=30,
        version=3,
        run="r1",
        purpose=TRAINING,
        basis=2,
        items={"chat": 2, "coding-session": 3},
        item_count=5,
        collected_from=at("4 12:00"),
        collected_until=at("4 12:00") + timedelta(hours=1),
        manifest=given.MANIFEST,
        attested=False,
    )
    others = {"position": 40, "version": 4, "run": "elsewhere", "basis": None, "attested": True}
    counted = {"items": {"chat": 1}, "item_count": 1, "collected_until": at("4 12:00")}
    found = rows(training_uses, *ACCEPT, (use, "5"), (reported, "6"), (ERASED, "7"))
    assert found == [expected, structs.replace(expected, **others, **counted)]
