"""Whether a bundle holds: every check that needs no judgement (FORMATS.md sections 4, 5 and 8).

What comes out is a history that nothing was left out of and nothing was changed in, as of the map entry's time, if the
map is right; who vouches for that, the checkpoint's signatures say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ledger.domain.as_of import Placed
from ledger.domain.entry import Entry
from ledger.domain.events import SubjectMapPublished
from ledger.domain.names import RUN_PREFIX, TERMS_STREAM, stream_key
from ledger.errors import NotVerified
from ledger.proof.bundle import Bundle, Included, StreamShown, entry_of, streams_to_show
from ledger.proof.chain import chain_next, chain_start
from ledger.proof.merkle import leaf_hash, verify_inclusion
from ledger.proof.policy import Opened, Trust, open_checkpoint
from ledger.proof.strict import shown
from ledger.proof.subject_map import verify_map


@dataclass(frozen=True, slots=True)
class OpenBundle:
    """What a bundle proves under its checkpoint."""

    opened: Opened
    #: The map's entry, at the position that is the checkpoint's size.
    map: Placed
    #: The stream that the bundle is about.
    stream: str
    #: Each stream's complete history, that of the subject first; empty where the map proves that there is none.
    histories: Mapping[str, tuple[Placed, ...]]
    #: Position → the stream and the leaf hash of every entry in it.
    leaves: Mapping[int, tuple[str, bytes]]

    @property
    def history(self) -> tuple[Placed, ...]:
        """The subject's entries."""
        return self.histories[self.stream]

    @property
    def terms(self) -> tuple[Placed, ...]:
        return self.histories.get(TERMS_STREAM, ())

    def run(self, run: str) -> tuple[Placed, ...]:
        return self.histories.get(RUN_PREFIX + run, ())

    @property
    def size(self) -> int:
        """N: the log's entries under the checkpoint."""
        return self.opened.checkpoint.size

    @property
    def covers(self) -> int:
        """C: of the positions 1 … C the history is complete."""
        covers: int = self.map.entry.data.covers
        return covers

    @property
    def complete_as_of(self) -> datetime:
        """Every append acknowledged before this time lies within C (FORMATS.md section 5)."""
        return self.map.entry.occurred


def open_bundle(bundle: Bundle, trust: Trust) -> OpenBundle:
    """The histories of a bundle; `NotVerified` names the first thing in it that does not hold."""
    opened = open_checkpoint(bundle.checkpoint, trust)
    log = _Log(opened)
    size = opened.checkpoint.size
    if size == 0:
        raise NotVerified("expected a checkpoint that ends in a map's entry, found one of an empty log")
    map_entry = log.take(Included(size, bundle.map_entry, bundle.map_path), "the map's entry")
    covers = _covers_of(map_entry, size)
    root = bytes.fromhex(map_entry.data.root)
    histories: dict[str, tuple[Placed, ...]] = {}
    for one in bundle.streams:
        if one.stream in histories:
            raise NotVerified(f"expected each stream once in a bundle, found {one.stream} again")
        histories[one.stream] = _history(one, log, covers, root)
    subject = bundle.streams[0].stream
    _demand_streams(list(histories), streams_to_show(subject, (placed.entry for placed in histories[subject])))
    return OpenBundle(opened, Placed(size, map_entry), subject, histories, log.leaves)


class _Log:
    """The log under one checkpoint, as far as it was shown."""

    def __init__(self, opened: Opened) -> None:
        self._checkpoint = opened.checkpoint
        self.leaves: dict[int, tuple[str, bytes]] = {}

    def take(self, one: Included, what: str) -> Entry:
        """The entry, which is at its position in the log."""
        leaf = leaf_hash(one.entry)
        try:
            verify_inclusion(leaf, one.position - 1, self._checkpoint.size, one.path, self._checkpoint.root)
        except NotVerified as error:
            raise NotVerified(f"{what}, at position {one.position}: {error}") from None
        entry = entry_of(one.entry, what)
        self.leaves[one.position] = (entry.stream, leaf)
        return entry


def _covers_of(entry: Entry, size: int) -> int:
    if not isinstance(entry.data, SubjectMapPublished):
        raise NotVerified(
            f"expected the map's entry at position {size}, where the checkpoint ends, found {entry.event}; "
            "make the bundle anew"
        )
    if entry.data.covers >= size:
        raise NotVerified(
            f"expected a map over positions below its own, {size}, found one that claims to cover {entry.data.covers}"
        )
    return entry.data.covers


def _history(one: StreamShown, log: _Log, covers: int, root: bytes) -> tuple[Placed, ...]:
    """All entries of a stream: as many as the map says, at rising positions, and with the head that it says."""
    key = stream_key(one.stream)
    try:
        held = verify_map(key, one.proof, root)
    except NotVerified as error:
        raise NotVerified(f"the map proof of {one.stream}: {error}") from None
    length, head = (0, chain_start(key)) if held is None else held
    if len(one.entries) != length:
        raise NotVerified(
            f"expected all {length} entries that the map has of stream {one.stream}, found {len(one.entries)}: "
            "entries were left out or added"
        )
    history: list[Placed] = []
    chain = chain_start(key)
    for version, included in enumerate(one.entries, 1):
        if included.position > covers or (history and included.position <= history[-1].position):
            raise NotVerified(
                f"expected entries of {one.stream} at rising positions up to {covers}, "
                f"found position {included.position} for version {version}"
            )
        entry = log.take(included, f"version {version} of {one.stream}")
        if (entry.stream, entry.version) != (one.stream, version):
            raise NotVerified(
                f"expected version {version} of {one.stream} at position {included.position}, "
                f"found version {entry.version} of {entry.stream}"
            )
        chain = chain_next(chain, version, log.leaves[included.position][1])
        history.append(Placed(included.position, entry))
    if chain != head:
        raise NotVerified(
            f"expected the entries that the map has of stream {one.stream}, found others: their chain has another head"
        )
    return tuple(history)


def _demand_streams(found: list[str], expected: list[str]) -> None:
    if found != expected:
        raise NotVerified(
            f"expected exactly the streams that the history refers to ({shown(', '.join(expected))}), "
            f"found {shown(', '.join(found))}"
        )
