"""A person's consent, cut where the answer about an item changes with the time it was collected.

Within one span every item has the same basis, or the same reason to have none, and the same plan. So whoever holds a
person's spans judges an item by one look-up, without their entries and without the terms. The gate cuts the same way,
in SQL; here each span is what the domain's own code says at its beginning.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from ledger.domain.consent import TOLERANCE, Consent, GrantedInterval, Quality, Record, consent_of
from ledger.domain.eligibility import Item, Reason, why_not_covered
from ledger.domain.retention import terms_of
from ledger.domain.times import add_duration, later


class Rules(Struct, frozen=True, gc=False):
    """What the terms of a grant ask of an item."""

    plans: tuple[str, ...]
    #: Of the one purpose; none where these terms do not name it.
    kinds: tuple[str, ...]
    when_on: str


class Span(Struct, frozen=True, gc=False, omit_defaults=True):
    """A span of time; a grant covers it, by the `rules` of its terms, or `uncovered` says why none does."""

    uncovered: Reason | None = None
    basis: int | None = None
    quality: Quality | None = None
    terms: str | None = None
    rules: Rules | None = None
    #: Under `future-runs`: from when on a run may no longer start, and until when what was collected may be kept.
    ends: datetime | None = None
    kept_until: datetime | None = None
    #: That of an item which names none.
    plan: str | None = None


class PurposeSpans(Struct, frozen=True, gc=False):
    """The spans of one purpose: the first reaches back to all beginning, each other starts at one of `starts`."""

    purpose: str
    starts: tuple[datetime, ...]
    spans: tuple[Span, ...]

    def at(self, moment: datetime) -> Span:
        return self.spans[bisect_right(self.starts, moment)]


class Standing(Struct, frozen=True, gc=False):
    """All that a verdict asks of one person; a purpose that they never decided on has no spans."""

    erased: bool
    #: Whether any terms were shown.
    shown: bool
    #: How long what no grant covers is kept; none where no terms say so.
    when_off: str | None
    purposes: tuple[PurposeSpans, ...]


NO_TERMS_SHOWN = Span(uncovered="no-terms-shown")
NO_DECISION = Span(uncovered="no-decision")
#: For verdicts that come before all else of a person.
NO_SPAN = Span()


def standing_of(record: Record) -> Standing:
    """The standing that a record makes; of somebody erased nothing but that."""
    if record.erased is not None:
        return Standing(erased=True, shown=False, when_off=None, purposes=())
    last = record.last_terms()
    return Standing(
        erased=False,
        shown=bool(record.shown),
        when_off=last.retention.when_off if last else None,
        purposes=tuple(
            _spans_of(consent_of(record, purpose))
            for purpose in sorted({decision.purpose for decision in record.decisions})
        ),
    )


def plan_changes(record: Record) -> list[tuple[datetime, int, str]]:
    """The plans that `Record.plan_at` may answer, each from when on, without those that change nothing."""
    changes: list[tuple[datetime, int, str]] = []
    for recorded, version, plan in sorted(record.plans):
        if not changes or changes[-1][2] != plan:
            changes.append((recorded, version, plan))
    return changes


def judge_standing(
    standing: Standing | None, purpose: str, item: Item, run_started: datetime, now: datetime
) -> tuple[Reason, Span, datetime | None]:
    """What `judge_item` says, by a person's standing; none: nobody of that name. Reason, span, and keep until."""
    if standing is None:
        return "unknown-subject", NO_SPAN, None
    if standing.erased:
        return "erased", NO_SPAN, None
    span = NO_DECISION if standing.shown else NO_TERMS_SHOWN
    for one in standing.purposes:
        if one.purpose == purpose:
            span = one.at(item.collected)
            break
    kept = _keep_until(standing, span, item.collected)
    if item.exclude:
        return "item-excluded", span, kept
    if item.collected > later(now, TOLERANCE):
        return "collected-in-future", span, kept
    return _reason(span, item, run_started, kept), span, kept


def _reason(span: Span, item: Item, run_started: datetime, kept: datetime | None) -> Reason:
    if span.rules is None:
        return span.uncovered or "no-decision"
    if (span.plan if item.plan is None else item.plan) not in span.rules.plans:
        return "plan-not-covered"
    if item.kind not in span.rules.kinds:
        return "kind-not-covered"
    if span.ends is not None and span.ends <= run_started:
        return "withdrawn-before-run"
    if kept is not None and kept < run_started:
        return "retention-expired"
    return "granted"


def _keep_until(standing: Standing, span: Span, collected: datetime) -> datetime | None:
    if span.rules is None:
        return None if standing.when_off is None else add_duration(collected, standing.when_off)
    until = add_duration(collected, span.rules.when_on)
    return until if span.kept_until is None else min(until, span.kept_until)


def _spans_of(consent: Consent) -> PurposeSpans:
    starts: list[datetime] = []
    spans = [Span(uncovered="collected-before-grant")]
    for moment in _cuts(consent):
        span = _span_from(consent, moment)
        if span != spans[-1]:
            starts.append(moment)
            spans.append(span)
    return PurposeSpans(consent.purpose, tuple(starts), tuple(spans))


def _cuts(consent: Consent) -> list[datetime]:
    """The moments at which anything that an answer is made of may change, in order."""

    def all_of_them() -> Iterator[datetime]:
        for interval in (*consent.intervals, *consent.denied_at_accept):
            yield interval.start
            if interval.end is not None:
                yield interval.end
        yield from (withdrawal.start for withdrawal in consent.withdrawals)
        yield from (recorded for recorded, _, _ in plan_changes(consent.record))

    return sorted(set(all_of_them()))


def _span_from(consent: Consent, moment: datetime) -> Span:
    basis = consent.basis_at(moment)
    if basis is None:
        return Span(uncovered=why_not_covered(consent, moment)[0])
    return _covered(consent, basis, consent.plan_at(moment))


def _covered(consent: Consent, basis: GrantedInterval, plan: str | None) -> Span:
    terms = terms_of(consent, basis)
    purpose = terms.purpose(consent.purpose)
    # Under `future-data` the end of a grant is where its spans end, and nothing else.
    ends = basis.end if terms.withdrawal == "future-runs" else None
    return Span(
        basis=basis.grant.version,
        quality=basis.grant.quality,
        terms=terms.version,
        rules=Rules(tuple(terms.plans), tuple(purpose.data) if purpose else (), terms.retention.when_on),
        ends=ends,
        kept_until=None if ends is None else add_duration(ends, terms.retention.when_off),
        plan=plan,
    )
