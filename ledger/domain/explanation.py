"""Which entries a verdict rests on: those that decided, and those that they in turn rest on."""

from __future__ import annotations

from ledger.domain.consent import Record, consent_of
from ledger.domain.eligibility import Item, Verdict


def rests_on(verdict: Verdict, record: Record, purpose: str, item: Item) -> tuple[int, ...]:
    """The versions, in order, of the entries that an auditor reads to follow `verdict`."""
    if verdict.reason == "erased":
        # Nothing is recorded after an erasure: it is the last.
        return (record.version,)
    begun = [] if verdict.basis is not None else _begun(record, purpose, item)
    return tuple(sorted({*verdict.rests_on, *begun, *_further(verdict, record, purpose, item)}))


def _begun(record: Record, purpose: str, item: Item) -> list[int]:
    """Where nothing covers the item, all that had begun by then: they say why it did not."""
    return [one.version for one in record.decisions if one.purpose == purpose and one.start <= item.collected]


def _further(verdict: Verdict, record: Record, purpose: str, item: Item) -> list[int]:
    match verdict.reason:
        case "no-decision":
            return [version for version, _ in record.shown]
        case "collected-before-grant":
            grants = [interval.grant for interval in consent_of(record, purpose).intervals]
            first = min(grants, key=lambda grant: (grant.start, grant.version), default=None)
            return [] if first is None else [first.version]
        case "plan-not-covered" if item.plan is None:
            known = [(recorded, version) for recorded, version, _ in record.plans if recorded <= item.collected]
            return [*_notice(verdict, record), *([max(known)[1]] if known else [])]
        case _:
            return _notice(verdict, record)


def _notice(verdict: Verdict, record: Record) -> list[int]:
    """What was shown last, of the terms of the basis, before it."""
    if verdict.basis is None:
        return []
    before = [version for version, shown in record.shown if version < verdict.basis and shown.terms == verdict.terms]
    return before[-1:]
