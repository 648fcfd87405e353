"""A log in memory, with fixed keys: what tests of proofs append to, publish, and take files from.

It does what the sequencer and `consent prove` do, without their database; and, where a test asks for it, what they
never would.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from ledger.domain.entry import Entry, canonical, decode_entry, encode_entry, make_entry
from ledger.domain.events import DataUsedForTraining, Event, RunStarted, SubjectMapPublished
from ledger.domain.names import LOG_STREAM, TERMS_STREAM, run_stream, stream_key, subject_stream
from ledger.domain.times import format_time
from ledger.proof.bundle import Bundle, build_bundle, format_bundle
from ledger.proof.chain import chain_next, chain_start, stream_value
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.consistency import ConsistencyFile, format_consistency
from ledger.proof.cosignature import AUDITOR_SUFFIX, cosign
from ledger.proof.kept_map import MemoryMap, area_of, prove, refold, root_of
from ledger.proof.merkle import Tree, consistency_proof, inclusion_proof, leaf_hash, root
from ledger.proof.note import COSIGNATURE, ED25519, Note, SigningKey, format_note, make_signing_key, sign_note
from ledger.proof.policy import RECEIPTS_SUFFIX, Group, Trust, trust_of_keys
from ledger.proof.promise import Promise, Receipt, format_receipt
from ledger.proof.subject_map import MapProof
from ledger.proof.tlog_proof import TlogProof, format_tlog_proof
from tests.domain import given

ORIGIN = "consent.example/log1"
SUBJECT_ID = bytes(range(16))
SUBJECT = subject_stream(SUBJECT_ID)
OTHER = subject_stream(b"\x11" * 16)
#: An item as manifests have it: name, when it was collected, kind.
Item = tuple[str, str, str]
Head = tuple[int, bytes]


def item(name: str, collected: str, kind: str = "chat") -> Item:
    return name, format_time(given.at(collected)), kind


def used(items: Iterable[Item], *, basis: int | None = None, run: str = "r1", **more: Any) -> DataUsedForTraining:
    """The use of just these items."""
    leaves = sorted(items, key=canonical)
    kinds = [kind for _, _, kind in leaves]
    times = sorted(collected for _, collected, _ in leaves)
    fields: dict[str, Any] = {
        "run": run,
        "purpose": given.TRAINING,
        "items": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "collected_from": times[0],
        "collected_until": times[-1],
        "manifest": root(leaf_hash(canonical(leaf)) for leaf in leaves).hex(),
        "attested": False,
    }
    if basis is not None:
        fields["basis"] = basis
    return DataUsedForTraining(**{**fields, **more})


class SmallLog:
    """Entries, their tree, and whatever was published of them."""

    def __init__(self, origin: str = ORIGIN, *, seed: int = 0) -> None:
        def key(name: str, type: int, number: int) -> SigningKey:
            return make_signing_key(name, type, bytes([seed + number]) * 32)

        self.origin = origin
        self.log_key = key(origin, ED25519, 1)
        self.receipts_key = key(origin + RECEIPTS_SUFFIX, ED25519, 2)
        self.witnesses = (key("witness1.example", COSIGNATURE, 3), key("witness2.example", COSIGNATURE, 4))
        self.auditor = key("auditor.example" + AUDITOR_SUFFIX, COSIGNATURE, 5)
        self.entries: list[bytes] = []
        self.tree = Tree()
        self._streams: dict[str, list[int]] = {}
        #: Of every map published, by its position: what the tables of the store hold then.
        self._maps: dict[int, tuple[MemoryMap, dict[str, Head]]] = {}

    # What is appended

    def append(
        self,
        stream: str,
        event: Event,
        occurred: str | datetime,
        recorded: str | datetime | None = None,
        **more: Any,
    ) -> int:
        """The position of one more entry; times as `given.at` reads them. `more` goes into the entry."""
        occurred_at = _moment(occurred)
        version = more.pop("version", len(self._streams.get(stream, [])) + 1)
        return self.append_bytes(
            encode_entry(
                make_entry(
                    event,
                    stream=stream,
                    version=version,
                    occurred_at=format_time(occurred_at),
                    recorded_at=format_time(occurred_at if recorded is None else _moment(recorded)),
                    nonce=f"{len(self.entries) + 1:032x}",
                    **more,
                )
            )
        )

    def append_bytes(self, entry: bytes) -> int:
        """The position of one more entry, whatever it says."""
        self.entries.append(entry)
        self.tree.append(leaf_hash(entry))
        self._streams.setdefault(decode_entry(entry).stream, []).append(len(self.entries))
        return len(self.entries)

    def publish(self, at: str | datetime, *, covers: int | None = None, without: Collection[int] = ()) -> int:
        """Publishes the map over the positions 1 … `covers`, as if those in `without` were none; its position."""
        covers = len(self.entries) if covers is None else covers
        folded, heads = self._fold(covers, without)
        event = SubjectMapPublished(covers=covers, root=root_of(folded).hex(), streams=len(heads))
        position = self.append(LOG_STREAM, event, at)
        self._maps[position] = (folded, heads)
        return position

    def _fold(self, covers: int, without: Collection[int]) -> tuple[MemoryMap, dict[str, Head]]:
        heads: dict[str, Head] = {}
        for position, entry in enumerate(self.entries[:covers], 1):
            if position not in without:
                stream = decode_entry(entry).stream
                length, head = heads.get(stream, (0, chain_start(stream_key(stream))))
                heads[stream] = (length + 1, chain_next(head, length + 1, leaf_hash(entry)))
        folded = MemoryMap()
        for stream, (length, head) in heads.items():
            folded.set(stream_key(stream), stream_value(length, head))
        refold(folded, {area_of(stream_key(stream)) for stream in heads})
        return folded, heads

    # What is signed

    def checkpoint(self, size: int | None = None, *, cosigned: bool = True) -> bytes:
        """The signed note over the first `size` entries; the two witnesses and the auditor cosign it."""
        size = len(self.entries) if size is None else size
        text = Checkpoint(self.origin, size, self.tree.root(size)).text
        signatures = [sign_note(text, self.log_key)]
        if cosigned:
            signatures += [cosign(text, key, 1_760_000_000 + size) for key in (*self.witnesses, self.auditor)]
        return format_note(Note(text, tuple(signatures)))

    @property
    def bare(self) -> Trust:
        """The log's key and its receipts' key, and nobody who vouches."""
        return trust_of_keys([self.log_key.verifier, self.receipts_key.verifier])

    @property
    def policy(self) -> Trust:
        """All of them, whose every signature is demanded."""
        cosigners = {f"w{number}": key.verifier for number, key in enumerate((*self.witnesses, self.auditor))}
        return Trust(
            logs=(self.log_key.verifier,),
            receipts=(self.receipts_key.verifier,),
            witnesses=cosigners,
            groups={"everybody": Group(len(cosigners), tuple(cosigners))},
            quorum="everybody",
        )

    # Files

    def bundle(self, subject: str = SUBJECT, size: int | None = None, *, checkpoint: bytes | None = None) -> Bundle:
        """The subject's bundle under the checkpoint of `size`, where a map was published; the last by default."""
        size = max(self._maps) if size is None else size
        folded, heads = self._maps[size]

        def prove_stream(stream: str) -> MapProof:
            return prove(folded, stream_key(stream), heads.get(stream))

        def entries_of(stream: str, covers: int) -> list[tuple[int, bytes]]:
            # As the map has it: a cut history has its beginning.
            length = heads.get(stream, (0, b""))[0]
            positions = [position for position in self._streams.get(stream, []) if position <= covers]
            return [(position, self.entries[position - 1]) for position in positions[:length]]

        return build_bundle(
            subject,
            checkpoint or self.checkpoint(size),
            entry_at=lambda position: self.entries[position - 1],
            entries_of=entries_of,
            read=self.tree.read,
            prove=prove_stream,
        )

    def bundle_file(self, subject: str = SUBJECT, size: int | None = None) -> bytes:
        return format_bundle(self.bundle(subject, size))

    def path(self, position: int, size: int | None = None) -> tuple[bytes, ...]:
        """The inclusion of an entry under the checkpoint of `size`."""
        return tuple(inclusion_proof(position - 1, size or len(self.entries), self.tree.read))

    def tlog_proof(self, position: int, size: int | None = None) -> bytes:
        return format_tlog_proof(
            TlogProof(position - 1, self.path(position, size), self.entries[position - 1], self.checkpoint(size))
        )

    def consistency(self, old: int, new: int | None = None) -> bytes:
        new = len(self.entries) if new is None else new
        proof = tuple(consistency_proof(old, new, self.tree.read))
        notes = [self.checkpoint(size).decode() for size in (old, new)]
        return format_consistency(ConsistencyFile(notes[0], notes[1], proof))

    def receipt(self, position: int, *, within: timedelta = timedelta(hours=24)) -> bytes:
        """What an append is answered with."""
        entry = self.entry(position)
        promise = Promise(
            origin=self.origin,
            stream=entry.stream,
            position=position,
            leaf=leaf_hash(self.entries[position - 1]),
            recorded=entry.recorded_at,
            covered_by=format_time(entry.recorded + within),
        )
        note = format_note(Note(promise.text, (sign_note(promise.text, self.receipts_key),)))
        return format_receipt(Receipt(self.entries[position - 1], note.decode()))

    def entry(self, position: int) -> Entry:
        return decode_entry(self.entries[position - 1])

    # What most tests begin with

    def terms(self, *published: Any) -> SmallLog:
        for terms in published or (given.SHIPPED,):
            self.append(TERMS_STREAM, terms, "1")
        return self

    def run(self, started: str, *, run: str = "r1", recorded: str | None = None, purpose: str = given.TRAINING) -> int:
        """The position of a run's start."""
        event = RunStarted(
            purpose=purpose, kind="chat", started_at=format_time(given.at(started)), cutoff=len(self.entries), input=[]
        )
        return self.append(run_stream(run), event, recorded or started)


def a_person(items: Sequence[Item] = (), *, off: bool = True) -> SmallLog:
    """Somebody who was shown the terms and accepted, whose items a run used, and who withdrew then; all on the map.

    Another person was shown them and said nothing. The positions: 1 terms, 2 and 3 shown, 4 accepted, 5 the run,
    6 its use, 7 the withdrawal, 8 the map.
    """
    log = SmallLog().terms()
    log.append(SUBJECT, given.shown(), "2")
    log.append(OTHER, given.shown(), "2 11:00")
    log.append(SUBJECT, given.accepted(touched=(given.TRAINING,)), "3")
    log.run("6")
    log.append(SUBJECT, used(items or [item("chat-1", "4"), item("chat-2", "5")], basis=2), "6 11:00")
    if off:
        log.append(SUBJECT, given.toggled("off"), "7")
    log.publish("8")
    return log


def _moment(time: str | datetime) -> datetime:
    return given.at(time) if isinstance(time, str) else time
