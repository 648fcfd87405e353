"""What one person's stream said as of a moment or a position: what was on, since when, by what (design, section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from ledger.domain.consent import Consent, Decision, Denied, GrantedInterval, Record, consent_of, fold, record_of
from ledger.domain.entry import Entry
from ledger.domain.terms import Catalogue

State = Literal["on", "off", "undecided"]
#: Why an On that somebody may rely on is not, or not yet, on.
NotOn = Denied | Literal["starts-later", "barred", "untouched-after-off"]


class Placed(NamedTuple):
    """An entry, and its place in the log."""

    position: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class History:
    """One person's entries as of some time, with the terms published by then; what is asked is judged at `moment`."""

    stream: str
    moment: datetime
    #: Of the positions 1 ... `position`, these are the person's.
    position: int
    entries: tuple[Placed, ...]
    terms: tuple[Placed, ...]

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(placed.entry.data for placed in self.terms)

    @property
    def record(self) -> Record:
        return record_of(self.stream, (placed.entry for placed in self.entries), self.catalogue)


@dataclass(frozen=True, slots=True)
class NotCounting:
    """An On that does not count: since it starts later, at `until`; or one made after `until` would; or never."""

    grant: Decision
    why: NotOn
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PurposeState:
    """One purpose: `decision` is what turned it on or off; `notice` the version of the showing it rests on."""

    purpose: str
    state: State
    since: datetime | None
    decision: Decision | None
    notice: int | None
    not_counting: tuple[NotCounting, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a replay, and the state of each purpose after it, judged when it was recorded."""

    placed: Placed
    states: tuple[PurposeState, ...]


def as_of_position(
    stream: str, entries: Sequence[Placed], terms: Sequence[Placed], position: int, moment: datetime
) -> History:
    """The entries 1 ... `position`; `moment` is when the last of them was recorded."""
    return History(
        stream=stream,
        moment=moment,
        position=position,
        entries=tuple(placed for placed in entries if placed.position <= position),
        terms=tuple(placed for placed in terms if placed.position <= position),
    )


def as_of_moment(
    stream: str, entries: Sequence[Placed], terms: Sequence[Placed], position: int, moment: datetime
) -> History:
    """The entries, of 1 ... `position`, recorded at or before `moment`."""
    taken = tuple(placed for placed in entries if placed.position <= position and placed.entry.recorded <= moment)
    # A ledger may be filled with the past: what an entry refers to comes before it by position, not by time.
    referred = taken[-1].position if taken else 0
    return History(
        stream=stream,
        moment=moment,
        position=position,
        entries=taken,
        terms=tuple(
            placed
            for placed in terms
            if placed.position <= referred or (placed.position <= position and placed.entry.recorded <= moment)
        ),
    )


def replay(history: History) -> Iterator[Step]:
    """The history entry by entry, each step as of its position."""
    record = Record(stream=history.stream, catalogue=Catalogue())
    for placed in history.entries:
        record.catalogue = Catalogue(terms.entry.data for terms in history.terms if terms.position <= placed.position)
        fold([placed.entry], record)
        yield Step(placed, states_of(record, placed.entry.recorded))


def states_of(record: Record, moment: datetime) -> tuple[PurposeState, ...]:
    """Every purpose that the person was shown or decided on, at `moment`; none of somebody erased: nothing is on."""
    if record.erased is not None:
        return ()
    return tuple(_state_of(consent_of(record, purpose), moment) for purpose in _purposes_of(record))


def _purposes_of(record: Record) -> list[str]:
    """In the order of the terms."""
    met = record.terms_shown | {accepted.terms for _, accepted in record.accepted}
    of_terms = [purpose for terms in record.catalogue.all() if terms.version in met for purpose in terms.purpose_ids]
    return list(dict.fromkeys([*of_terms, *(decision.purpose for decision in record.decisions)]))


def _state_of(consent: Consent, moment: datetime) -> PurposeState:
    basis = consent.basis_at(moment)
    state: State = "undecided"
    since, decision = None, None
    if basis is not None:
        state, since, decision = "on", _on_since(consent, basis), basis.grant
    elif consent.decisions:
        state, (since, decision) = "off", _off_since(consent, moment)
    return PurposeState(
        purpose=consent.purpose,
        state=state,
        since=since,
        decision=decision,
        notice=_notice_of(consent, decision),
        not_counting=tuple(_not_counting(consent, moment, is_on=basis is not None)),
    )


def _on_since(consent: Consent, basis: GrantedInterval) -> datetime:
    """Since when it is on without a break: the basis may renew an older grant."""
    since = basis.start
    while before := [
        interval.start
        for interval in consent.intervals
        if interval.start < since and (interval.end is None or interval.end >= since)
    ]:
        since = min(before)
    return since


def _off_since(consent: Consent, moment: datetime) -> tuple[datetime | None, Decision | None]:
    """The end of the last time it was on, else the first withdrawal; neither where an On never came to count."""
    by_version = {withdrawal.version: withdrawal for withdrawal in consent.withdrawals}
    ended = [
        (interval.end, interval.ended_by)
        for interval in consent.intervals
        if interval.end is not None and interval.ended_by is not None and interval.start < interval.end <= moment
    ]
    if ended:
        since, version = max(ended)
        return since, by_version[version]
    begun = [withdrawal for withdrawal in consent.withdrawals if withdrawal.start <= moment]
    first = min(begun, key=lambda withdrawal: (withdrawal.start, withdrawal.version), default=None)
    return (first.start, first) if first else (None, None)


def _notice_of(consent: Consent, decision: Decision | None) -> int | None:
    """The last showing of the decision's terms before it; of somebody undecided, the last showing of the purpose."""
    record = consent.record
    if decision is not None:
        rested_on = [
            version for version, shown in record.shown if version < decision.version and shown.terms == decision.terms
        ]
    else:
        rested_on = [version for version, shown in record.shown if consent.purpose in shown.toggles]
    return rested_on[-1] if rested_on else None


def _not_counting(consent: Consent, moment: datetime, *, is_on: bool) -> Iterator[NotCounting]:
    """The Ons that stand last and are not on. Where a withdrawal came after, nobody expects them to be."""
    last_withdrawal = consent.withdrawals[-1].version if consent.withdrawals else 0
    intervals = {interval.grant.version: interval for interval in consent.intervals}
    bars: _Bars | None = None
    for grant in consent.decisions:
        if grant.to == "off" or grant.version < last_withdrawal:
            continue
        interval = intervals.get(grant.version)
        if interval is not None and interval.start > moment and interval.covers(interval.start, interval.start):
            yield NotCounting(grant, "starts-later", interval.start)
        elif is_on:
            continue
        elif grant.denied is not None:
            yield NotCounting(grant, grant.denied)
        else:
            # Some withdrawal bars it, though all come before it.
            bars = bars or _bars(consent)
            if bars.operated and not grant.operated:
                yield NotCounting(grant, "untouched-after-off")
            else:
                yield NotCounting(grant, "barred", bars.until)


class _Bars(NamedTuple):
    """What bars a grant that comes last: an operated withdrawal where it is not, or one stamped ahead."""

    operated: bool
    until: datetime


def _bars(consent: Consent) -> _Bars:
    return _Bars(
        operated=any(withdrawal.operated for withdrawal in consent.withdrawals),
        until=max(withdrawal.occurred for withdrawal in consent.withdrawals),
    )
