"""The fold of a subject's stream, and the spans of time in which a purpose is on (design, section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, cast

from msgspec import UNSET, Struct, field

from ledger.domain.entry import Entry
from ledger.domain.events import Accepted, DataUsedForTraining, SubjectErased, TermsShown, ToggleChanged
from ledger.domain.terms import Catalogue, Terms, Toggle

#: How far a grant may reach back before the moment it was recorded: part of the format, and never more.
TOLERANCE = timedelta(seconds=5)

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
    accepted: list[tuple[int, Accepted]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    plans: list[tuple[datetime, int, str]] = field(default_factory=list)
    uses: list[Entry] = field(default_factory=list)

    def was_shown(self, terms: str) -> bool:
        for _, shown in self.shown:  # noqa: SIM110 - a third of the time of any()
            if shown.terms == terms:
                return True
        return False

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
    published, shown, touched = record.catalogue.get(terms), record.was_shown(terms), accepted.touched
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


@dataclass(frozen=True, slots=True)
class Consent:
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
        covering = [interval for interval in self.intervals if interval.covers(moment, moment)]
        return max(covering, key=lambda interval: (interval.start, interval.grant.version), default=None)


def consent_of(record: Record, purpose: str) -> Consent:
    """The consent of `record` on `purpose`."""
    decisions = tuple(decision for decision in record.decisions if decision.purpose == purpose)
    withdrawals = tuple(decision for decision in decisions if decision.to == "off")
    return Consent(
        record=record,
        purpose=purpose,
        decisions=decisions,
        withdrawals=withdrawals,
        intervals=tuple(
            _interval(decision, withdrawals)
            for decision in decisions
            if decision.to == "on" and decision.denied is None
        ),
        denied_at_accept=tuple(
            _interval(decision, withdrawals)
            for decision in decisions
            if decision.denied in ("no-notice", "untouched-default")
        ),
    )


def _interval(grant: Decision, withdrawals: tuple[Decision, ...]) -> GrantedInterval:
    # "No W with W.start <= until that G does not beat" is one comparison with the earliest such W.
    standing = [withdrawal for withdrawal in withdrawals if not grant.beats(withdrawal)]
    ending = min(standing, key=lambda withdrawal: (withdrawal.start, withdrawal.version), default=None)
    if ending is None:
        return GrantedInterval(grant, grant.start, None, None)
    return GrantedInterval(grant, grant.start, ending.start, ending.version)
