"""Until when an item may be kept (design, section 4)."""

from __future__ import annotations

from datetime import datetime

from ledger.domain.consent import Consent, GrantedInterval
from ledger.domain.terms import Terms
from ledger.domain.times import add_duration


def keep_until(consent: Consent, basis: GrantedInterval | None, collected: datetime) -> datetime | None:
    """The moment up to which an item collected then may be kept; None where no terms were ever shown."""
    terms = consent.record.last_terms() if basis is None else terms_of(consent, basis)
    if terms is None:
        return None
    if basis is None:
        return add_duration(collected, terms.retention.when_off)
    until = add_duration(collected, terms.retention.when_on)
    if terms.withdrawal == "future-runs" and basis.end is not None:
        # The basis covers the item, so its end is the first withdrawal after it that the basis does not beat.
        until = min(until, add_duration(basis.end, terms.retention.when_off))
    return until


def terms_of(consent: Consent, basis: GrantedInterval) -> Terms:
    """The terms that a grant was given under; a grant has some, else it is none."""
    terms = consent.record.catalogue.get(basis.grant.terms or "")
    assert terms is not None  # noqa: S101 - the fold denies an On without published terms
    return terms
