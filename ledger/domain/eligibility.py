"""May this item be used by that run? The verdict, with its reason (design, section 4, the table of reasons)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ledger.domain.consent import TOLERANCE, Consent, GrantedInterval, Quality, Record, consent_of
from ledger.domain.retention import keep_until, terms_of
from ledger.domain.terms import Terms
from ledger.domain.times import format_time, later

Reason = Literal[
    "item-unreadable",
    "item-ambiguous",
    "unknown-subject",
    "erased",
    "item-excluded",
    "collected-in-future",
    "no-terms-shown",
    "no-decision",
    "default-not-accepted",
    "collected-while-off",
    "refused-at-accept",
    "collected-before-grant",
    "plan-not-covered",
    "kind-not-covered",
    "withdrawn-before-run",
    "retention-expired",
    "granted",
    "changed-during-run",
]


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of a person's data; `exclude` says why it must never be used, where it must not."""

    collected: datetime
    kind: str
    plan: str | None = None
    exclude: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer. `basis` is the grant (a version of the stream) that covers the item, also of some refusals."""

    reason: Reason
    basis: int | None = None
    quality: Quality | None = None
    terms: str | None = None
    keep_until: datetime | None = None
    detail: str | None = None
    #: The grant, and the withdrawal that ends it.
    rests_on: tuple[int, ...] = ()

    @property
    def permitted(self) -> bool:
        return self.reason == "granted"


def judge_item(record: Record | None, purpose: str, item: Item, run_started: datetime, now: datetime) -> Verdict:
    """The verdict on `item` for a run started at `run_started`, judged at `now`; no record: nobody of that name."""
    if record is None or record.version == 0:
        return Verdict("unknown-subject")
    return judge_with(consent_of(record, purpose), item, run_started, now)


def judge_with(consent: Consent, item: Item, run_started: datetime, now: datetime) -> Verdict:
    """`judge_item` for many items of one person: their consent is derived once."""
    if consent.record.erased is not None:
        return erased_by(consent.record.erased)
    return judge_unerased(consent, item, run_started, now)


def erased_by(erased: datetime) -> Verdict:
    """The verdict on whatever there was of somebody erased."""
    return Verdict("erased", detail=f"erased {format_time(erased)}")


def judge_unerased(consent: Consent, item: Item, run_started: datetime, now: datetime) -> Verdict:
    """`judge_with` of somebody who is not erased, or was only after what is judged."""
    basis = consent.basis_at(item.collected)
    if item.exclude:
        return _verdict(consent, item, basis, "item-excluded", item.exclude)
    if item.collected > later(now, TOLERANCE):
        return _verdict(consent, item, basis, "collected-in-future", f"judged {format_time(now)}")
    if not consent.decisions:
        return _undecided(consent, item, now)
    if basis is None:
        return _verdict(consent, item, None, *why_not_covered(consent, item.collected))
    return _verdict(consent, item, basis, *_under_its_terms(consent, basis, item, run_started))


def _verdict(
    consent: Consent, item: Item, basis: GrantedInterval | None, reason: Reason, detail: str | None = None
) -> Verdict:
    return Verdict(
        reason=reason,
        basis=basis.grant.version if basis else None,
        quality=basis.grant.quality if basis else None,
        terms=basis.grant.terms if basis else None,
        keep_until=keep_until(consent, basis, item.collected),
        detail=detail,
        rests_on=basis.rests_on if basis else (),
    )


def _undecided(consent: Consent, item: Item, now: datetime) -> Verdict:
    if not consent.record.shown:
        return _verdict(consent, item, None, "no-terms-shown")
    shown = consent.record.shown[-1][1].terms
    deadline = consent.record.catalogue.deadline_of(shown)
    when = "after" if deadline is not None and now >= deadline else "before"
    day = f" of {deadline.date().isoformat()}" if deadline else ""
    return _verdict(consent, item, None, "no-decision", f"shown {shown}, judged {when} the deadline{day}")


def why_not_covered(consent: Consent, collected: datetime) -> tuple[Reason, str | None]:
    """The reason where no grant covers the item, in the order of the design's table."""
    denied = consent.denied_at(collected)
    if denied is not None:
        return "default-not-accepted", denied.grant.denied
    if _by_then(consent.first.grant, collected):
        return "collected-while-off", None
    if _by_then(consent.first.refusal, collected):
        return "refused-at-accept", None
    if _by_then(consent.first.withdrawal, collected):
        return "collected-while-off", None
    return "collected-before-grant", None


def _by_then(first: datetime | None, collected: datetime) -> bool:
    return first is not None and first <= collected


def _under_its_terms(
    consent: Consent, basis: GrantedInterval, item: Item, run_started: datetime
) -> tuple[Reason, str | None]:
    """What the terms of the grant say, once it covers the item."""
    terms = terms_of(consent, basis)
    plan = item.plan if item.plan is not None else consent.plan_at(item.collected)
    if plan not in terms.plans:
        return "plan-not-covered", plan
    if not _covers_kind(terms, consent.purpose, item.kind):
        return "kind-not-covered", item.kind
    if not holds_at_run(terms, basis, item.collected, run_started):
        return "withdrawn-before-run", None
    kept = keep_until(consent, basis, item.collected)
    if kept is not None and kept < run_started:
        return "retention-expired", None
    return "granted", None


def _covers_kind(terms: Terms, purpose_id: str, kind: str) -> bool:
    purpose = terms.purpose(purpose_id)
    return purpose is not None and kind in purpose.data


def holds_at_run(terms: Terms, basis: GrantedInterval, collected: datetime, run_started: datetime) -> bool:
    """Whether the grant still holds for the run: under `future-runs` it must cover `(c, max(c, s))`."""
    if terms.withdrawal == "future-data":
        return True
    return basis.covers(collected, max(collected, run_started))


def kinds_not_covered(terms: Terms, purpose_id: str, kinds: Sequence[str]) -> list[str]:
    """Of the kinds of a use, those that its terms do not allow for the purpose."""
    return [kind for kind in kinds if not _covers_kind(terms, purpose_id, kind)]
