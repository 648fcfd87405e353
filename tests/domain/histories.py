"""Random histories of one person, on a grid so small that every tie and every order of two events comes up."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import get_args

from hypothesis import strategies as st
from msgspec import structs

from ledger.domain.consent import Record, record_of
from ledger.domain.eligibility import Item
from ledger.domain.entry import Entry
from ledger.domain.events import Accepted, Cause, Event
from ledger.domain.terms import Catalogue, Terms, Toggle
from tests.domain import given

#: How many histories each law is tried on; CONSENT_TEST_HISTORIES=60000 is the long run.
HISTORIES = int(os.environ.get("CONSENT_TEST_HISTORIES", "400"))

#: One tick is the tolerance of a grant, so that its edge falls on the grid as well.
TICK = timedelta(seconds=5)
FIRST = given.at("3")
#: Ticks at which items are collected: all at which an event of `histories` may lie, and one on either side.
TICKS = range(-1, 16)
PURPOSES = ("training", "research")
VERSIONS = ("t1", "t2", "t3")
#: Of the longest history: compared one by one, its grants and withdrawals are a hundred million pairs.
TOGGLES = 20_000


def moment(tick: int) -> datetime:
    return FIRST + tick * TICK


@dataclass(frozen=True)
class History:
    """The terms that are published, and one person's stream."""

    published: tuple[Terms, ...]
    entries: tuple[Entry, ...]

    @property
    def by_version(self) -> dict[str, Terms]:
        return {terms.version: terms for terms in self.published}

    @property
    def record(self) -> Record:
        return record_of(given.STREAM, self.entries, Catalogue(self.published))

    @property
    def last_recorded(self) -> datetime:
        return self.entries[-1].recorded if self.entries else FIRST

    def with_newest(self, event: Event, occurred: datetime, recorded: datetime) -> History:
        return self.with_inserted(event, len(self.entries), occurred, recorded)

    def with_inserted(self, event: Event, index: int, occurred: datetime, recorded: datetime) -> History:
        """The same history with one event more, before the entry at `index`; the later ones move up a version."""
        later = [structs.replace(entry, version=entry.version + 1) for entry in self.entries[index:]]
        inserted = given.entry(event, index + 1, occurred, recorded)
        return replace(self, entries=(*self.entries[:index], inserted, *later))

    def under(self, withdrawal: given.Rule) -> History:
        published = tuple(structs.replace(terms, withdrawal=withdrawal) for terms in self.published)
        return replace(self, published=published)


@dataclass(frozen=True)
class Step:
    """One drawn event, before it is known what may stand at its place."""

    what: str
    #: Ticks since the event before it was recorded; and from its own recording to when it occurred.
    after: int
    skew: int
    terms: int
    purpose: str
    on: tuple[bool, bool]
    touched: tuple[bool, bool]
    cause: Cause
    plan: str | None
    collected: int


_EVENTS = ("shown", "accepted", "accepted", "accepted", "on", "on", "on", "off", "off", "off", "used")
_STEPS = st.builds(
    Step,
    what=st.sampled_from(_EVENTS),
    after=st.sampled_from((0, 0, 1, 1, 2)),
    skew=st.sampled_from((0, 0, 0, -1, -1, -2, -4, 1, 2)),
    terms=st.sampled_from((0, 0, 0, 1, 1, 2)),
    purpose=st.sampled_from(PURPOSES),
    on=st.sampled_from(((True, True),) * 5 + ((True, False), (False, True), (False, False))),
    touched=st.sampled_from(((False, False), (True, True), (True, False), (False, True))),
    cause=st.sampled_from(("person", "person", "person", *get_args(Cause))),
    plan=st.sampled_from((None, None, None, None, "pro", "team")),
    collected=st.integers(TICKS[0], TICKS[-1]),
)
_PURPOSES_OF_TERMS = st.sampled_from(
    [
        {PURPOSES[0]: ["chat"], PURPOSES[1]: ["chat", "voice"]},
        {PURPOSES[0]: ["chat"], PURPOSES[1]: ["chat", "voice"]},
        {PURPOSES[0]: ["chat", "voice"], PURPOSES[1]: ["voice"]},
        {PURPOSES[0]: ["chat"]},
        {PURPOSES[1]: ["chat"]},
    ]
)
_TERMS = st.builds(
    given.terms,
    purposes=_PURPOSES_OF_TERMS,
    plans=st.sampled_from([["pro", "team"], ["pro", "team"], ["pro"], ["team"]]),
    withdrawal=st.sampled_from(get_args(given.Rule)),
    untouched_default=st.sampled_from(["permitted", "permitted", "refused"]),
    when_on=st.sampled_from(["P5Y", "P5Y", "P5Y", "P1M", "P1D", "P0D"]),
    when_off=st.sampled_from(["P30D", "P1D", "P0D"]),
)


def _event(step: Step, published: tuple[Terms, ...], accepted: bool) -> Event:
    terms = published[step.terms]
    # An On needs an Accept before it (design, section 4, "Recording"): without one there is one.
    match "accepted" if step.what == "on" and not accepted else step.what:
        case "shown":
            return given.shown(terms, plan=step.plan or "pro")
        case "accepted":
            return accept(step, terms)
        case "used":
            return given.used("3", basis=1, purpose=step.purpose)
        case to:
            return given.toggled("on" if to == "on" else "off", purpose=step.purpose, cause=step.cause, plan=step.plan)


def accept(step: Step, terms: Terms) -> Accepted:
    stood = dict(zip(PURPOSES, step.on, strict=True))
    operated = dict(zip(PURPOSES, step.touched, strict=True))
    return given.accepted(
        terms,
        toggles={purpose: "on" if stood[purpose] else "off" for purpose in terms.purpose_ids},
        touched=tuple(purpose for purpose in sorted(terms.purpose_ids) if operated[purpose]),
        plan=step.plan or "pro",
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Mostly somebody who was shown the first version before anything else; some end with an erasure."""
    published = tuple(structs.replace(draw(_TERMS), version=version) for version in VERSIONS)
    events: list[tuple[Event, int, int]] = []
    at_first = draw(st.sampled_from(((0, 1, 2), (0, 1, 2), (0, 1, 2), (0, 1), (0,), ())))
    events += [(given.shown(published[terms]), 0, 0) for terms in at_first]
    accepted = False
    for step in draw(st.lists(_STEPS, min_size=1, max_size=3) | st.lists(_STEPS, min_size=4, max_size=8)):
        event = _event(step, published, accepted)
        accepted = accepted or isinstance(event, Accepted)
        events.append((event, step.after, step.skew))
    entries: list[Entry] = []
    recorded = 0
    for event, after, skew in events if draw(st.integers(0, 24)) != 17 else []:
        recorded += after
        entries.append(given.entry(event, len(entries) + 1, moment(recorded + skew), moment(recorded)))
    history = History(published, tuple(entries))
    if entries and draw(st.integers(0, 24)) == 17:
        history = history.with_newest(given.ERASED, history.last_recorded, history.last_recorded)
    return history


@dataclass(frozen=True)
class Drawn:
    """One drawn decision on the first purpose, by a toggle or an Accept of a version of the terms."""

    by: str
    to: Toggle
    operated: bool
    cause: Cause
    plan: str | None
    recorded: int
    #: Ticks from its own recording to when it occurred.
    skew: int


_TOGGLES = st.builds(
    Drawn,
    by=st.sampled_from(("toggle", "toggle", "toggle", *VERSIONS)),
    to=st.sampled_from(("on", "on", "off")),
    operated=st.booleans(),
    cause=st.sampled_from(("person", "person", "person", "migration")),
    plan=st.sampled_from((None, None, "pro", "team")),
    recorded=st.integers(0, 12),
    skew=st.sampled_from((0, 0, 0, 0, -1, -1, 1, -4, -9)),
)


@st.composite
def long_histories(draw: st.DrawFn) -> History:
    """Somebody who toggles all the time; also as no ledger writes it, but a bundle may, with times in any order.

    The second version of the terms was not shown, the third takes no untouched On.
    """
    published = tuple(
        given.terms(
            version,
            purposes={PURPOSES[0]: ["chat"]},
            withdrawal=draw(st.sampled_from(get_args(given.Rule))),
            untouched_default="refused" if version == "t3" else "permitted",
        )
        for version in VERSIONS
    )
    drawn = draw(st.lists(_TOGGLES, min_size=1, max_size=12) | st.lists(_TOGGLES, min_size=25, max_size=45))
    recorded = [one.recorded for one in drawn]
    if draw(st.sampled_from((True, True, False))):
        recorded.sort()
    by_version = {terms.version: terms for terms in published}
    events: list[tuple[Event, int, int]] = [(given.shown(by_version[version]), 0, 0) for version in ("t1", "t3")]
    events += [(_decision(one, by_version), tick + one.skew, tick) for one, tick in zip(drawn, recorded, strict=True)]
    entries = (
        given.entry(event, version, moment(occurred), moment(tick))
        for version, (event, occurred, tick) in enumerate(events, 1)
    )
    return History(published, tuple(entries))


def _decision(drawn: Drawn, published: dict[str, Terms]) -> Event:
    if drawn.by == "toggle":
        return given.toggled(drawn.to, purpose=PURPOSES[0], cause=drawn.cause, plan=drawn.plan)
    touched = PURPOSES[:1] if drawn.operated else ()
    return given.accepted(
        published[drawn.by], toggles={PURPOSES[0]: drawn.to}, touched=touched, plan=drawn.plan or "pro"
    )


def toggled_all_day() -> list[Entry]:
    """After an Accept, off at each odd minute and on at each even one; each names a plan."""
    start, minute = given.at("3"), timedelta(minutes=1)
    entries = [given.entry(given.shown(), 1, start, start), given.entry(given.accepted(), 2, start, start)]
    for number in range(1, TOGGLES + 1):
        event = given.toggled("off" if number % 2 else "on", plan="team" if number % 3 else "pro")
        entries.append(given.entry(event, number + 2, start + number * minute, start + number * minute))
    return entries


def steps() -> st.SearchStrategy[Step]:
    return _STEPS


def run_starts() -> st.SearchStrategy[datetime]:
    """On the grid, and so much later that the retentions of the terms run out."""
    far = [moment(0) + timedelta(days=days) for days in (1, 1, 1, 1, 2, 31, 400, 3000)]
    return st.sampled_from([*(moment(tick) for tick in TICKS), *far])


def judged_at() -> st.SearchStrategy[datetime]:
    """Mostly after everything on the grid, sometimes in its middle."""
    return st.sampled_from([*([moment(100)] * 40), *(moment(tick) for tick in TICKS)])


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    """One item for every tick, all of one drawn kind, plan and exclusion."""
    kind = draw(st.sampled_from(("chat", "chat", "chat", "voice")))
    plan = draw(st.sampled_from((None, None, "pro", "team")))
    exclude = draw(st.sampled_from((*([None] * 20), "", "deleted")))
    return [Item(moment(tick), kind, plan, exclude) for tick in TICKS]
