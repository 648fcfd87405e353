"""Receipts: what an append is answered with, a promise signed after its commit (FORMATS.md section 7)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ledger.domain.entry import Entry, decode_entry
from ledger.domain.times import format_time, later
from ledger.errors import Refused
from ledger.keyring import read_keyring
from ledger.proof.merkle import leaf_hash
from ledger.proof.note import Note, SigningKey, format_note, parse_note, sign_note
from ledger.proof.promise import Promise, Receipt, parse_promise
from ledger.settings import Place
from ledger.store.proofs import Promising, ProofTables
from ledger.store.schema import Identity


class Committed(NamedTuple):
    """An entry that is in the log: its place, and its bytes."""

    position: int
    entry: Entry
    stored: bytes


class NoReceipt(Refused):
    """No promise can be made of this entry; the message says why, and what there is instead."""


def promise(
    place: Place, identity: Identity, tables: ProofTables, position: int, stored: bytes, now: datetime
) -> Receipt:
    """The promise of an entry that is committed at `position`; `NoReceipt` where a promise would say too much.

    `now` is the ledger's clock: nobody signs a promise that is broken already.
    """
    key = read_keyring(place.state, identity.id, identity.origin).receipts
    return promise_with(
        key, identity.origin, tables.promising(), Committed(position, decode_entry(stored), stored), now
    )


def promise_with(
    key: SigningKey | None, origin: str, promising: Promising, committed: Committed, now: datetime
) -> Receipt:
    """`promise` for whoever makes many, and has read the key that signs them, if there is one.

    `promising` is read after the entry was committed.
    """
    position, entry, stored = committed
    if promising.checkpointed >= position:
        raise NoReceipt(
            f"expected an entry that no checkpoint covers yet, found position {position} below the one of size "
            f"{promising.checkpointed}; `consent prove --entry {position}` gives its proof"
        )
    if key is None:
        raise NoReceipt(
            "expected a key that signs receipts, found none, so there is no promise; run `consent checkpoint`, then "
            f"`consent prove --entry {position}`"
        )
    covered_by = later(entry.recorded, promising.delay)
    if covered_by <= now:
        raise NoReceipt(
            f"expected a checkpoint over position {position} by {format_time(covered_by)}, found none, so there is "
            f"nothing left to promise; run `consent checkpoint`, then `consent prove --entry {position}`"
        )
    text = Promise(
        origin=origin,
        stream=entry.stream,
        position=position,
        leaf=leaf_hash(stored),
        recorded=entry.recorded_at,
        covered_by=format_time(covered_by),
    ).text
    return Receipt(entry=stored, promise=format_note(Note(text, (sign_note(text, key),))).decode())


def covered_by(receipt: Receipt) -> str:
    """Until when a checkpoint is promised."""
    return parse_promise(parse_note(receipt.promise.encode()).text).covered_by
