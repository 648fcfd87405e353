"""One item: that it was in a run's use of a person's data, or that it was in none of them (FORMATS.md section 8)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ledger.application import ConsentLedger
from ledger.domain.entry import decode_entry
from ledger.domain.events import DataUsedForTraining
from ledger.domain.names import run_stream
from ledger.errors import InvalidInput, NotVerified, Refused
from ledger.proof.bundle import Included
from ledger.proof.item_proof import Absence, Presence, format_absence, format_presence
from ledger.proof.manifests import Leaf, demand_manifest, leaf_of
from ledger.proof.merkle import Tree, inclusion_proof, leaf_hash
from ledger.proving.history import bundle_of
from ledger.proving.snapshot import Snapshot, settled

#: FORMATS.md section 6.
_NAME = re.compile(r"\A[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,512}\Z")

#: Of a person's uses in a run, by their versions, the items.
Lists = Mapping[int, Sequence[Leaf]]


@dataclass(frozen=True, slots=True)
class ItemProof:
    """The file's bytes, what it shows, and the use that the item was in."""

    kind: Literal["item-used", "item-not-used"]
    data: bytes
    version: int | None = None


@dataclass(frozen=True, slots=True)
class _Use:
    position: int
    stored: bytes
    data: DataUsedForTraining


def prove_item(ledger: ConsentLedger, stream: str, run: str, item: str, lists: Lists) -> ItemProof:
    """Presence, or else absence; `lists` are of this person what the run released, sorted by leaf."""
    if not _NAME.match(item):
        raise InvalidInput(
            f"expected an item's name of 1 to 512 characters without control characters, found {item[:40]!r}"
        )
    with settled(ledger) as now:
        if not now.stream(run_stream(run)):
            raise Refused(f"expected a run in the log, found none of the name {run}; check its spelling")
        uses = _uses_of(now, stream, run)
        if others := sorted(lists.keys() - uses.keys()):
            raise NotVerified(
                f"expected items of run {run}, found some of version {others[0]} of the person's stream, which is no "
                "use by that run; give the permitted.parquet of the run"
            )
        for version, leaves in sorted(lists.items()):
            found = next((index for index, (name, *_) in enumerate(leaves) if name == item), None)
            if found is not None:
                return ItemProof("item-used", _presence(now, uses[version], leaves, found), version)
        return ItemProof("item-not-used", _absence(now, stream, run, item, uses, lists))


def _uses_of(now: Snapshot, stream: str, run: str) -> dict[int, _Use]:
    """The person's uses by a run, by version, also those that no checkpoint covers yet."""
    uses = {}
    for position, stored in now.stream(stream):
        entry = decode_entry(stored)
        if isinstance(entry.data, DataUsedForTraining) and entry.data.run == run:
            uses[entry.version] = _Use(position, stored, entry.data)
    return uses


def _presence(now: Snapshot, use: _Use, leaves: Sequence[Leaf], index: int) -> bytes:
    last = now.checkpoint()
    if use.position > last.size:
        raise _not_covered()
    demand_manifest(use.data, leaves, "the use")
    manifest = Tree(leaf_hash(leaf_of(leaf)) for leaf in leaves)
    return format_presence(
        Presence(
            checkpoint=last.note.encode(),
            item=leaves[index],
            index=index,
            path=tuple(inclusion_proof(index, manifest.size, manifest.read)),
            use=Included(use.position, use.stored, tuple(inclusion_proof(use.position - 1, last.size, now.read_hash))),
        )
    )


def _absence(now: Snapshot, stream: str, run: str, item: str, uses: Mapping[int, _Use], lists: Lists) -> bytes:
    for version, use in uses.items():
        if use.position > now.checkpoint().covers:
            raise _not_covered()
        if version not in lists:
            raise NotVerified(
                f"expected all items of every use of the person by run {run}, found none of the use of version "
                f"{version}; without them absence cannot be shown: give the permitted.parquet of the run, whole"
            )
        demand_manifest(use.data, lists[version], f"the use of version {version}")
    ordered = tuple((version, tuple(lists[version])) for version in sorted(uses))
    return format_absence(Absence(bundle=bundle_of(now, stream), item=item, run=run, lists=ordered))


def _not_covered() -> Refused:
    return Refused(
        "expected the person's uses by the run below the last checkpoint, found one that it does not cover yet; run "
        "`consent checkpoint` first"
    )
