"""A bundle: one subject's complete history with its proofs, as one file (FORMATS.md section 8).

What stands in it, read strictly, and built; whether it holds is asked in `bundle_opening`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ledger.domain.entry import Entry, decode_entry
from ledger.domain.events import DataUsedForTraining
from ledger.domain.names import TERMS_STREAM, Positive, StreamName, is_subject_stream, run_stream
from ledger.errors import InvalidEntry, NotVerified
from ledger.proof.checkpoint import parse_checkpoint
from ledger.proof.merkle import HASH_SIZE, ReadHash, inclusion_proof
from ledger.proof.note import parse_note
from ledger.proof.strict import (
    decode_base64,
    decode_hashes,
    decode_json,
    encode_base64,
    encode_json,
)
from ledger.proof.subject_map import MapProof

_WHAT = "a bundle"


@dataclass(frozen=True, slots=True)
class Included:
    """An entry's bytes, its place in the log, and its path to the checkpoint's root."""

    position: int
    entry: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StreamShown:
    """One stream's entries from the first, and what the subject map says of it."""

    stream: str
    entries: tuple[Included, ...]
    proof: MapProof


@dataclass(frozen=True, slots=True)
class Bundle:
    """What such a file says, nothing verified yet."""

    #: The signed note, with its cosignatures.
    checkpoint: bytes
    #: The entry with the map's root, the last that the checkpoint covers, and its path.
    map_entry: bytes
    map_path: tuple[bytes, ...]
    #: As `streams_to_show` says.
    streams: tuple[StreamShown, ...]


def streams_to_show(subject: str, entries: Iterable[Entry]) -> list[str]:
    """The streams that a subject's history refers to, in their order; of somebody who has none, only their own."""
    history = list(entries)
    if not history:
        return [subject]
    runs = {run_stream(entry.data.run) for entry in history if isinstance(entry.data, DataUsedForTraining)}
    return [subject, TERMS_STREAM, *sorted(runs)]


def build_bundle(
    subject: str,
    checkpoint: bytes,
    *,
    entry_at: Callable[[int], bytes],
    entries_of: Callable[[str, int], Sequence[tuple[int, bytes]]],
    read: ReadHash,
    prove: Callable[[str], MapProof],
) -> Bundle:
    """The bundle of a subject's stream under a checkpoint that ends in a map entry.

    `entries_of` gives a stream's entries with their positions, from the first up to a position of the log; `prove` a
    stream's proof in the map of that entry.
    """
    size = parse_checkpoint(parse_note(checkpoint).text).size
    map_entry = entry_at(size)
    covers: int = decode_entry(map_entry).data.covers

    def shown(stream: str) -> StreamShown:
        entries = tuple(
            Included(position, entry, tuple(inclusion_proof(position - 1, size, read)))
            for position, entry in entries_of(stream, covers)
        )
        return StreamShown(stream, entries, prove(stream))

    own = shown(subject)
    others = streams_to_show(subject, (decode_entry(one.entry) for one in own.entries))[1:]
    path = tuple(inclusion_proof(size - 1, size, read))
    return Bundle(checkpoint, map_entry, path, (own, *(shown(stream) for stream in others)))


class _Included(Struct, frozen=True, forbid_unknown_fields=True):
    entry: msgspec.Raw
    inclusion: list[str]
    position: Positive


class _MapEntry(Struct, frozen=True, forbid_unknown_fields=True):
    entry: msgspec.Raw
    inclusion: list[str]


class _Own(Struct, frozen=True, forbid_unknown_fields=True):
    head: str
    n: Positive


class _Other(Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    value: str


class _Proof(Struct, frozen=True, forbid_unknown_fields=True):
    siblings: list[str]
    own: _Own | UnsetType = UNSET
    other: _Other | UnsetType = UNSET


class _Stream(Struct, frozen=True, forbid_unknown_fields=True):
    entries: list[_Included]
    proof: _Proof
    stream: StreamName


class _Bundle(Struct, frozen=True, forbid_unknown_fields=True):
    checkpoint: str
    map: _MapEntry
    streams: list[_Stream]
    v: Literal[1]


def parse_bundle(data: bytes) -> Bundle:
    """The bundle of a file's bytes; inverse of `format_bundle`. Its entries are JSON, and no more is known yet."""
    found = decode_json(data, _Bundle, _WHAT)
    if not found.streams or not is_subject_stream(found.streams[0].stream):
        raise NotVerified("expected a subject's stream first in a bundle, found none; it is about nobody")
    return Bundle(
        checkpoint=found.checkpoint.encode(),
        map_entry=bytes(found.map.entry),
        map_path=decode_hashes(found.map.inclusion, "the map entry's path"),
        streams=tuple(_stream_of(stream) for stream in found.streams),
    )


def format_bundle(bundle: Bundle) -> bytes:
    """The file's bytes; inverse of `parse_bundle`, which is asked, so no bundle is written that nobody can read."""
    data = encode_json(
        _Bundle(
            checkpoint=bundle.checkpoint.decode(),
            map=_MapEntry(entry=msgspec.Raw(bundle.map_entry), inclusion=_texts(bundle.map_path)),
            streams=[_document_of(stream) for stream in bundle.streams],
            v=1,
        )
    )
    if parse_bundle(data) != bundle:
        raise NotVerified("expected entries and hashes in a bundle, found one that reads as another")
    return data


def entry_of(data: bytes, what: str) -> Entry:
    """The entry of bytes in a proof; `NotVerified` unless they are one, in its canonical form."""
    try:
        return decode_entry(data)
    except InvalidEntry as error:
        raise NotVerified(f"{error}, as {what}") from None


def _stream_of(found: _Stream) -> StreamShown:
    what = f"the path of an entry of {found.stream}"
    entries = tuple(
        Included(one.position, bytes(one.entry), decode_hashes(one.inclusion, what)) for one in found.entries
    )
    return StreamShown(found.stream, entries, _map_proof_of(found.proof))


def _map_proof_of(found: _Proof) -> MapProof:
    # How many siblings there may be, and which end, `verify_map` knows.
    return MapProof(
        siblings=tuple(decode_base64(text, "a sibling in the map", HASH_SIZE) for text in found.siblings),
        own=None if found.own is UNSET else (found.own.n, decode_base64(found.own.head, "a head", HASH_SIZE)),
        other=None if found.other is UNSET else (_hash(found.other.key), _hash(found.other.value)),
    )


def _hash(text: str) -> bytes:
    return decode_base64(text, "another's key or value in the map", HASH_SIZE)


def _document_of(shown: StreamShown) -> _Stream:
    own, other = shown.proof.own, shown.proof.other
    return _Stream(
        entries=[
            _Included(entry=msgspec.Raw(one.entry), inclusion=_texts(one.path), position=one.position)
            for one in shown.entries
        ],
        proof=_Proof(
            siblings=_texts(shown.proof.siblings),
            own=UNSET if own is None else _Own(head=encode_base64(own[1]), n=own[0]),
            other=UNSET if other is None else _Other(key=encode_base64(other[0]), value=encode_base64(other[1])),
        ),
        stream=shown.stream,
    )


def _texts(hashes: Iterable[bytes]) -> list[str]:
    return [encode_base64(one) for one in hashes]
