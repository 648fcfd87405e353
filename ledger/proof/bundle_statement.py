"""What a bundle that holds says of a person, in plain words (FORMATS.md section 8)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET

from ledger.domain.as_of import PurposeState, states_of
from ledger.domain.consent import Decision, Record
from ledger.domain.eligibility import Verdict
from ledger.domain.times import format_time
from ledger.proof.bundle_opening import OpenBundle
from ledger.proof.statement import Proven, Statement, checkpoint_fields, for_whom, plural, signed_by
from ledger.proof.verdicts import UseJudged, Violation

#: What no bundle shows of an item (FORMATS.md section 8).
_AS_REPORTED = "which items a use used, their plans and that none was excluded is as the gate reported"
_OF_MANIFEST = "of the items given, their plans and that none was excluded is as the gate reported"


@dataclass(frozen=True, slots=True)
class Findings:
    """A bundle that holds, its record as of the map's time, and every use judged."""

    bundle: OpenBundle
    record: Record
    uses: Sequence[UseJudged]
    #: As the asker named the person; None where nobody did.
    subject: str | None
    #: The versions of the uses whose manifests were made again from the items.
    recomputed: Collection[int] | None


def statement_of(found: Findings) -> Statement:
    """The sentences and fields of what was found."""
    bundle = found.bundle
    states = states_of(found.record, bundle.complete_as_of)
    return Statement(
        kind="bundle",
        sentences=tuple(_sentences(found, states)),
        fields=_fields(found, states),
        proven=(proven_by(bundle),),
        violations=tuple(_violation(use) for use in found.uses if use.violations),
        history=bundle.history,
    )


def proven_by(bundle: OpenBundle) -> Proven:
    return Proven(bundle.opened, bundle.leaves, bundle.stream, bundle.covers, bundle.complete_as_of)


def _sentences(found: Findings, states: Sequence[PurposeState]) -> Iterator[str]:
    bundle = found.bundle
    whom, until = for_whom(bundle.stream, found.subject), format_time(bundle.complete_as_of)
    if not bundle.history:
        yield f"{whom}: nothing was ever recorded about this person up to {until}"
    else:
        count = plural(len(bundle.history), "entry is", "entries are")
        yield f"{whom}: {count} the complete history as of {until}, nothing left out and nothing changed"
    uncovered = plural(bundle.size - bundle.covers, "entry", "entries")
    yield (
        f"the log {bundle.opened.checkpoint.origin} has N = {bundle.size} entries and the map covers C = "
        f"{bundle.covers} of them; no map covers the last N - C = {uncovered} yet, the map's own among them"
    )
    if bundle.history:
        yield from _about_consent(found, states)
        yield from _about_uses(found)
    yield signed_by(bundle.opened)


def _about_consent(found: Findings, states: Sequence[PurposeState]) -> Iterator[str]:
    if found.record.erased is not None:
        yield f"erased {format_time(found.record.erased)}: nothing is on, and nothing more is recorded"
    for state in states:
        yield _state(state)
    for withdrawal in withdrawals_of(found.record):
        yield _withdrawal(withdrawal)


def withdrawals_of(record: Record) -> list[Decision]:
    """Every decision that sets a purpose off, in the order of the stream."""
    return [decision for decision in record.decisions if decision.to == "off"]


def _state(state: PurposeState) -> str:
    if state.decision is None or state.since is None:
        words = "no decision" if state.state == "undecided" else "off, never on"
    else:
        words = (
            f"{state.state} since {format_time(state.since)} by version {state.decision.version}, "
            f"{state.decision.quality}"
        )
    parts = [f"{state.purpose} is {words}" if words[:2] == "on" else f"{state.purpose}: {words}"]
    for one in state.not_counting:
        until = "" if one.until is None else f", until {format_time(one.until)}"
        parts.append(f"the On of version {one.grant.version} does not count ({one.why}{until})")
    return "; ".join(parts)


def _withdrawal(withdrawal: Decision) -> str:
    how = "left off at Accept" if withdrawal.at_accept and not withdrawal.operated else "set to off"
    occurred, recorded = format_time(withdrawal.occurred), format_time(withdrawal.recorded)
    later = "" if occurred == recorded else f", recorded {recorded}"
    return f"withdrawal: {withdrawal.purpose} {how} by version {withdrawal.version} at {occurred}{later}"


def _about_uses(found: Findings) -> Iterator[str]:
    if not found.uses:
        yield "no use for training is recorded"
        return
    for use in found.uses:
        yield _violation(use) if use.violations else _use(use)
        if use.imported is not None:
            yield (
                f"the use of version {use.placed.entry.version} rests on an import of {use.imported.at} "
                f"from {use.imported.source}"
            )
        if use.backdated and use.run is not None:
            yield f"run {use.data.run} is backdated: it was recorded only at {use.run.recorded_at}"
    if found.recomputed:
        again = ", ".join(str(version) for version in sorted(found.recomputed))
        yield f"the manifest of the uses of version {again} was made again from the items given; {_OF_MANIFEST}"
    others = [use for use in found.uses if use.placed.entry.version not in (found.recomputed or ())]
    if others and found.recomputed is not None:
        versions = ", ".join(str(use.placed.entry.version) for use in others)
        yield f"the items given hold none of the uses of version {versions}"
    if others:
        yield _AS_REPORTED


def _use(use: UseJudged) -> str:
    return f"{_what(use)}: permitted as known when it was recorded, and in hindsight{_on_grant(use)}"


def _what(use: UseJudged) -> str:
    data = use.data
    items = ", ".join(f"{count} {kind}" for kind, count in data.items.items())
    started = "" if use.run is None else f", started {use.run.data.started_at},"
    outside = ", reported from outside the gate" if data.attested else ""
    return (
        f"use of version {use.placed.entry.version} at position {use.placed.position}, {items} by run {data.run}"
        f"{started} for {data.purpose}, collected {data.collected_from} to {data.collected_until}{outside}"
    )


def _on_grant(use: UseJudged) -> str:
    if use.judged is None or use.judged.known.basis is None:
        return ""
    verdict = use.judged.known
    return f", on the grant of version {verdict.basis}, {verdict.quality}, under terms {verdict.terms}"


def _violation(use: UseJudged) -> str:
    return f"VIOLATION: {_what(use)}: {_why(use.violations)}"


def _why(violations: Sequence[Violation]) -> str:
    known = list(dict.fromkeys(one.why for one in violations if one.kind == "violation-known"))
    hindsight = list(dict.fromkeys(one.why for one in violations if one.kind == "violation-in-hindsight"))
    if not known:
        return f"permitted as known when it was recorded, and not allowed in hindsight ({'; '.join(hindsight)})"
    if not hindsight:
        return f"not allowed as known when it was recorded ({'; '.join(known)})"
    if known == hindsight:
        return f"not allowed, as known when it was recorded and in hindsight ({'; '.join(known)})"
    return f"not allowed as known when it was recorded ({'; '.join(known)}), and in hindsight ({'; '.join(hindsight)})"


def _fields(found: Findings, states: Sequence[PurposeState]) -> dict[str, Any]:
    bundle = found.bundle
    return {
        "stream": bundle.stream,
        "subject": found.subject,
        "entries": len(bundle.history),
        "complete_as_of": bundle.complete_as_of,
        "covers": bundle.covers,
        "uncovered": bundle.size - bundle.covers,
        "checkpoint": checkpoint_fields(bundle.opened),
        "erased": found.record.erased,
        "states": [_state_fields(state) for state in states],
        "withdrawals": [
            {
                "purpose": one.purpose,
                "version": one.version,
                "occurred_at": one.occurred,
                "recorded_at": one.recorded,
                "counts_from": one.start,
            }
            for one in withdrawals_of(found.record)
        ],
        "uses": [_use_fields(use, found.recomputed or ()) for use in found.uses],
    }


def _state_fields(state: PurposeState) -> dict[str, Any]:
    return {
        "purpose": state.purpose,
        "state": state.state,
        "since": state.since,
        "version": None if state.decision is None else state.decision.version,
        "quality": None if state.decision is None else state.decision.quality,
        "not_counting": [
            {"version": one.grant.version, "why": one.why, "until": one.until} for one in state.not_counting
        ],
    }


def _use_fields(use: UseJudged, recomputed: Collection[int]) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(use.data)
    return {
        **fields,
        "basis": None if use.data.basis is UNSET else use.data.basis,
        "position": use.placed.position,
        "version": use.placed.entry.version,
        "known": None if use.judged is None else _verdict_fields(use.judged.known),
        "hindsight": None if use.judged is None else _verdict_fields(use.judged.hindsight),
        "violations": [{"kind": one.kind, "why": one.why} for one in use.violations],
        "imported": None if use.imported is None else msgspec.to_builtins(use.imported),
        "backdated": use.backdated,
        "manifest_recomputed": use.placed.entry.version in recomputed,
    }


def _verdict_fields(verdict: Verdict) -> dict[str, Any]:
    return {
        "permitted": verdict.permitted,
        "reason": verdict.reason,
        "detail": verdict.detail,
        "basis": verdict.basis,
        "quality": verdict.quality,
        "terms": verdict.terms,
        "keep_until": verdict.keep_until,
    }
