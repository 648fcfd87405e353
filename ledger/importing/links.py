"""Who the subjects are, from another ledger: the links of a JSON Lines file, taken in line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from ledger.domain.names import Hex32
from ledger.errors import InvalidInput, SubjectErased, Unavailable
from ledger.importing.lines import RawLine, lines_of, object_of
from ledger.importing.rejects import Rejects
from ledger.importing.watcher import Watcher
from ledger.store.database import Connection
from ledger.store.identities import import_link, parse_subject

#: One transaction: its commit is spread over so many, and a killed import has lost no more than these.
BATCH_LINKS = 1_000


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """One line: an identity, and the subject id in hex."""

    identity: str
    id: Hex32


@dataclass(frozen=True, slots=True)
class Linked:
    """What became of the lines of one file, blank ones not counted."""

    lines: int
    new: int
    known: int
    rejected: int
    rejects_file: Path | None


def import_links(connection: Connection, secret: bytes, path: Path, watcher: Watcher) -> Linked:
    """Adds the links of `path`; each line is a new link, was one before, or is in the rejects file with its reason."""
    rejects = Rejects(path)
    lines = new = known = 0
    try:
        with path.open("rb") as file:
            every = lines_of(file)
            while batch := list(islice(every, BATCH_LINKS)):
                with connection.transaction():
                    for is_new in _links(connection, secret, batch, rejects):
                        new += is_new
                        known += not is_new
                lines += len(batch)
                watcher.advance(len(batch))
        rejects.write()
        return Linked(lines, new, known, rejects.count, rejects.path if rejects.count else None)
    except OSError as error:
        raise Unavailable(f"expected to read the links of {path}, found: {error.strerror or error}") from None
    finally:
        rejects.close()


def _links(connection: Connection, secret: bytes, lines: list[RawLine], rejects: Rejects) -> Iterator[bool]:
    """For each line that is a link, whether it is new."""
    for line in lines:
        try:
            link = _link_of(line)
            with connection.transaction():
                is_new = import_link(connection, secret, link.identity, bytes.fromhex(link.id))
        except (InvalidInput, SubjectErased) as error:
            rejects.add(line, str(error))
        else:
            yield is_new


def _link_of(line: RawLine) -> Link:
    try:
        link = msgspec.convert(object_of(line), Link)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"expected `identity` and `id`, found: {error}") from None
    if parse_subject(link.identity).identity is None:
        raise InvalidInput("expected an identity, found a subject id or a stream key")
    return link
