"""A whole `jsonl` export back into an empty ledger, byte for byte, so with the same root at the same size.

All in one transaction: a log that is half there never was. What lies outside the log does not come along: identities,
evidence, idempotency keys, and what is remembered of people who were erased (design, sections 5 and 10).

It is a new log, or, after a loss, the old one going on: then its entries extend the last checkpoint that is known, and
the key that signed it signs again. Two logs that both went on would show the world two histories.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import psycopg
from msgspec import UNSET

from ledger.domain.entry import LARGEST_ENTRY, Entry
from ledger.domain.replaying import PAGE, Decoder, Repeated
from ledger.errors import InvalidEntry, InvalidInput, NotVerified, Refused, Unavailable
from ledger.keyring import LOG_VARIABLE, Keyring, read_keyring, take_back, write_outside
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint
from ledger.proof.merkle import Frontier, leaf_hash
from ledger.proof.note import SigningKey, VerifierKey, parse_note, verify_note
from ledger.settings import Place
from ledger.store import schema
from ledger.store.database import Connection, connect, one_line, unavailable_as_error
from ledger.store.location import served
from ledger.store.proofs import ProofTables
from ledger.store.statements import statement

#: The columns of `restore_copy`, so that they travel in binary.
_TYPES = ("int8", "text", "int8", "text", "timestamptz", "bool", "bytea")
_NUMBER = re.compile(r"[0-9]+")
#: Whole progress is told in steps of this many entries.
_STEP = 1_000

#: Told how many more entries were read.
Watch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored: so many entries, and the root of the tree over them."""

    identity: schema.Identity
    entries: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Former:
    """A log that was lost: the last checkpoint of it that is known, a note, and the key that signed it.

    Without `key` it is among those of the new ledger's keyring, as keys in the environment are.
    """

    note: bytes
    key: SigningKey | None = None


def restore(place: Place, file: Path, watch: Watch, former: Former | None = None) -> Restored:
    """Fills the empty ledger at `place` with the entries of `file`, or leaves it empty; `Refused` names the line.

    With `former` it goes on as that log; `NotVerified` where the entries do not extend its checkpoint.
    """
    named = place.name
    with (
        _opened(file) as lines,
        served(place) as url,
        connect(url, named, autocommit=False) as connection,
        unavailable_as_error(named),
        connection.transaction(),
    ):
        identity = schema.identity(connection, named)
        lost = None if former is None else _Lost(place, identity, former)
        tree = Frontier()
        try:
            _demand_empty(connection, named)
            if lost is not None:
                lost.demand_unsigned(connection)
            _copy(connection, lines, file, tree, watch, lost)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Unavailable(
                f"expected the owner of the ledger at {named}, found: {one_line(error)}; name the user who made it"
            ) from None
        _demand_order(connection, file)
        if lost is not None:
            # Before the commit: a ledger with these entries must never sign with another key.
            lost.take_back(tree)
    return Restored(identity, tree.size, tree.root())


class _Lost:
    """The log that is taken back, while its entries go by."""

    def __init__(self, place: Place, identity: schema.Identity, former: Former) -> None:
        self._place = place
        self._identity = identity
        self._former = former
        note = parse_note(former.note)
        self._checkpoint: Checkpoint = parse_checkpoint(note.text)
        if self._checkpoint.origin != identity.origin:
            raise Refused(
                f"expected a ledger made by `consent init --origin {self._checkpoint.origin}`, found one of the origin "
                f"{identity.origin}; make one for it"
            )
        if former.key is not None and os.environ.get(LOG_VARIABLE):
            raise InvalidInput(f"expected the log key in a file or in {LOG_VARIABLE}, found both; unset {LOG_VARIABLE}")
        keys = [former.key] if former.key else list(self._keyring().log)
        self._signers: tuple[VerifierKey, ...] = verify_note(note, [self._log_key(key) for key in keys])

    def demand_unsigned(self, connection: Connection) -> None:
        """The new ledger may have signed nothing: it would be another history under the same origin."""
        if ProofTables(connection).last_checkpoint() is not None:
            raise Refused(
                "expected a ledger that never had a checkpoint, found one that has; make a new one with `consent init`"
            )

    def compare(self, tree: Frontier) -> None:
        """Called after each entry: where the checkpoint's size is reached its root must be."""
        if tree.size == self._checkpoint.size and tree.root() != self._checkpoint.root:
            raise NotVerified(
                f"expected the root of the checkpoint after {tree.size} entries, found another; nothing was restored: "
                "these are not the entries that were signed"
            )

    def take_back(self, tree: Frontier) -> None:
        """Makes the key and the checkpoint those of the new ledger."""
        if tree.size < self._checkpoint.size:
            raise NotVerified(
                f"expected at least the {self._checkpoint.size} entries of the checkpoint, found {tree.size}; "
                "nothing was restored: a log that is shorter than what it signed must not go on"
            )
        state, of = self._place.state, self._identity
        if self._former.key is not None:
            take_back(state, of.id, self._former.key)
        for key in self._signers:
            write_outside(state, of.id, of.origin, key, self._former.note)

    def _keyring(self) -> Keyring:
        return read_keyring(self._place.state, self._identity.id, self._identity.origin)

    def _log_key(self, key: SigningKey) -> VerifierKey:
        if key.verifier.name != self._identity.origin:
            raise Refused(
                f"expected a log key of {self._identity.origin}, found a key of {key.verifier.name}; give the log's own"
            )
        return key.verifier


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise Unavailable(f"expected an export at {file}, found: {error.strerror}") from None


def _demand_empty(connection: Connection, named: str) -> None:
    connection.execute(statement("restore_lock"))
    row = connection.execute(statement("select_head")).fetchone()
    if row is None or row[0]:
        raise Refused(
            f"expected an empty ledger at {named}, found one with entries; make a new one with `consent init`"
        )


def _copy(
    connection: Connection, lines: BinaryIO, file: Path, tree: Frontier, watch: Watch, lost: _Lost | None
) -> None:
    try:
        with connection.cursor().copy(statement("restore_copy")) as copy:
            copy.set_types(_TYPES)
            for position, stored, entry in _entries(lines, file):
                imported = entry.imported is not UNSET
                copy.write_row((position, entry.stream, entry.version, entry.event, entry.recorded, imported, stored))
                tree.append(leaf_hash(stored))
                if lost is not None:
                    lost.compare(tree)
                if position % _STEP == 0:
                    watch(_STEP)
    except psycopg.errors.UniqueViolation as error:
        # The server counts the rows of a COPY as we count the lines; all else in the words may be translated.
        found = _NUMBER.search(error.diag.context or "")
        raise _refused(file, int(found[0]) if found else None, "a version that its stream has already") from None
    if tree.size == 0:
        raise Refused(f"expected an entry on each line of {file}, found no line; export the log with --format jsonl")


def _entries(lines: BinaryIO, file: Path) -> Iterator[tuple[int, bytes, Entry | Repeated]]:
    """The entries with their positions; a line is one entry's bytes, and nothing else."""
    position, decoder = 0, Decoder()
    while page := list(islice(_lines(lines, file), PAGE)):
        entries = decoder.decode(page)
        for stored in page:
            position += 1
            try:
                yield position, stored, next(entries)
            except InvalidEntry as error:
                raise _refused(file, position, f"a line that is none: {error}") from None


def _lines(lines: BinaryIO, file: Path) -> Iterator[bytes]:
    while line := _next_line(lines, file):
        yield line.removesuffix(b"\n")


def _next_line(lines: BinaryIO, file: Path) -> bytes:
    try:
        # One byte for the line's end, and one that shows that it is too long.
        return lines.readline(LARGEST_ENTRY + 2)
    except OSError as error:
        raise Unavailable(f"expected to read {file}, found: {error.strerror}; nothing was restored") from None


def _demand_order(connection: Connection, file: Path) -> None:
    row = connection.execute(statement("restore_versions")).fetchone()
    if row is not None:
        position, stream, version, expected = row
        raise _refused(file, position, f"version {version} of stream {stream} in the place of version {expected}")


def _refused(file: Path, line: int | None, found: str) -> Refused:
    where = file if line is None else f"line {line} of {file}"
    return Refused(
        f"expected a whole log, each line an entry as it was stored, found at {where} {found}; "
        "nothing was restored: export the log anew, whole, with --format jsonl"
    )
