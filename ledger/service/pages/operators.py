"""For operators: adoption, the quality of consent, uses and refusals, and how far everything is behind the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from ledger.application import ConsentLedger
from ledger.errors import ConsentLedgerError
from ledger.projections.adoption import AdoptionDay, per_day
from ledger.projections.training_uses import uses_per_day
from ledger.service.metrics import Labels
from ledger.service.operations import lags
from ledger.service.pages.plots import Plot, Series, over_days, over_names
from ledger.service.pages.routing import PageRoute, rendered
from ledger.service.pages.sessions import Session, no_session, session_of
from ledger.service.serving import Public, TheService

router = APIRouter(route_class=PageRoute, include_in_schema=False)

#: A deadline like that of the shipped terms is a month away.
DAYS = 31


@dataclass(frozen=True, slots=True)
class Missing:
    """What cannot be plotted now."""

    id: str
    title: str
    why: str = "the tables of it cannot be read now; see consent projections list"


@router.get("/pages/operators")
async def operators(_: Public, service: TheService, session: Annotated[Session, Depends(session_of)]) -> Response:
    """Numbers of people and entries, and nobody's name, id or key."""
    if session.opened.page != "operators":
        raise no_session()
    verdicts = sorted(service.metrics.verdicts.items())
    return await service.quick.run(_page, service.ledger, verdicts)


def _page(ledger: ConsentLedger, verdicts: Sequence[tuple[str, int]]) -> Response:
    until = ledger.clock.now().date() + timedelta(days=1)
    days = [until - timedelta(days=DAYS - number) for number in range(DAYS)]
    plots = [
        *_tried(("adoption", "Adoption per day"), lambda: _adoption(ledger, days)),
        *_tried(("uses", "Items used per day"), lambda: [_uses(ledger, days)]),
        _verdicts(verdicts),
        *_tried(("lag", "Behind the log"), lambda: [_lags(ledger)]),
    ]
    return rendered("operators.html", plots=plots, since=days[0], until=days[-1])


def _tried(what: tuple[str, str], work: Callable[[], list[Plot]]) -> Sequence[Plot | Missing]:
    """What cannot be read takes nothing else along."""
    try:
        return work()
    except ConsentLedgerError:
        return [Missing(*what)]


def _adoption(ledger: ConsentLedger, days: Sequence[date]) -> list[Plot]:
    with ledger.connection() as connection:
        rows = per_day(connection, days[0], days[-1] + timedelta(days=1))

    def each_day(count: Callable[[AdoptionDay], int]) -> list[float]:
        return [float(sum(count(row) for row in rows if row.day == day)) for day in days]

    accepted = each_day(lambda row: row.accepted)
    open_ = each_day(lambda row: row.shown - min(row.shown, row.accepted))
    explicit = each_day(lambda row: row.accepted_on - row.accepted_untouched)
    untouched = each_day(lambda row: row.accepted_untouched)
    names = [f"{day:%d %b}" for day in days]
    return [
        over_days(
            "adoption",
            "Adoption per day",
            f"Of the people first shown terms on a day, those who accepted by now: {sum(accepted):g} of "
            f"{sum(accepted) + sum(open_):g}.",
            names,
            [Series("Accepted", "first", accepted), Series("Not yet", "quiet", open_)],
        ),
        over_days(
            "quality",
            "Explicit against untouched default",
            f"Of those who accepted with On, {sum(explicit):g} operated the toggle and {sum(untouched):g} did not.",
            names,
            [Series("Operated", "first", explicit), Series("Untouched", "second", untouched)],
        ),
        _time_to_decide(rows),
    ]


def _time_to_decide(rows: Sequence[AdoptionDay]) -> Plot:
    """Medians cannot be added, so each day, plan and surface has its own bar."""
    decided = [(row, row.decide_seconds_median) for row in rows if row.decide_seconds_median is not None]
    return over_names(
        "time",
        "Time to decide",
        "Median seconds from the first showing to Accept, for each day, plan and surface.",
        "Day, plan, surface",
        [f"{row.day:%d %b}, {row.plan}, {row.surface}" for row, _ in decided],
        [Series("Median, s", "third", [round(seconds, 1) for _, seconds in decided])],
    )


def _uses(ledger: ConsentLedger, days: Sequence[date]) -> Plot:
    with ledger.connection() as connection:
        by_day = {row.day: row for row in uses_per_day(connection, days[0], days[-1] + timedelta(days=1))}
    items = [float(by_day[day].items) if day in by_day else 0.0 for day in days]
    return over_days(
        "uses",
        "Items used per day",
        f"{sum(items):g} items in {sum(row.uses for row in by_day.values())} recorded uses.",
        [f"{day:%d %b}" for day in days],
        [Series("Items", "first", items)],
    )


def _verdicts(counted: Sequence[tuple[str, int]]) -> Plot:
    return over_names(
        "verdicts",
        "Verdicts by reason",
        "What this process of the service answered to checks since it began; the gate writes its own refusals, with "
        "their reasons, beside each run.",
        "Reason",
        [reason for reason, _ in counted],
        [
            Series("Permitted", "first", [float(count) if reason == "granted" else 0.0 for reason, count in counted]),
            Series("Refused", "second", [0.0 if reason == "granted" else float(count) for reason, count in counted]),
        ],
    )


def _lags(ledger: ConsentLedger) -> Plot:
    gauges = lags(ledger)
    behind = {_label(labels): lag for labels, lag in gauges["consent_projection_lag"][1].items()}
    behind |= {_label(labels): lag for labels, lag in gauges["consent_subscription_lag"][1].items()}
    behind["checkpoint"] = gauges["consent_checkpoint_lag"][1][()]
    return over_names(
        "lag",
        "Behind the log",
        f"Entries that are not applied, or not covered by a checkpoint, yet; the log ends at position "
        f"{gauges['consent_log_position'][1][()]:g}.",
        "What",
        list(behind),
        [Series("Entries", "third", list(behind.values()))],
    )


def _label(labels: Labels) -> str:
    return ", ".join(value for _, value in labels)
