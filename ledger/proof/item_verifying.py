"""Whether the proofs about one item hold (FORMATS.md sections 6 and 8)."""

from __future__ import annotations

from ledger.domain.as_of import Placed
from ledger.domain.entry import Entry
from ledger.domain.events import DataUsedForTraining
from ledger.errors import NotVerified
from ledger.proof.asked import Asked
from ledger.proof.bundle import entry_of
from ledger.proof.bundle_verifying import statement_of_bundle
from ledger.proof.item_proof import Absence, Presence
from ledger.proof.manifests import demand_manifest, leaf_of
from ledger.proof.merkle import leaf_hash, verify_inclusion
from ledger.proof.policy import Trust, open_checkpoint
from ledger.proof.statement import Proven, Statement, checkpoint_fields, for_whom, plural, signed_by


def statement_of_presence(proof: Presence, trust: Trust, asked: Asked) -> Statement:
    """The item is in the manifest of that use, and the use in the log."""
    opened = open_checkpoint(proof.checkpoint, trust)
    checkpoint = opened.checkpoint
    leaf = leaf_hash(proof.use.entry)
    verify_inclusion(leaf, proof.use.position - 1, checkpoint.size, proof.use.path, checkpoint.root)
    entry = entry_of(proof.use.entry, "the use of an item")
    use = _use_of(entry)
    asked.demand_stream(entry.stream, "a use")
    name, collected, kind = proof.item
    root = bytes.fromhex(use.manifest)
    verify_inclusion(leaf_hash(leaf_of(proof.item)), proof.index, sum(use.items.values()), proof.path, root)
    if kind not in use.items or not use.collected_from <= collected <= use.collected_until:
        raise NotVerified(
            f"expected the use to count the kind of item {name!r}, {kind}, and to reach over its time, {collected}, "
            "found that it does not: the use was recorded wrongly"
        )
    return Statement(
        kind="item-used",
        sentences=(
            f"{for_whom(entry.stream, asked.subject)}: item {name!r} ({kind}, collected {collected}) was used by run "
            f"{use.run}, for {use.purpose}: the use of version {entry.version} at position {proof.use.position}, "
            f"recorded {entry.recorded_at}",
            "whether that use lies inside what was allowed, the person's bundle says",
            signed_by(opened),
        ),
        fields={
            "stream": entry.stream,
            "subject": asked.subject,
            "item": name,
            "collected_at": collected,
            "item_kind": kind,
            "run": use.run,
            "purpose": use.purpose,
            "version": entry.version,
            "position": proof.use.position,
            "checkpoint": checkpoint_fields(opened),
        },
        proven=(Proven(opened, {proof.use.position: (entry.stream, leaf)}),),
        history=(Placed(proof.use.position, entry),),
    )


def _use_of(entry: Entry) -> DataUsedForTraining:
    if not isinstance(entry.data, DataUsedForTraining):
        raise NotVerified(f"expected a data-used-for-training entry in the proof of an item, found {entry.event}")
    return entry.data


def statement_of_absence(proof: Absence, trust: Trust, asked: Asked) -> Statement:
    """The complete lists of what the run used of this person are there, and the item is in none of them."""
    bundle, of_bundle = statement_of_bundle(proof.bundle, trust, asked)
    uses = {
        placed.entry.version: _use_of(placed.entry)
        for placed in bundle.history
        if isinstance(placed.entry.data, DataUsedForTraining) and placed.entry.data.run == proof.run
    }
    versions = [version for version, _ in proof.lists]
    if versions != list(uses):
        raise NotVerified(
            f"expected the lists of all uses of this person by run {proof.run} ({_versions(list(uses))}), "
            f"found those of {_versions(versions)}"
        )
    count = 0
    for version, items in proof.lists:
        what = f"the use of version {version}"
        if items != tuple(sorted(set(items), key=leaf_of)):
            raise NotVerified(f"expected the items of {what} in their order, each once, found another order")
        demand_manifest(uses[version], items, what)
        if any(name == proof.item for name, _, _ in items):
            raise NotVerified(
                f"expected no item {proof.item!r} in what run {proof.run} used, found it in {what}: it was used"
            )
        count += len(items)
    return Statement(
        kind="item-not-used",
        sentences=(
            f"{for_whom(bundle.stream, asked.subject)}: item {proof.item!r} was not used by run {proof.run}, in whose "
            f"{plural(len(uses), 'use', 'uses')} of this person, with all {plural(count, 'item', 'items')}, it is not",
            *of_bundle.sentences,
        ),
        fields={**of_bundle.fields, "item": proof.item, "run": proof.run},
        proven=of_bundle.proven,
        violations=of_bundle.violations,
        history=bundle.history,
    )


def _versions(versions: list[int]) -> str:
    return f"version {', '.join(map(str, versions))}" if versions else "none"
