"""What was signed before, inside the database and outside it, and whether the log still is what was signed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger import keyring as keys
from ledger.errors import NotVerified, Refused, Unavailable
from ledger.keyring import Keyring
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint
from ledger.proof.merkle import Frontier, leaf_hash, root_at
from ledger.proof.note import VerifierKey, parse_note, verify_note
from ledger.proof.tiles import hash_reader
from ledger.store.proofs import ProofTables, StoredCheckpoint


@dataclass(frozen=True, slots=True)
class Known:
    """A checkpoint that one of the log's keys signed, with its note."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """The last checkpoint in the database; and it and the copies outside, each verified."""

    stored: StoredCheckpoint | None
    known: tuple[Known, ...]

    @property
    def newest(self) -> Known | None:
        return max(self.known, key=lambda one: one.checkpoint.size, default=None)


def signed_before(
    state: Path, ledger_id: bytes, ring: Keyring, tables: ProofTables, *, trust_database: bool = False
) -> Signed:
    """What was signed before; `Refused` where the database is all there is to say so, but for `trust_database`; and
    `Unavailable` where there is no key to sign with."""
    if not ring.log:
        raise Unavailable(
            f"expected a log key in {keys.keys_folder(state, ledger_id)}, found none; copy it from where the ledger "
            f"was made, or set CONSENT_STATE to its folder or {keys.LOG_VARIABLE} to the key"
        )
    stored = tables.last_checkpoint()
    known = []
    for key in ring.log:
        place = (state, ledger_id, ring.origin, key.verifier)
        copy = keys.read_outside(*place)
        if copy is not None:
            known.append(_opened(copy, [key.verifier], ring.origin, f"the checkpoint in {keys.outside_path(*place)}"))
    if stored is None:
        return Signed(None, tuple(known))
    if not known and not trust_database:
        path = keys.outside_path(state, ledger_id, ring.origin, ring.log[-1].verifier)
        raise Refused(
            f"expected the last checkpoint outside the database too, in {path}, found none; without it nobody sees "
            "whether the log was cut: restore the file, or say --trust-database if you know that it was not"
        )
    everyone = [*(key.verifier for key in ring.log), *ring.retired]
    known.append(_opened(stored.note.encode(), everyone, ring.origin, "the last checkpoint in the database"))
    return Signed(stored, tuple(known))


def demand_length(signed: Signed, tables: ProofTables) -> None:
    """`NotVerified` where the log is shorter than what was signed of it, or hashed: such a log is never signed."""
    head = tables.head()
    newest = signed.newest
    if newest is not None and head < newest.checkpoint.size:
        raise NotVerified(
            f"expected the {newest.checkpoint.size} entries that were signed, found {head}; nothing is signed: "
            f"restore the database from a backup that has the positions {head + 1} to {newest.checkpoint.size}"
        )
    worked = max(tables.tree_size(), tables.covers())
    if head < worked:
        raise NotVerified(
            f"expected the {worked} entries that were worked through, found {head}; nothing is signed: restore the "
            f"database from a backup that has the positions {head + 1} to {worked}"
        )


def hold_against(signed: Signed, tables: ProofTables) -> None:
    """`NotVerified` unless the tree's tables give, at each size that was signed, the root that was."""
    for one in signed.known:
        if root_of_tree(tables, one.checkpoint.size) != one.checkpoint.root:
            raise _changed_since(one)


def hold_entries_against(signed: Signed, entries: Iterable[bytes]) -> None:
    """The same of the entries themselves, from the first on: for tables that do not reach what was signed, as in a log
    that lost its end and grew on."""
    known = {one.checkpoint.size: one for one in signed.known}
    frontier = Frontier()
    for entry in entries:
        frontier.append(leaf_hash(entry))
        one = known.get(frontier.size)
        if one is not None and frontier.root() != one.checkpoint.root:
            raise _changed_since(one)


def _changed_since(one: Known) -> NotVerified:
    return NotVerified(
        f"expected the root that was signed at size {one.checkpoint.size}, found another; the log was changed since, "
        "and nothing is signed: run `consent audit`"
    )


def root_of_tree(tables: ProofTables, size: int) -> bytes:
    """The root over the first `size` entries, by the tree's tables."""
    return root_at(size, hash_reader(tables.read_tile))


def _opened(data: bytes, verifiers: Sequence[VerifierKey], origin: str, what: str) -> Known:
    try:
        note = parse_note(data)
        verify_note(note, verifiers)
        checkpoint = parse_checkpoint(note.text)
    except NotVerified as error:
        raise NotVerified(f"expected {what} to be signed by the log's key, found this: {error}") from None
    if checkpoint.origin != origin:
        raise NotVerified(f"expected {what} to be of {origin}, found one of {checkpoint.origin}")
    return Known(checkpoint, data)
