"""`adoption`: what a row says of somebody's first meeting with terms, and what the days add up to."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from statistics import median
from typing import Any

import pytest

from ledger.application import ConsentLedger
from ledger.domain.consent import record_of
from ledger.errors import Unavailable
from ledger.projections.adoption import ADOPTION, Adoption, AdoptionDay, adoption, per_day
from ledger.projections.runner import Runner
from tests.domain import given
from tests.domain.given import ERASED, STREAM, TRAINING, V1, accepted, at, shown, toggled
from tests.projections.population import Population, rows_from_log

OTHER = given.terms("v2")


def row(position: int, began: str, *said: str, seconds: float | None = None, **more: Any) -> Adoption:
    """A row under the shipped terms, of which `said` is true."""
    flags = ("shown", "accepted", "accepted_on", "accepted_untouched", "turned_off_later")
    usual: dict[str, Any] = {"terms": V1, "plan": "pro", "surface": "pop-up"} | {flag: flag in said for flag in flags}
    return Adoption(stream=STREAM, position=position, began=at(began), decide_seconds=seconds, **usual | more)


SHOWN: given.Given = (shown(), "3")
ACCEPT: tuple[given.Given, ...] = (SHOWN, (accepted(), "3 10:01"))
TAKEN = ("shown", "accepted", "accepted_on", "accepted_untouched")
ROWS: dict[str, tuple[tuple[given.Given, ...], list[Adoption]]] = {
    "shown, and nothing more": ((SHOWN,), [row(10, "3", "shown")]),
    "to be shown the same again is no news": ((SHOWN, (shown(plan="max"), "4")), [row(10, "3", "shown")]),
    "accepted untouched": (ACCEPT, [row(20, "3", *TAKEN, seconds=60)]),
    "accepted and operated": (
        (SHOWN, (accepted(touched=(TRAINING,)), "4")),
        [row(20, "3", "shown", "accepted", "accepted_on", seconds=86_400)],
    ),
    "accepted with off is no default that nobody touched": (
        (SHOWN, (accepted(toggles={TRAINING: "off"}), "3 10:01")),
        [row(20, "3", "shown", "accepted", seconds=60)],
    ),
    "accepted again: the first one counts": ((*ACCEPT, (accepted(), "9")), [row(20, "3", *TAKEN, seconds=60)]),
    "turned off later": ((*ACCEPT, (toggled("off"), "5")), [row(30, "3", *TAKEN, "turned_off_later", seconds=60)]),
    "and on again: it was turned off all the same": (
        (*ACCEPT, (toggled("off"), "5"), (toggled("on"), "6")),
        [row(30, "3", *TAKEN, "turned_off_later", seconds=60)],
    ),
    "off before the accept": (
        (SHOWN, (toggled("off"), "3 10:00:30"), (accepted(), "3 10:01")),
        [row(30, "3", *TAKEN, seconds=60)],
    ),
    "times are the ledger's, whatever a device says": (
        (SHOWN, (accepted(), "2", "3 10:01")),
        [row(20, "3", *TAKEN, seconds=60)],
    ),
    "accepted without a notice took no time": (((accepted(), "3"), (shown(), "4")), [row(20, "3", *TAKEN)]),
    "each version of the terms for itself": (
        (*ACCEPT, (shown(OTHER, plan="max"), "5")),
        [row(20, "3", *TAKEN, seconds=60), row(30, "5", "shown", terms="v2", plan="max")],
    ),
    "an off in newly accepted terms is one": (
        (*ACCEPT, (accepted(OTHER, toggles={TRAINING: "off"}), "5")),
        [row(30, "3", *TAKEN, "turned_off_later", seconds=60), row(30, "5", "accepted", terms="v2")],
    ),
    "erased": ((*ACCEPT, (ERASED, "5")), [row(30, "3", *TAKEN, seconds=60, gone=True)]),
    "a toggle that nobody was asked about is no adoption": (((toggled("off"), "3"),), []),
}


@pytest.mark.parametrize(("events", "expected"), ROWS.values(), ids=list(ROWS))
def test_rows(events: tuple[given.Given, ...], expected: list[Adoption]) -> None:
    entries = given.stream(*events)
    record = record_of(STREAM, entries, given.catalogue(given.SHIPPED, OTHER))
    assert list(adoption(record, {entry.version: 10 * entry.version for entry in entries})) == expected


def counted(rows: list[Adoption], since: date, until: date) -> list[AdoptionDay]:
    """The days in the plainest way."""
    groups: dict[tuple[date, str, str], list[Adoption]] = defaultdict(list)
    for one in rows:
        if not one.gone and since <= one.began.date() < until:
            groups[one.began.date(), one.plan, one.surface].append(one)
    return [
        AdoptionDay(
            day=day,
            plan=plan,
            surface=surface,
            shown=sum(one.shown for one in group),
            accepted=sum(one.accepted for one in group),
            accepted_on=sum(one.accepted_on for one in group),
            accepted_untouched=sum(one.accepted_untouched for one in group),
            turned_off_later=sum(one.turned_off_later for one in group),
            decide_seconds_median=median(seconds) if seconds else None,
        )
        for (day, plan, surface), group in sorted(groups.items())
        for seconds in [[one.decide_seconds for one in group if one.decide_seconds is not None]]
    ]


def test_days_are_what_the_rows_add_up_to_in_utc_whatever_the_session_says(
    ledger: ConsentLedger, runner: Runner
) -> None:
    people = Population(ledger, seed=11)
    for _ in range(4):
        people.grow(8)
        people.pass_time(timedelta(hours=9, minutes=59))
    runner.catch_up(ADOPTION)
    found = rows_from_log(ADOPTION, ledger.place, ledger.recorder.head()).values()
    rows = [one for one in found if isinstance(one, Adoption)]
    days = sorted({one.began.date() for one in rows})
    assert len(days) > 1
    runner.connection.execute("SET timezone = 'Pacific/Auckland'")
    for since, until in ((date(1970, 1, 1), date(9999, 12, 31)), (days[0], days[1]), (days[1], days[1])):
        assert per_day(runner.connection, since, until) == counted(rows, since, until)


def test_without_tables_it_says_what_to_do(ledger: ConsentLedger, runner: Runner) -> None:
    with pytest.raises(Unavailable, match="run `consent projections rebuild adoption`"):
        per_day(runner.connection, date(2025, 9, 1), date(2025, 9, 2))
