"""`retention`: what must be gone by when, for whoever deletes data without asking the ledger about each item."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ledger.domain.consent import Consent, GrantedInterval, Record, consent_of
from ledger.domain.retention import terms_of
from ledger.domain.times import add_duration
from ledger.projections.projection import CONSENT_EVENTS, Positions, Projection, Row

#: The row of what no grant covers has no purpose and no grant: it holds for all purposes.
NO_PURPOSE, NO_GRANT = "", 0


class Retention(Row, frozen=True, kw_only=True):
    """How long what was collected in a span of time may be kept: `keep` from its collection, and never beyond
    `keep_until`. An item goes by the rows of its purpose that cover it, and of those by the one that starts last (the
    higher version on a tie); by the row without purpose where none does. Of somebody erased all must be gone.
    """

    purpose: str
    #: The grant, by its version in the stream.
    version: int
    #: `[starts, ends)`, as the grant covers it; the row of what no grant covers has neither.
    starts: datetime | None
    ends: datetime | None
    terms: str | None
    #: As the terms write it; none where they are not known, so that nothing may be kept on them.
    keep: str | None
    #: Under `future-runs`, since a withdrawal; or since the erasure.
    keep_until: datetime | None
    #: By when all that was collected in the span must be gone; none where more may still be collected.
    gone_by: datetime | None


def retention(record: Record, positions: Positions) -> Iterator[Retention]:
    """One row for each grant, and one for what none of them covers, since there are terms or an erasure."""
    for purpose in dict.fromkeys(decision.purpose for decision in record.decisions):
        consent = consent_of(record, purpose)
        for interval in consent.intervals:
            yield _granted(consent, interval, positions)
    if record.shown or record.accepted or record.erased is not None:
        yield _not_granted(record, positions)


def _granted(consent: Consent, interval: GrantedInterval, positions: Positions) -> Retention:
    record, rules = consent.record, terms_of(consent, interval)
    ends, when_on = interval.end, rules.retention.when_on
    is_empty = ends is not None and ends <= interval.start
    newest = max(interval.grant.version, interval.ended_by or 0)
    keep_until = gone_by = None
    if ends is not None:
        gone_by = add_duration(ends, when_on)
        if rules.withdrawal == "future-runs":
            keep_until = add_duration(ends, rules.retention.when_off)
            gone_by = min(gone_by, keep_until)
    if record.erased is not None and not is_empty:
        # An erasure brings it down, and never up again after a withdrawal.
        newest = record.version
        keep_until, gone_by = (
            min(keep_until or record.erased, record.erased),
            min(gone_by or record.erased, record.erased),
        )
    return Retention(
        stream=record.stream,
        position=positions[newest],
        gone=is_empty,
        purpose=consent.purpose,
        version=interval.grant.version,
        starts=interval.start,
        ends=ends,
        terms=rules.version,
        keep=when_on,
        keep_until=keep_until,
        gone_by=gone_by,
    )


def _not_granted(record: Record, positions: Positions) -> Retention:
    last = record.last_terms()
    newest = record.version if record.erased is not None else (record.accepted or record.shown)[-1][0]
    return Retention(
        stream=record.stream,
        position=positions[newest],
        purpose=NO_PURPOSE,
        version=NO_GRANT,
        starts=None,
        ends=None,
        terms=last.version if last else None,
        keep=last.retention.when_off if last else None,
        keep_until=record.erased,
        gone_by=record.erased,
    )


RETENTION = Projection(
    name="retention",
    row=Retention,
    key=("stream", "purpose", "version"),
    events=CONSENT_EVENTS,
    rows=retention,
)
