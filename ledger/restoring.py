"""A whole `jsonl` export back into an empty ledger, byte for byte, so with the same root at the same size.

All in one transaction: a log that is half there never was. What lies outside the log does not come along: identities,
evidence, idempotency keys, and what is remembered of people who were erased (design, sections 5 and 10).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psycopg
from msgspec import UNSET

from ledger.domain.entry import LARGEST_ENTRY, Entry, decode_entry
from ledger.errors import InvalidEntry, Refused, Unavailable
from ledger.proof.frontier import Frontier
from ledger.proof.merkle import leaf_hash
from ledger.settings import Place
from ledger.store import schema
from ledger.store.database import Connection, connect, one_line, unavailable_as_error
from ledger.store.location import served
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


def restore(place: Place, file: Path, watch: Watch) -> Restored:
    """Fills the empty ledger at `place` with the entries of `file`, or leaves it empty; `Refused` names the line."""
    named = place.name
    with (
        _opened(file) as lines,
        served(place) as url,
        connect(url, named, autocommit=False) as connection,
        unavailable_as_error(named),
        connection.transaction(),
    ):
        identity = schema.identity(connection, named)
        tree = Frontier()
        try:
            _demand_empty(connection, named)
            _copy(connection, lines, file, tree, watch)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Unavailable(
                f"expected the owner of the ledger at {named}, found: {one_line(error)}; name the user who made it"
            ) from None
        _demand_order(connection, file)
    return Restored(identity, tree.size, tree.root())


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


def _copy(connection: Connection, lines: BinaryIO, file: Path, tree: Frontier, watch: Watch) -> None:
    try:
        with connection.cursor().copy(statement("restore_copy")) as copy:
            copy.set_types(_TYPES)
            for position, stored, entry in _entries(lines, file):
                imported = entry.imported is not UNSET
                copy.write_row((position, entry.stream, entry.version, entry.event, entry.recorded, imported, stored))
                tree.append(leaf_hash(stored))
                if position % _STEP == 0:
                    watch(_STEP)
    except psycopg.errors.UniqueViolation as error:
        # The server counts the rows of a COPY as we count the lines; all else in the words may be translated.
        found = _NUMBER.search(error.diag.context or "")
        raise _refused(file, int(found[0]) if found else None, "a version that its stream has already") from None
    if tree.size == 0:
        raise Refused(f"expected an entry on each line of {file}, found no line; export the log with --format jsonl")


def _entries(lines: BinaryIO, file: Path) -> Iterator[tuple[int, bytes, Entry]]:
    """The entries with their positions; a line is one entry's bytes, and nothing else."""
    position = 0
    # One byte for the line's end, and one that shows that it is too long.
    while line := lines.readline(LARGEST_ENTRY + 2):
        position += 1
        stored = line.removesuffix(b"\n")
        try:
            yield position, stored, decode_entry(stored)
        except InvalidEntry as error:
            raise _refused(file, position, f"a line that is none: {error}") from None


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
