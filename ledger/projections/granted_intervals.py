"""`granted-intervals`: the span of time that each grant covers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ledger.domain.consent import Quality, Record, consent_of
from ledger.projections.projection import CONSENT_EVENTS, Positions, Projection, Row


class GrantedIntervalRow(Row, frozen=True, kw_only=True):
    """`[starts, ends)`, open where `ends` is none; gone where it can never cover anything again."""

    purpose: str
    #: The grant, by its version in the stream.
    version: int
    starts: datetime
    ends: datetime | None
    quality: Quality
    terms: str | None


def granted_intervals(record: Record, positions: Positions) -> Iterator[GrantedIntervalRow]:
    """One row for each grant; an On that grants nothing (`Decision.denied`) has none."""
    for purpose in dict.fromkeys(decision.purpose for decision in record.decisions):
        for interval in consent_of(record, purpose).intervals:
            empty = interval.end is not None and interval.end <= interval.start
            # Of two withdrawals with one start the first ends the interval, so it is the one that made the row so.
            newest = max(interval.grant.version, interval.ended_by or 0)
            erased = record.erased is not None
            yield GrantedIntervalRow(
                stream=record.stream,
                position=positions[record.version if erased and not empty else newest],
                gone=empty or erased,
                purpose=purpose,
                version=interval.grant.version,
                starts=interval.start,
                ends=interval.end,
                quality=interval.grant.quality,
                terms=interval.grant.terms,
            )


GRANTED_INTERVALS = Projection(
    name="granted-intervals",
    row=GrantedIntervalRow,
    key=("stream", "purpose", "version"),
    events=CONSENT_EVENTS,
    rows=granted_intervals,
)
