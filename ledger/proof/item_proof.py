"""Whether one item was in a run's use: a path into the use's manifest, or the complete lists of a subject's uses.

FORMATS.md sections 6 and 8. As files; `verifying` asks whether they hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ledger.domain.names import Name, Natural, Positive, TimeText
from ledger.errors import NotVerified
from ledger.proof.bundle import Bundle, Included, format_bundle, parse_bundle
from ledger.proof.manifests import Leaf
from ledger.proof.strict import decode_hashes, decode_json, encode_base64, encode_json

#: Names of items have 1 to 512 characters, none of them a control character (FORMATS.md section 6).
_ItemName = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f]{1,512}\Z")]
_Item = tuple[_ItemName, TimeText, Name]


@dataclass(frozen=True, slots=True)
class Presence:
    """An item, its path in the manifest of a use, and that use's entry in the log; nothing verified yet."""

    checkpoint: bytes
    item: Leaf
    #: RFC 6962's, in the manifest.
    index: int
    path: tuple[bytes, ...]
    use: Included


@dataclass(frozen=True, slots=True)
class Absence:
    """A subject's bundle, and of each of their uses in a run, by its version, all its items; nothing verified yet."""

    bundle: Bundle
    item: str
    run: str
    lists: tuple[tuple[int, tuple[Leaf, ...]], ...]


class _Use(Struct, frozen=True, forbid_unknown_fields=True):
    entry: msgspec.Raw
    inclusion: list[str]
    position: Positive


class _Presence(Struct, frozen=True, forbid_unknown_fields=True):
    checkpoint: str
    item: _Item
    index: Natural
    path: list[str]
    use: _Use
    v: Literal[1]


class _List(Struct, frozen=True, forbid_unknown_fields=True):
    items: list[_Item]
    version: Positive


class _Absence(Struct, frozen=True, forbid_unknown_fields=True):
    bundle: msgspec.Raw
    item: _ItemName
    lists: list[_List]
    run: Name
    v: Literal[1]


def parse_presence(data: bytes) -> Presence:
    """The proof of a file's bytes; inverse of `format_presence`."""
    found = decode_json(data, _Presence, "a proof that an item was used")
    return Presence(
        checkpoint=found.checkpoint.encode(),
        item=found.item,
        index=found.index,
        path=decode_hashes(found.path, "an item's path"),
        use=Included(
            found.use.position, bytes(found.use.entry), decode_hashes(found.use.inclusion, "the path of a use")
        ),
    )


def format_presence(proof: Presence) -> bytes:
    """The file's bytes; inverse of `parse_presence`, which is asked, so nothing is written that nobody can read."""
    data = encode_json(
        _Presence(
            checkpoint=proof.checkpoint.decode(),
            item=proof.item,
            index=proof.index,
            path=[encode_base64(one) for one in proof.path],
            use=_Use(
                entry=msgspec.Raw(proof.use.entry),
                inclusion=[encode_base64(one) for one in proof.use.path],
                position=proof.use.position,
            ),
            v=1,
        )
    )
    if parse_presence(data) != proof:
        raise NotVerified("expected an item and a use in a proof, found one that reads as another")
    return data


def parse_absence(data: bytes) -> Absence:
    """The proof of a file's bytes; inverse of `format_absence`."""
    found = decode_json(data, _Absence, "a proof that an item was not used")
    return Absence(
        bundle=parse_bundle(bytes(found.bundle)),
        item=found.item,
        run=found.run,
        lists=tuple((one.version, tuple(one.items)) for one in found.lists),
    )


def format_absence(proof: Absence) -> bytes:
    """The file's bytes; inverse of `parse_absence`, which is asked, so nothing is written that nobody can read."""
    data = encode_json(
        _Absence(
            bundle=msgspec.Raw(format_bundle(proof.bundle)),
            item=proof.item,
            lists=[_List(items=list(items), version=version) for version, items in proof.lists],
            run=proof.run,
            v=1,
        )
    )
    if parse_absence(data) != proof:
        raise NotVerified("expected an item and lists in a proof, found one that reads as another")
    return data
