"""`retention`: what a row says, and that the rows say of every item what the domain says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import settings

from ledger.domain.consent import consent_of, record_of
from ledger.domain.retention import keep_until
from ledger.domain.times import add_duration
from ledger.projections.retention import NO_PURPOSE, Retention, retention
from tests.domain import given
from tests.domain.given import ERASED, STREAM, TRAINING, V1, accepted, at, shown, toggled
from tests.domain.histories import HISTORIES, PURPOSES, TICKS, History, histories, moment

RUNS = given.terms("runs", withdrawal="future-runs")
SHORT = given.terms("short", when_off="P1D")

ACCEPT: tuple[given.Given, ...] = ((shown(), "3"), (accepted(), "4"))
RUNS_ACCEPT: tuple[given.Given, ...] = ((shown(RUNS), "3"), (accepted(RUNS), "4"))


def rows_of(*events: given.Given) -> list[Retention]:
    entries = given.stream(*events)
    record = record_of(STREAM, entries, given.catalogue(given.SHIPPED, RUNS, SHORT))
    return list(retention(record, {entry.version: 10 * entry.version for entry in entries}))


def granted(position: int, starts: str, ends: str | None = None, **more: Any) -> Retention:
    """A row of a grant of version 2 under the shipped terms."""
    usual: dict[str, Any] = {"version": 2, "terms": V1, "keep_until": None, "gone_by": None}
    end = None if ends is None else at(ends)
    fields: dict[str, Any] = {"purpose": TRAINING, "starts": at(starts), "ends": end, "keep": "P5Y"}
    return Retention(stream=STREAM, position=position, **fields | usual | more)


def rest(position: int, terms: str | None = V1, keep: str | None = "P30D", erased: str | None = None) -> Retention:
    """The row of what no grant covers."""
    when = None if erased is None else at(erased)
    fields: dict[str, Any] = {"starts": None, "ends": None, "keep_until": when, "gone_by": when}
    return Retention(stream=STREAM, position=position, purpose=NO_PURPOSE, version=0, terms=terms, keep=keep, **fields)


ROWS: dict[str, tuple[tuple[given.Given, ...], list[Retention]]] = {
    "nobody was asked": (((toggled("off"), "3"),), []),
    "shown: all is kept as without a grant": ((ACCEPT[0],), [rest(10)]),
    "granted: more may be collected": (ACCEPT, [granted(20, "4"), rest(20)]),
    "withdrawn for future data: what was collected is kept on": (
        (*ACCEPT, (toggled("off"), "5")),
        [granted(30, "4", "5", gone_by=at("2030-09-05T10:00:00Z")), rest(20)],
    ),
    "withdrawn for future runs: it must be gone soon": (
        (*RUNS_ACCEPT, (toggled("off"), "5")),
        [
            granted(
                30,
                "4",
                "5",
                terms="runs",
                keep_until=at("2025-10-05T10:00:00Z"),
                gone_by=at("2025-10-05T10:00:00Z"),
            ),
            rest(20, "runs"),
        ],
    ),
    "granted again: each grant its own span": (
        (*ACCEPT, (toggled("off"), "5"), (toggled("on"), "6")),
        [granted(30, "4", "5", gone_by=at("2030-09-05T10:00:00Z")), granted(40, "6", version=4), rest(20)],
    ),
    "a grant that covers nothing is gone": (
        (*ACCEPT, (toggled("off"), "3 12:00", "5")),
        [granted(30, "4", "3 12:00", gone_by=at("2030-09-03T12:00:00Z"), gone=True), rest(20)],
    ),
    "others shown after an accept change nothing": ((*ACCEPT, (shown(SHORT), "5")), [granted(20, "4"), rest(20)]),
    "others accepted do, for what no grant covers": (
        (*ACCEPT, (shown(SHORT), "5"), (accepted(SHORT, toggles={TRAINING: "off"}), "6")),
        [granted(40, "4", "6", gone_by=at("2030-09-06T10:00:00Z")), rest(40, "short", "P1D")],
    ),
    "erased: all must be gone, and the rows say so": (
        (*ACCEPT, (ERASED, "5")),
        [granted(30, "4", keep_until=at("5"), gone_by=at("5")), rest(30, erased="5")],
    ),
    "erased after a withdrawal: nothing is kept longer for it": (
        (*RUNS_ACCEPT, (toggled("off"), "5"), (ERASED, "2025-11-01T10:00:00Z")),
        [
            granted(
                40,
                "4",
                "5",
                terms="runs",
                keep_until=at("2025-10-05T10:00:00Z"),
                gone_by=at("2025-10-05T10:00:00Z"),
            ),
            rest(40, "runs", erased="2025-11-01T10:00:00Z"),
        ],
    ),
    "erased without ever having seen terms": (((ERASED, "5"),), [rest(10, None, None, erased="5")]),
}


@pytest.mark.parametrize(("events", "expected"), ROWS.values(), ids=list(ROWS))
def test_rows(events: tuple[given.Given, ...], expected: list[Retention]) -> None:
    assert rows_of(*events) == expected


def kept_by(rows: Iterable[Retention], purpose: str, collected: datetime) -> datetime | None:
    """What the rows say of an item, read as `Retention` says that they are."""
    standing = [row for row in rows if not row.gone]
    covering = [
        row
        for row in standing
        if row.purpose == purpose and row.starts and row.starts <= collected and (not row.ends or collected < row.ends)
    ]
    without = [row for row in standing if row.purpose == NO_PURPOSE]
    row = max(covering, key=lambda one: (one.starts, one.version)) if covering else without[0] if without else None
    if row is None or row.keep is None:
        return row.keep_until if row else None
    until = add_duration(collected, row.keep)
    return until if row.keep_until is None else min(until, row.keep_until)


@settings(max_examples=HISTORIES, deadline=None)
@forall(history=histories())
def test_the_rows_say_of_every_item_what_the_domain_says(history: History) -> None:
    record = history.record
    rows = list(retention(record, {entry.version: entry.version for entry in history.entries}))
    for purpose in PURPOSES:
        consent = consent_of(record, purpose)
        for collected in map(moment, TICKS):
            until = keep_until(consent, consent.basis_at(collected), collected)
            if record.erased is not None and until is not None:
                until = min(until, record.erased)
            if record.erased is None or until is not None:
                assert kept_by(rows, purpose, collected) == until
    for row in rows:
        if row.gone_by is not None and row.ends is not None and not row.gone:
            covered = [one for one in map(moment, TICKS) if row.starts and row.starts <= one < row.ends]
            assert all((kept_by([row], row.purpose, one) or one) <= row.gone_by for one in covered)
