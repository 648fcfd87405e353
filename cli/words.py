"""Entries and states in plain words, and as the fields that programs get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import UNSET

from ledger.domain import events as e
from ledger.domain.as_of import NotCounting, Placed, PurposeState
from ledger.domain.entry import Entry
from ledger.domain.times import format_time

#: Enough of a digest to tell one from another on a screen; `--json` has it whole.
SHORT_DIGEST = 12

_WHY_NOT = {
    "not-a-person": "only a person grants, and somebody else set it",
    "no-notice": "no notice of its version of the terms was shown before",
    "untouched-default": "nobody touched the toggle, and these terms take a pre-set one for no consent",
    "no-terms": "its terms are not published",
    "untouched-after-off": "nobody touched the toggle, which undoes no Off that somebody operated",
}


def in_words(entry: Entry) -> str:
    """What an entry says happened."""
    event: e.Event = entry.data
    match event:
        case e.TermsPublished():
            amends = "" if event.amends is UNSET else f", amending {event.amends}"
            return f"terms {event.version} published{amends}, for {', '.join(event.purpose_ids)}"
        case e.TermsShown():
            return (
                f"terms {event.terms} shown on {event.surface}, plan {event.plan}, locale {event.locale}, "
                f"{_toggles(event.toggles)}, notice {event.notice[:SHORT_DIGEST]}…"
            )
        case e.Accepted():
            return (
                f"terms {event.terms} accepted on {event.surface}, plan {event.plan}, "
                f"{_toggles(event.toggles, event.touched)}"
            )
        case e.ToggleChanged():
            plan = "" if event.plan is UNSET else f", plan {event.plan}"
            cause = "the person" if event.cause == "person" else event.cause
            return f"{event.purpose} set to {event.to} on {event.surface} by {cause}{plan}"
        case e.DataUsedForTraining():
            return _use(event)
        case e.SubjectErased():
            return f"erased, reason: {event.reason}"
        case e.RunStarted():
            parent = "" if event.parent is UNSET else f", continuing run {event.parent}"
            return (
                f"run started at {event.started_at} for {event.purpose}, decided from position {event.cutoff}{parent}"
            )
        case e.RunFinished():
            return f"run finished, {event.uses} uses of {event.items} items"
        case e.SubjectMapPublished():
            return f"subject map published over the positions 1 to {event.covers}, {event.streams} streams"


def _toggles(toggles: Mapping[str, str], touched: Iterable[str] | None = None) -> str:
    def of(purpose: str) -> str:
        if touched is None:
            return ""
        return " (operated)" if purpose in touched else " (untouched)"

    return ", ".join(f"{purpose} {to}{of(purpose)}" for purpose, to in toggles.items())


def _use(event: e.DataUsedForTraining) -> str:
    items = ", ".join(f"{count} {kind}" for kind, count in event.items.items())
    basis = "without a grant" if event.basis is UNSET else f"on the grant of version {event.basis}"
    outside = ", reported from outside the gate" if event.attested else ""
    return (
        f"{items} used by run {event.run} for {event.purpose}, collected {event.collected_from} to "
        f"{event.collected_until}, {basis}{outside}"
    )


def state_in_words(state: PurposeState) -> str:
    """One purpose in one line."""
    if state.decision is None or state.since is None:
        words = "no decision" if state.state == "undecided" else "off, never on"
    else:
        words = f"{state.state} since {format_time(state.since)} by version {state.decision.version}"
        words += f", {state.decision.quality}"
    return "; ".join([f"{state.purpose}: {words}", *(_not_counting_in_words(one) for one in state.not_counting)])


def _not_counting_in_words(one: NotCounting) -> str:
    return f"the On of version {one.grant.version} does not count{why_not_counting(one)}"


def why_not_counting(one: NotCounting) -> str:
    """The end of a sentence about an On that does not count."""
    match one.why, one.until:
        case "starts-later", until if until is not None:
            return f" yet: it starts {format_time(until)}"
        case "barred", until if until is not None:
            return f": it is barred by an Off; an On made after {format_time(until)} will count"
        case why, _:
            return f": {_WHY_NOT[why]}"


def details_in_words(state: PurposeState, entries: Mapping[int, Placed]) -> Iterator[str]:
    """What turned a purpose on or off, and what was shown before it."""
    if state.decision is not None:
        placed = entries[state.decision.version]
        terms = "before any Accept" if state.decision.terms is None else f"under terms {state.decision.terms}"
        yield f"by {_at(placed)}: {in_words(placed.entry)}; {state.decision.quality}, {terms}"
    if state.notice is not None:
        yield f"shown {_at(entries[state.notice])}: {in_words(entries[state.notice].entry)}"


def entry_line(placed: Placed) -> str:
    """An entry in one line."""
    return f"{_at(placed)}: {in_words(placed.entry)}"


def _at(placed: Placed) -> str:
    entry = placed.entry
    recorded = "" if entry.recorded_at == entry.occurred_at else f", recorded {entry.recorded_at}"
    imported = "" if entry.imported is UNSET else f", imported from {entry.imported.source}"
    return (
        f"position {placed.position}, version {entry.version}, {entry.event}, {entry.occurred_at}{recorded}{imported}"
    )
