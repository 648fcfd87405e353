"""Manifests: what exactly a use used, as one root over its items (FORMATS.md section 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from ledger.domain.entry import canonical
from ledger.domain.events import DataUsedForTraining
from ledger.errors import NotVerified
from ledger.proof.merkle import leaf_hash, root

#: An item's name, when it was collected, and the kind that was decided on.
Leaf = tuple[str, str, str]
#: A stream → of each use, by its version, the items that it used.
ItemsOf = Callable[[str], Mapping[int, Sequence[Leaf]]]


def leaf_of(item: Leaf) -> bytes:
    """A manifest's leaf."""
    return canonical(list(item))


def demand_manifest(use: DataUsedForTraining, items: Iterable[Leaf], what: str) -> None:
    """`NotVerified` unless these are the items of a use: its manifest, how many of each kind, and when collected."""
    by_leaf = {leaf_of(item): item for item in items}
    found = root(leaf_hash(leaf) for leaf in sorted(by_leaf)).hex()
    if found != use.manifest:
        raise NotVerified(
            f"expected the items of {what}, found {len(by_leaf)} that make another manifest "
            f"than the {sum(use.items.values())} that were recorded"
        )
    kinds = Counter(kind for _, _, kind in by_leaf.values())
    times = sorted(collected for _, collected, _ in by_leaf.values())
    if kinds != use.items or (times[0], times[-1]) != (use.collected_from, use.collected_until):
        raise NotVerified(
            f"expected {what} to count its items by kind and to say when they were collected, found that its own "
            "manifest says otherwise: the use was recorded wrongly"
        )
