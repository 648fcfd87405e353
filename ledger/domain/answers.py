"""What programs are told of a person's history and of a verdict: the same fields on the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct

from ledger.domain.as_of import History, NotOn, Placed, PurposeState, State, states_of
from ledger.domain.consent import Decision, Quality
from ledger.domain.eligibility import Reason, Verdict
from ledger.domain.entry import Imported
from ledger.domain.events import Cause, TermsShown
from ledger.domain.terms import Toggle
from ledger.domain.times import format_time


class EntryTold(Struct, frozen=True, kw_only=True):
    """Where an entry stands, what it is and when it happened; of an import its source."""

    position: int
    version: int
    event: str
    occurred_at: str
    recorded_at: str
    imported: Imported | None


class NoticeTold(EntryTold, frozen=True, kw_only=True):
    """A showing: its entry, and what was shown."""

    terms: str
    notice: str
    toggles: dict[str, Toggle]
    plan: str
    surface: str
    locale: str


class DecisionTold(EntryTold, frozen=True, kw_only=True):
    """A decision: its entry, and what it says of one purpose. No `terms`: it came before any Accept."""

    to: Toggle
    quality: Quality
    terms: str | None
    surface: str
    plan: str | None
    cause: Cause | None


class NotCountingTold(DecisionTold, frozen=True, kw_only=True):
    """An On that does not count: `why`, and where that ends by itself, when."""

    why: NotOn
    until: str | None


class StateTold(Struct, frozen=True, kw_only=True):
    """One purpose: what is on or off since when, by what decision, shown how."""

    purpose: str
    state: State
    since: str | None
    decision: DecisionTold | None
    shown: NoticeTold | None
    not_counting: list[NotCountingTold]


class StatusTold(Struct, frozen=True, kw_only=True):
    """What is on for a person as of a moment and a position of the log."""

    stream: str
    at: str
    position: int
    version: int
    erased: str | None
    plan: str | None
    terms: str | None
    purposes: list[StateTold]


class VerdictTold(Struct, frozen=True, kw_only=True):
    """The answer to "may this item be used?", decided on the log up to `position`."""

    permitted: bool
    reason: Reason
    quality: Quality | None
    basis: int | None
    terms: str | None
    position: int
    keep_until: str | None
    detail: str | None


def entry_told(placed: Placed) -> EntryTold:
    return EntryTold(**_entry(placed))


def state_told(state: PurposeState, entries: Mapping[int, Placed]) -> StateTold:
    """One purpose; `entries` by version."""
    return StateTold(
        purpose=state.purpose,
        state=state.state,
        since=_time(state.since),
        decision=None if state.decision is None else DecisionTold(**_decision(state.decision, entries)),
        shown=None if state.notice is None else _notice(entries[state.notice]),
        not_counting=[
            NotCountingTold(**_decision(one.grant, entries), why=one.why, until=_time(one.until))
            for one in state.not_counting
        ],
    )


def status_told(history: History) -> StatusTold:
    record = history.record
    entries = {placed.entry.version: placed for placed in history.entries}
    terms = record.last_terms()
    return StatusTold(
        stream=history.stream,
        at=format_time(history.moment),
        position=history.position,
        version=record.version,
        erased=_time(record.erased),
        plan=record.plan_at(history.moment),
        terms=None if terms is None else terms.version,
        purposes=[state_told(state, entries) for state in states_of(record, history.moment)],
    )


def verdict_told(verdict: Verdict, position: int) -> VerdictTold:
    return VerdictTold(
        permitted=verdict.permitted,
        reason=verdict.reason,
        quality=verdict.quality,
        basis=verdict.basis,
        terms=verdict.terms,
        position=position,
        keep_until=_time(verdict.keep_until),
        detail=verdict.detail,
    )


def _entry(placed: Placed) -> dict[str, Any]:
    entry = placed.entry
    return {
        "position": placed.position,
        "version": entry.version,
        "event": entry.event,
        "occurred_at": entry.occurred_at,
        "recorded_at": entry.recorded_at,
        "imported": None if entry.imported is UNSET else entry.imported,
    }


def _notice(placed: Placed) -> NoticeTold:
    shown: TermsShown = placed.entry.data
    return NoticeTold(
        **_entry(placed),
        terms=shown.terms,
        notice=shown.notice,
        toggles=shown.toggles,
        plan=shown.plan,
        surface=shown.surface,
        locale=shown.locale,
    )


def _decision(decision: Decision, entries: Mapping[int, Placed]) -> dict[str, Any]:
    placed = entries[decision.version]
    event = placed.entry.data
    plan = event.plan
    return {
        **_entry(placed),
        "to": decision.to,
        "quality": decision.quality,
        "terms": decision.terms,
        "surface": event.surface,
        "plan": None if plan is UNSET else plan,
        "cause": getattr(event, "cause", None),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
