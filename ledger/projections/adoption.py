"""`adoption`: what became of each showing of terms, by plan and surface; and the sums of it for each day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec import Struct

from ledger.domain.consent import Record
from ledger.domain.events import Accepted, TermsShown
from ledger.projections.projection import CONSENT_EVENTS, Positions, Projection, Row

if TYPE_CHECKING:
    from ledger.store.database import Connection


class Adoption(Row, frozen=True, kw_only=True):
    """One person and one version of the terms; gone when they were erased, and then no longer counted.

    All times are `recorded_at`: a device's clock may be wrong, and two devices' differ.
    """

    terms: str
    #: When these terms were first shown to the person, or accepted without that; plan and surface are of then.
    began: datetime
    plan: str
    surface: str
    shown: bool
    accepted: bool
    #: Some toggle stood On at the first Accept; one of those was not touched; one of those was set Off after it.
    accepted_on: bool
    accepted_untouched: bool
    turned_off_later: bool
    #: From the first showing to the first Accept after it.
    decide_seconds: float | None


class AdoptionDay(Struct, frozen=True, kw_only=True):
    """How many people first met some terms on a day (UTC), under a plan and on a surface, and what they did then or
    later. Somebody counts once for each version of the terms."""

    day: date
    plan: str
    surface: str
    shown: int
    accepted: int
    accepted_on: int
    accepted_untouched: int
    turned_off_later: int
    decide_seconds_median: float | None


def adoption(record: Record, positions: Positions) -> Iterator[Adoption]:
    """One row for each version of the terms that the person was shown or accepted."""
    # Backwards, so that the first of each version of the terms is the one that stays.
    first_shown = {event.terms: (version, event) for version, event in reversed(record.shown)}
    first_accepted = {event.terms: (version, event) for version, event in reversed(record.accepted)}
    for terms in sorted(first_shown.keys() | first_accepted.keys()):
        yield _row(record, positions, first_shown.get(terms), first_accepted.get(terms))


def _row(
    record: Record,
    positions: Positions,
    shown: tuple[int, TermsShown] | None,
    accepted: tuple[int, Accepted] | None,
) -> Adoption:
    recorded = {version: moment for moment, version, _ in record.plans}
    began, event = min((one for one in (shown, accepted) if one), key=itemgetter(0))
    on: set[str] = set()
    untouched = False
    turned_off = 0
    seconds = None
    if accepted:
        on = {purpose for purpose, to in accepted[1].toggles.items() if to == "on"}
        untouched = not on <= set(accepted[1].touched)
        turned_off = _turned_off(record, accepted[0], on)
        if began < accepted[0]:
            seconds = (recorded[accepted[0]] - recorded[began]).total_seconds()
    newest = max(shown[0] if shown else 0, accepted[0] if accepted else 0, turned_off)
    return Adoption(
        stream=record.stream,
        position=positions[newest if record.erased is None else record.version],
        gone=record.erased is not None,
        terms=event.terms,
        began=recorded[began],
        plan=event.plan,
        surface=event.surface,
        shown=shown is not None,
        accepted=accepted is not None,
        accepted_on=bool(on),
        accepted_untouched=untouched,
        turned_off_later=bool(turned_off),
        decide_seconds=seconds,
    )


def _turned_off(record: Record, accepted: int, on: set[str]) -> int:
    """The version of the first Off after an Accept of what stood On there; 0 where there is none."""
    offs = (decision.version for decision in record.decisions if decision.to == "off" and decision.purpose in on)
    return next((version for version in offs if version > accepted), 0)


ADOPTION = Projection(
    name="adoption",
    row=Adoption,
    key=("stream", "terms"),
    events=CONSENT_EVENTS,
    rows=adoption,
)


def per_day(connection: Connection, since: date, until: date) -> list[AdoptionDay]:
    """The days from `since` to before `until` that have anything, by day, plan and surface; as far as the projection
    is. Numbers of people, and nobody's name or key."""
    from ledger.projections.tables import composed, unusable_as_error  # else every import of a row loads the database

    with unusable_as_error(ADOPTION, "the ledger"):
        found = connection.execute(
            composed("adoption_per_day", ADOPTION, ADOPTION.tables), {"since": since, "until": until}
        ).fetchall()
    return [AdoptionDay(**dict(zip(AdoptionDay.__struct_fields__, row, strict=True))) for row in found]
