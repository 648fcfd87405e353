"""`verdict-spans`: all that a verdict asks of a person, in one row, for whoever answers without asking the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ledger.domain.consent import Record
from ledger.domain.spans import PurposeSpans, Standing, plan_changes, standing_of
from ledger.projections.projection import CONSENT_EVENTS, Positions, Projection, Row


class VerdictSpans(Row, frozen=True, kw_only=True):
    """One person; gone when they were erased. A row is of one moment of the log, and needs no other, nor the terms."""

    shown: bool
    when_off: str | None
    #: `Standing.purposes` as JSON.
    purposes: list[Any]


def verdict_spans(record: Record, positions: Positions) -> Iterator[VerdictSpans]:
    """One row for whoever was shown anything, or decided on anything."""
    newest = _newest(record)
    if newest:
        standing = standing_of(record)
        yield VerdictSpans(
            stream=record.stream,
            position=positions[newest],
            gone=standing.erased,
            shown=standing.shown,
            when_off=standing.when_off,
            purposes=msgspec.json.decode(msgspec.json.encode(standing.purposes)),
        )


def standing_in(row: Mapping[str, Any]) -> Standing:
    """The standing that a row holds; `msgspec.ValidationError` where it is no such row. Inverse of `verdict_spans`."""
    return Standing(
        erased=row["gone"],
        shown=row["shown"],
        when_off=row["when_off"],
        purposes=msgspec.convert(row["purposes"], tuple[PurposeSpans, ...]),
    )


def _newest(record: Record) -> int:
    """The newest version that changed the row; 0 where there is none."""
    if record.erased is not None:
        return record.version
    decided = max((decision.version for decision in record.decisions), default=0)
    plan = max((version for _, version, _ in plan_changes(record)), default=0)
    return max(decided, plan, _shown_since(record))


def _shown_since(record: Record) -> int:
    """Since when it is so: to be shown the same again is no news, nor, after an Accept, to be shown anything."""
    if record.accepted and record.shown:
        return record.shown[0][0]
    since, terms = 0, None
    for version, shown in record.shown:
        if shown.terms != terms:
            since, terms = version, shown.terms
    return since


VERDICT_SPANS = Projection(
    name="verdict-spans",
    row=VerdictSpans,
    key=("stream",),
    events=CONSENT_EVENTS,
    rows=verdict_spans,
)
