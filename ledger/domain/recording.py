"""What may be recorded about a person: `decide(record, request, now) -> events` (design, section 4, "Recording")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from ledger.domain.consent import Record, consent_of
from ledger.domain.entry import Imported
from ledger.domain.events import (
    Accepted,
    DataUsedForTraining,
    Event,
    SubjectErased,
    SubjectEvent,
    TermsShown,
    ToggleChanged,
)
from ledger.domain.terms import Terms, Toggles
from ledger.domain.times import format_time, parse_time
from ledger.errors import Refused
from ledger.errors import SubjectErased as AlreadyErased


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks to record. Without `occurred` it happened now; `source` marks an import."""

    event: SubjectEvent
    occurred: datetime | None = None
    recorded: datetime | None = None
    source: str | None = None
    evidence: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event decided on: an entry but for its place and its nonce."""

    event: Event
    occurred_at: str
    recorded_at: str
    imported: Imported | UnsetType = UNSET
    evidence: str | UnsetType = UNSET


def decide(record: Record, request: Request, now: datetime) -> list[NewEvent]:
    """The events that `request` adds to `record` at `now`, the ledger's clock; `Refused` says why there are none."""
    if record.erased is not None:
        raise AlreadyErased(
            f"expected a person who is not erased, found one erased {format_time(record.erased)}; "
            "nothing more is recorded about them"
        )
    event = _checked(record, request.event)
    return [stamped(event, request, record.recorded, now)]


def happening_now(event: Event, last: datetime | None, now: datetime) -> NewEvent:
    """An event in which no person acts: it occurs when it is recorded, never before `last` of its stream."""
    recorded_at = format_time(_not_before(now, last))
    return NewEvent(event=event, occurred_at=recorded_at, recorded_at=recorded_at)


def stamped(event: Event, request: Request, last: datetime | None, now: datetime) -> NewEvent:
    """`event` with its times: the ledger's for what happens now, the source's for an import; never before `last`."""
    recorded = _not_before(now, last)
    imported: Imported | UnsetType = UNSET
    if request.source is not None:
        recorded, imported = _import_times(request, request.source, last, now)
    return NewEvent(
        event=event,
        occurred_at=format_time(request.occurred or recorded),
        recorded_at=format_time(recorded),
        imported=imported,
        evidence=request.evidence,
    )


def _import_times(request: Request, source: str, last: datetime | None, now: datetime) -> tuple[datetime, Imported]:
    own = request.recorded or request.occurred
    if own is None:
        raise Refused("expected `recorded_at` or `occurred_at` on an import, found neither; add one")
    if own > now:
        raise Refused(
            f"expected an import recorded by now, {format_time(now)}, found {format_time(own)}; correct its time"
        )
    recorded = _not_before(own, last)
    moved = format_time(own) if recorded != own else UNSET
    # The ledger's clock was there once, if it stands at an earlier time now: the stream says so.
    return recorded, Imported(at=format_time(max(now, recorded)), source=source, recorded_at=moved)


def _not_before(moment: datetime, last: datetime | None) -> datetime:
    """`recorded_at` never falls within a stream."""
    return moment if last is None else max(moment, last)


def _checked(record: Record, event: SubjectEvent) -> SubjectEvent:
    match event:
        case TermsShown():
            return _checked_notice(record, event)
        case Accepted():
            return _checked_accept(record, event)
        case ToggleChanged():
            return _checked_toggle(record, event)
        case DataUsedForTraining():
            return _checked_use(record, event)
        case SubjectErased():
            return event


def _published(record: Record, version: str) -> Terms:
    terms = record.catalogue.get(version)
    if terms is None:
        raise Refused(f"expected published terms, found version {version!r}, which is not; publish it first")
    return terms


def _check_toggles(terms: Terms, toggles: Toggles) -> None:
    if toggles.keys() != set(terms.purpose_ids):
        raise Refused(
            f"expected a toggle for exactly the purposes of terms {terms.version} "
            f"({', '.join(terms.purpose_ids)}), found {', '.join(sorted(toggles))}; name each once"
        )


def _checked_notice(record: Record, event: TermsShown) -> TermsShown:
    terms = _published(record, event.terms)
    _check_toggles(terms, event.toggles)
    if event.notice != terms.notice_hash():
        raise Refused(
            f"expected the notice of terms {terms.version} ({terms.notice_hash()}), found {event.notice}; "
            "publish the wording that was shown as terms of its own"
        )
    return event


def _checked_accept(record: Record, event: Accepted) -> Accepted:
    terms = _published(record, event.terms)
    _check_toggles(terms, event.toggles)
    if event.terms not in record.terms_shown and "off" not in event.toggles.values():
        raise Refused(
            f"expected a notice of terms {event.terms} before their Accept, found none in the stream; "
            "record terms-shown first"
        )
    return event


def _checked_toggle(record: Record, event: ToggleChanged) -> ToggleChanged:
    if event.to == "off":
        # A withdrawal can always be recorded; but one of a purpose that nobody ever published withdraws nothing.
        if not record.catalogue.names_purpose(event.purpose):
            raise Refused(f"expected a purpose of published terms, found {event.purpose!r}; see `consent terms list`")
        return event
    if not record.accepted:
        raise Refused("expected an Accept before a toggle is set to on, found none in the stream; record it first")
    accepted = record.accepted[-1][1].terms
    terms = _published(record, accepted)
    if terms.purpose(event.purpose) is None:
        raise Refused(
            f"expected a purpose of terms {accepted} ({', '.join(terms.purpose_ids)}), "
            f"found {event.purpose!r}; only what was accepted can be set to on"
        )
    return event


def _checked_use(record: Record, event: DataUsedForTraining) -> DataUsedForTraining:
    """A use reported from outside is always stored, whatever the verdict; its basis is filled in where there is one."""
    if not event.attested or event.basis is not UNSET:
        return event
    consent = consent_of(record, event.purpose)
    until = parse_time(event.collected_until)
    basis = consent.basis_at(until)
    if basis is None or not basis.covers(parse_time(event.collected_from), until):
        return event
    return msgspec.structs.replace(event, basis=basis.grant.version)
