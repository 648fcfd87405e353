"""The fold of a subject's stream, and the spans of time in which a purpose is on (design, section 4)."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple, Protocol, cast

from msgspec import UNSET, Struct, field

from ledger.domain.entry import Entry
from ledger.domain.events import Accepted, DataUsedForTraining, SubjectErased, TermsShown, ToggleChanged
from ledger.domain.lookups import Covering, Earliest, Moment
from ledger.domain.terms import Catalogue, Terms, Toggle
from ledger.domain.times import LAST_MOMENT

#: How far a grant may reach back before the moment it was recorded: part of the format, and never more.
TOLERANCE = timedelta(seconds=5)

#: As many decisions as nearly everybody makes: to go through them all is quicker than to order them first.
FEW: Final = 8
#: Beyond all withdrawals.
_NEVER: Final = (LAST_MOMENT, sys.maxsize)

Quality = Literal["explicit", "default-untouched"]
#: Why an On is stored and grants nothing.
Denied = Literal["not-a-person", "no-notice", "untouched-default", "no-terms"]


class Decision(Struct, frozen=True, gc=False):
    """What an Accepted or a ToggleChanged says of one purpose; `terms` are those it belongs to."""

    version: int
    purpose: str
    to: Toggle
    operated: bool
    at_accept: bool
    occurred: datetime
    recorded: datetime
    terms: str | None
    denied: Denied | None = None

    @property
    def start(self) -> datetime:
        """When it begins to count: a grant never reaches back, a withdrawal never loses to a wrong clock."""
        if self.to == "on":
            return max(self.occurred, self.recorded - TOLERANCE)
        return min(self.occurred, self.recorded)

    @property
    def quality(self) -> Quality:
        return "explicit" if self.operated else "default-untouched"

    def beats(self, withdrawal: Decision) -> bool:
        """Whether this grant stands against `withdrawal`."""
        return (
            self.occurred > withdrawal.occurred
            and (self.recorded, self.version) > (withdrawal.recorded, withdrawal.version)
            and (self.operated or not withdrawal.operated)
        )


class GrantedInterval(Struct, frozen=True, gc=False):
    """The span `[start, end)` that one grant covers; no `end`: it is on until somebody withdraws."""

    grant: Decision
    start: datetime
    end: datetime | None
    ended_by: int | None

    def covers(self, moment: datetime, until: datetime) -> bool:
        return self.start <= moment and (self.end is None or until < self.end)

    @property
    def rests_on(self) -> tuple[int, ...]:
        """The versions that made it so."""
        return (self.grant.version,) if self.ended_by is None else (self.grant.version, self.ended_by)


class Told(Protocol):
    """What a fold asks an entry for; of a use, all of it."""

    @property
    def stream(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def occurred(self) -> datetime: ...
    @property
    def recorded(self) -> datetime: ...
    @property
    def data(self) -> Any: ...


class Record(Struct, gc=False):
    """What one subject's stream says so far. Only `fold` changes it; everybody else reads."""

    stream: str
    catalogue: Catalogue
    version: int = 0
    recorded: datetime | None = None
    erased: datetime | None = None
    shown: list[tuple[int, TermsShown]] = field(default_factory=list)
    terms_shown: set[str] = field(default_factory=set)
    accepted: list[tuple[int, Accepted]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    plans: list[tuple[datetime, int, str]] = field(default_factory=list)
    uses: list[Entry] = field(default_factory=list)

    def last_terms(self) -> Terms | None:
        """The terms last accepted, else last shown."""
        if self.accepted:
            return self.catalogue.get(self.accepted[-1][1].terms)
        if self.shown:
            return self.catalogue.get(self.shown[-1][1].terms)
        return None

    def plan_at(self, moment: datetime) -> str | None:
        """The plan of an item that names none: that of the newest entry, recorded by then, that carries one."""
        known = [(recorded, version, plan) for recorded, version, plan in self.plans if recorded <= moment]
        return max(known)[2] if known else None


def fold(entries: Iterable[Told], record: Record) -> Record:
    """`record`, having taken in `entries` of its stream in the order of their versions."""
    for entry in entries:
        _take_in(record, entry)
    return record


def record_of(stream: str, entries: Iterable[Told], catalogue: Catalogue) -> Record:
    """The record that `entries`, from the first, make."""
    return fold(entries, Record(stream=stream, catalogue=catalogue))


def records_of(entries: Iterable[Told], catalogue: Catalogue) -> Iterator[Record]:
    """The record of each stream that `entries`, whole and one after another, make."""
    record = None
    for entry in entries:
        if record is None or entry.stream != record.stream:
            if record is not None:
                yield record
            record = Record(entry.stream, catalogue)
        _take_in(record, entry)
    if record is not None:
        yield record


def _take_in(record: Record, entry: Told) -> None:
    version, recorded, data = entry.version, entry.recorded, entry.data
    match data:
        case TermsShown():
            record.shown.append((version, data))
            record.terms_shown.add(data.terms)
            record.plans.append((recorded, version, data.plan))
        case Accepted():
            _take_in_decisions(record, entry, data)
            record.accepted.append((version, data))
            record.plans.append((recorded, version, data.plan))
        case ToggleChanged():
            record.decisions.append(_decision_of_toggle(record, entry, data))
            if data.plan is not UNSET:
                record.plans.append((recorded, version, data.plan))
        case DataUsedForTraining():
            record.uses.append(cast(Entry, entry))
        case SubjectErased():
            record.erased = recorded
    record.version = version
    record.recorded = recorded


def _take_in_decisions(record: Record, entry: Told, accepted: Accepted) -> None:
    """The decisions of an Accept, one for each toggle."""
    version, occurred, recorded, terms = entry.version, entry.occurred, entry.recorded, accepted.terms
    published, shown, touched = record.catalogue.get(terms), terms in record.terms_shown, accepted.touched
    for purpose, to in accepted.toggles.items():
        operated = purpose in touched
        denied: Denied | None = None
        if to == "on":
            if published is None:
                denied = "no-terms"
            elif not shown:
                denied = "no-notice"
            elif not operated and published.untouched_default == "refused":
                denied = "untouched-default"
        # By place, for there are millions: names would cost as much again.
        record.decisions.append(Decision(version, purpose, to, operated, True, occurred, recorded, terms, denied))


def _decision_of_toggle(record: Record, entry: Told, changed: ToggleChanged) -> Decision:
    terms = record.accepted[-1][1].terms if record.accepted else None
    denied: Denied | None = None
    if changed.to == "on":
        if changed.cause != "person":
            denied = "not-a-person"
        elif terms is None or record.catalogue.get(terms) is None:
            denied = "no-terms"
    return Decision(
        version=entry.version,
        purpose=changed.purpose,
        to=changed.to,
        operated=True,
        at_accept=False,
        occurred=entry.occurred,
        recorded=entry.recorded,
        terms=terms,
        denied=denied,
    )


class First(NamedTuple):
    """When the first of each starts; none where there is none."""

    grant: datetime | None
    withdrawal: datetime | None
    #: A withdrawal that an Accept made.
    refusal: datetime | None


class Consent(Struct, frozen=True, dict=True):
    """All decisions of one record on one purpose, with the span that each grant covers."""

    record: Record
    purpose: str
    decisions: tuple[Decision, ...]
    withdrawals: tuple[Decision, ...]
    intervals: tuple[GrantedInterval, ...]
    #: What the intervals would be of the Ons at Accept that lack a notice or a touch: for the reason only.
    denied_at_accept: tuple[GrantedInterval, ...]

    def basis_at(self, moment: datetime) -> GrantedInterval | None:
        """Of the grants that cover `moment`, the one that starts last (the higher version on a tie)."""
        if len(self.intervals) <= FEW:
            return _newest(interval for interval in self.intervals if interval.covers(moment, moment))
        return self._bases.at(moment)

    def denied_at(self, moment: datetime) -> GrantedInterval | None:
        """The same of the Ons at Accept that are denied."""
        return self._denied.at(moment) if self.denied_at_accept else None

    def plan_at(self, moment: datetime) -> str | None:
        """`Record.plan_at`, for many items."""
        if len(self.record.plans) <= FEW:
            return self.record.plan_at(moment)
        known = bisect_right(self._plans, moment, key=itemgetter(0))
        return self._plans[known - 1][2] if known else None

    def interval_of(self, version: int) -> GrantedInterval | None:
        """The span of the grant of that version."""
        return self._by_version.get(version)

    @cached_property
    def first(self) -> First:
        return First(
            min([interval.start for interval in self.intervals], default=None),
            min([withdrawal.start for withdrawal in self.withdrawals], default=None),
            min([withdrawal.start for withdrawal in self.withdrawals if withdrawal.at_accept], default=None),
        )

    @cached_property
    def _bases(self) -> Covering[GrantedInterval]:
        return Covering(sorted(self.intervals, key=_by_start))

    @cached_property
    def _denied(self) -> Covering[GrantedInterval]:
        return Covering(sorted(self.denied_at_accept, key=_by_start))

    @cached_property
    def _plans(self) -> list[tuple[datetime, int, str]]:
        return sorted(self.record.plans)

    @cached_property
    def _by_version(self) -> dict[int, GrantedInterval]:
        # Backwards: of two of one version, which no ledger writes, the first counts.
        return {interval.grant.version: interval for interval in reversed(self.intervals)}


def _by_start(interval: GrantedInterval) -> Moment:
    return interval.start, interval.grant.version


def _newest(intervals: Iterable[GrantedInterval]) -> GrantedInterval | None:
    return max(intervals, key=_by_start, default=None)


def consent_of(record: Record, purpose: str) -> Consent:
    """The consent of `record` on `purpose`."""
    decisions = tuple(decision for decision in record.decisions if decision.purpose == purpose)
    withdrawals = tuple(decision for decision in decisions if decision.to == "off")
    grants = [decision for decision in decisions if decision.to == "on" and decision.denied is None]
    denied = [decision for decision in decisions if decision.denied in ("no-notice", "untouched-default")]
    ends = _among_few(withdrawals) if len(withdrawals) <= FEW else _among_many(withdrawals)
    return Consent(
        record=record,
        purpose=purpose,
        decisions=decisions,
        withdrawals=withdrawals,
        intervals=tuple(_interval(grant, ends(grant)) for grant in grants),
        denied_at_accept=tuple(_interval(grant, ends(grant)) for grant in denied),
    )


def _interval(grant: Decision, ends: Moment) -> GrantedInterval:
    # "No W with W.start <= until that G does not beat" is one comparison with the earliest such W.
    if ends is _NEVER:
        return GrantedInterval(grant, grant.start, None, None)
    return GrantedInterval(grant, grant.start, *ends)


def _among_few(withdrawals: Sequence[Decision]) -> Callable[[Decision], Moment]:
    """Says of a grant where the earliest of the withdrawals starts that it does not beat, and which that is."""

    def ends(grant: Decision) -> Moment:
        standing = [_place(withdrawal) for withdrawal in withdrawals if not grant.beats(withdrawal)]
        return min(standing, default=_NEVER)

    return ends


def _among_many(withdrawals: Sequence[Decision]) -> Callable[[Decision], Moment]:
    """The same, and no grant is held against each of them.

    Those that a grant does not beat are all that occurred when it did or later, all that were recorded after it, and,
    where it is not operated, all that are: of each of the three one is the earliest. That times follow the versions is
    not relied on, for a bundle may say anything.
    """
    occurred = Earliest((((one.occurred, 0), _place(one)) for one in withdrawals), _NEVER)
    recorded = Earliest((((one.recorded, one.version), _place(one)) for one in withdrawals), _NEVER)
    operated = min((_place(one) for one in withdrawals if one.operated), default=_NEVER)

    def ends(grant: Decision) -> Moment:
        return min(
            occurred.since((grant.occurred, 0)),
            recorded.since((grant.recorded, grant.version)),
            _NEVER if grant.operated else operated,
        )

    return ends


def _place(withdrawal: Decision) -> Moment:
    return withdrawal.start, withdrawal.version
