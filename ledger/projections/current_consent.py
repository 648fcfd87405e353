"""`current-consent`: for each person and purpose, how the toggle stands after all decisions there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ledger.domain.consent import Consent, Decision, Quality, Record, consent_of
from ledger.domain.terms import Toggle
from ledger.projections.projection import CONSENT_EVENTS, Positions, Projection, Row


class CurrentConsent(Row, frozen=True, kw_only=True):
    """On where some grant has no end. No clock is asked, so `since` may lie ahead: then it counts from there."""

    purpose: str
    toggle: Toggle
    #: On: where the grant starts. Off: where the last time it was on ended, else the first withdrawal; none where
    #: nothing was ever granted or withdrawn.
    since: datetime | None
    #: The version of the grant, and how it was given; neither where the toggle is off.
    basis: int | None
    quality: Quality | None
    #: The terms that the grant, or else the withdrawal, belongs to.
    terms: str | None
    #: The newest plan that an entry of the person names.
    plan: str | None


def current_consent(record: Record, positions: Positions) -> Iterator[CurrentConsent]:
    """One row for each purpose that the person ever decided on."""
    plan, plan_from = _newest_plan(record)
    erased = record.version if record.erased is not None else 0
    for purpose in dict.fromkeys(decision.purpose for decision in record.decisions):
        consent = consent_of(record, purpose)
        decision, since = _what_stands(consent)
        is_on = decision is not None and decision.to == "on"
        newest = max(consent.decisions[-1].version, plan_from, erased)
        yield CurrentConsent(
            stream=record.stream,
            position=positions[newest],
            gone=bool(erased),
            purpose=purpose,
            toggle="on" if is_on else "off",
            since=since,
            basis=decision.version if decision and is_on else None,
            quality=decision.quality if decision and is_on else None,
            terms=decision.terms if decision else None,
            plan=plan,
        )


def _newest_plan(record: Record) -> tuple[str | None, int]:
    """The plan, and the version that it is so since: to be shown terms again is no news."""
    plan, since = None, 0
    for _, version, named in record.plans:
        if named != plan:
            plan, since = named, version
    return plan, since


def _what_stands(consent: Consent) -> tuple[Decision | None, datetime | None]:
    """The decision by which the toggle is what it is, and since when."""
    open_intervals = [interval for interval in consent.intervals if interval.end is None]
    if open_intervals:
        basis = max(open_intervals, key=lambda interval: (interval.start, interval.grant.version))
        return basis.grant, basis.start
    ended = [
        (interval.end, interval.ended_by)
        for interval in consent.intervals
        if interval.end is not None and interval.ended_by is not None and interval.start < interval.end
    ]
    if ended:
        since, version = max(ended)
        return next(withdrawal for withdrawal in consent.withdrawals if withdrawal.version == version), since
    first = min(consent.withdrawals, key=lambda withdrawal: (withdrawal.start, withdrawal.version), default=None)
    return first, first.start if first else None


CURRENT_CONSENT = Projection(
    name="current-consent",
    row=CurrentConsent,
    key=("stream", "purpose"),
    events=CONSENT_EVENTS,
    rows=current_consent,
)
