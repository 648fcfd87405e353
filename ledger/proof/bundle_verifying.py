"""Whether a bundle holds and is what was asked for, and what it says then (FORMATS.md section 8)."""

from __future__ import annotations

from ledger.domain.consent import record_of
from ledger.domain.events import DataUsedForTraining
from ledger.domain.names import RUN_PREFIX
from ledger.errors import NotVerified
from ledger.proof.asked import Asked
from ledger.proof.bundle import Bundle
from ledger.proof.bundle_opening import OpenBundle, open_bundle
from ledger.proof.bundle_statement import Findings, statement_of
from ledger.proof.manifests import ItemsOf, demand_manifest
from ledger.proof.policy import Trust
from ledger.proof.statement import Statement
from ledger.proof.verdicts import catalogue_of, demand_published, judge_uses


def statement_of_bundle(bundle: Bundle, trust: Trust, asked: Asked) -> tuple[OpenBundle, Statement]:
    """What is proven, and what it says; `NotVerified` names the first thing that does not hold."""
    proven = open_bundle(bundle, trust)
    asked.demand_stream(proven.stream, "a bundle")
    if not proven.history and asked.subject is None:
        raise NotVerified(
            f"expected somebody with a history, found none of stream {proven.stream}; that somebody is absent is "
            "proven only to who names them: add --subject with their id or key"
        )
    asked.demand_fresh(proven.complete_as_of)
    catalogue = catalogue_of(proven.terms)
    demand_published(proven.history, proven.terms)
    runs = {
        name.removeprefix(RUN_PREFIX): entries
        for name, entries in proven.histories.items()
        if name.startswith(RUN_PREFIX)
    }
    return proven, statement_of(
        Findings(
            bundle=proven,
            record=record_of(proven.stream, (placed.entry for placed in proven.history), catalogue),
            uses=judge_uses(proven.history, runs, catalogue),
            subject=asked.subject,
            recomputed=None if asked.items_of is None else _recomputed(proven, asked.items_of),
        )
    )


def _recomputed(bundle: OpenBundle, items_of: ItemsOf) -> list[int]:
    """The versions of the uses whose manifests the items make."""
    again = []
    for version, items in sorted(items_of(bundle.stream).items()):
        # What was released after the bundle was made is in no use of it.
        if version > len(bundle.history):
            continue
        what = f"the use of version {version}"
        use = bundle.history[version - 1].entry.data if version >= 1 else None
        if not isinstance(use, DataUsedForTraining):
            raise NotVerified(f"expected items of uses that the history has, found some of {what}, which is none")
        demand_manifest(use, items, what)
        again.append(version)
    return again
