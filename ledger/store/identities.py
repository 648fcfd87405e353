"""Who the subjects are: the erasable links from identities, and what is left of them after an erasure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from ledger.domain.names import SUBJECT_ID_BYTES, subject_stream
from ledger.errors import InvalidInput, SubjectErased
from ledger.store import arrays
from ledger.store.database import Connection, unavailable_as_error
from ledger.store.keys import fingerprint, fingerprints
from ledger.store.statements import statement

#: What the names of people begin with that are not identities: of a subject id, and of a stream key.
OTHER_NAMES = ("id:", "key:")
#: Longer is no e-mail address or account id, and would not fit a row of the index.
LONGEST_IDENTITY = 512
_IDENTITY = re.compile(rf"\A[^\x00-\x1f\ud800-\udfff]{{1,{LONGEST_IDENTITY}}}\Z")


@dataclass(frozen=True, slots=True)
class Subject:
    """One person as named by a caller. No `stream`: nobody of that name; `erased`: when an identity last was."""

    named: str
    identity: str | None = None
    subject_id: bytes | None = None
    stream: str | None = None
    erased: datetime | None = None


def parse_subject(named: str) -> Subject:
    """An identity, `id:` and 32 hex digits, or `key:` and 64; nothing is guessed from its form (design, section 10)."""
    for prefix, digits in (("id:", 2 * SUBJECT_ID_BYTES), ("key:", 64)):
        if named.startswith(prefix):
            hexadecimal = named.removeprefix(prefix)
            if len(hexadecimal) != digits or set(hexadecimal) - set("0123456789abcdef"):
                raise InvalidInput(f"expected {prefix} and {digits} digits of lower-case hex, found {named!r}")
            if prefix == "key:":
                return Subject(named, stream=hexadecimal)
            subject_id = bytes.fromhex(hexadecimal)
            return Subject(named, subject_id=subject_id, stream=subject_stream(subject_id))
    if not _IDENTITY.match(named):
        raise InvalidInput(
            f"expected an identity of 1 to {LONGEST_IDENTITY} characters without control characters or lone "
            f"surrogates, found {named[:40]!r}"
        )
    return Subject(named, identity=named)


def is_identity(named: str) -> bool:
    """Whether a name is an identity, by the same rules."""
    return not named.startswith(OTHER_NAMES) and _IDENTITY.match(named) is not None


def new_subject_ids(count: int) -> list[bytes]:
    """Fresh subject ids: random, never derived from an identity."""
    drawn = os.urandom(SUBJECT_ID_BYTES * count)
    return [drawn[begin : begin + SUBJECT_ID_BYTES] for begin in range(0, len(drawn), SUBJECT_ID_BYTES)]


class Identities:
    """The links, for the service: it finds and links those it can name, and can list nobody."""

    def __init__(self, pool: ConnectionPool[Connection], secret: bytes, name: str) -> None:
        self._pool = pool
        self._secret = secret
        self._name = name

    def find(self, named: Iterable[str]) -> dict[str, Subject]:
        """The subjects of these names, each with what is known of it."""
        subjects = {name: parse_subject(name) for name in named}
        return self._fill_in(subjects)[1] if subjects else {}

    def find_at_head(self, named: Iterable[str]) -> tuple[int, dict[str, Subject]]:
        """The same, and where the log ended when they were so."""
        return self._fill_in({name: parse_subject(name) for name in named})

    def link(
        self, identities: Sequence[tuple[str, datetime]], new_ids: Sequence[bytes] | None = None
    ) -> dict[str, bytes]:
        """Makes subjects of identities without one, but of those erased since the time given; all links there are.

        `new_ids` are for those who were decided on under an id before they are linked: random, as new ids are.
        """
        names = [identity for identity, _ in identities]
        prints = fingerprints(self._secret, names)
        recorded = [moment for _, moment in identities]
        if not names:
            return {}
        new_ids = new_ids or new_subject_ids(len(names))
        rows = self._rows(
            "link_identities", {"names": names, "prints": prints, "recorded": recorded, "new_ids": new_ids}
        )
        return {identity: bytes(subject_id) for identity, subject_id in rows}

    def link_new(self, identities: Sequence[str], new_ids: Sequence[bytes]) -> set[str]:
        """Links people who are held to be new; those who are not, for they are linked already or were erased once."""
        prints = fingerprints(self._secret, identities)
        parameters = {
            "names": arrays.of_texts(identities),
            "prints": arrays.of_bytes(prints),
            "new_ids": arrays.of_bytes(new_ids),
        }
        with unavailable_as_error(self._name), self._pool.connection() as connection:
            arrays.register(connection)
            return {name for (name,) in connection.execute(statement("link_new"), parameters)}

    def _fill_in(self, subjects: dict[str, Subject]) -> tuple[int, dict[str, Subject]]:
        identities = [subject.identity for subject in subjects.values() if subject.identity is not None]
        streams = [subject.stream for subject in subjects.values() if subject.stream and subject.subject_id is None]
        prints = dict(zip(fingerprints(self._secret, identities), identities, strict=True))
        ids: dict[str, bytes] = {}
        by_stream: dict[str, bytes] = {}
        erased: dict[str, datetime] = {}
        rows = self._rows("find_subjects", {"names": identities, "streams": streams, "prints": list(prints)})
        for _, kind, name, found, erased_at in rows:
            match kind:
                case "identity":
                    ids[name] = bytes(found)
                case "stream":
                    by_stream[name] = bytes(found)
                case "erased":
                    erased[prints[bytes(found)]] = erased_at
        for name, subject in subjects.items():
            if subject.identity is not None:
                subject_id = ids.get(subject.identity)
                stream = subject_stream(subject_id) if subject_id else None
                subjects[name] = Subject(name, subject.identity, subject_id, stream, erased.get(subject.identity))
            elif subject.subject_id is None:
                subjects[name] = Subject(name, None, by_stream.get(subject.stream or ""), subject.stream)
        return int(rows[0][0]), subjects

    def _rows(self, name: str, parameters: dict[str, Any]) -> list[Any]:
        with unavailable_as_error(self._name), self._pool.connection() as connection:
            rows: list[Any] = connection.cursor(binary=True).execute(statement(name), parameters).fetchall()
        return rows


def export_links(connection: Connection) -> Iterator[tuple[str, bytes]]:
    """Every link, for whoever may act as `consent_identities`, in the order of the identities."""
    with connection.transaction(), connection.cursor("links") as cursor:
        cursor.execute(statement("select_links"))
        for identity, subject_id in cursor:
            yield identity, bytes(subject_id)


def import_link(connection: Connection, secret: bytes, identity: str, subject_id: bytes) -> bool:
    """Adds one link; False where the very same is there. `InvalidInput` where either side is linked otherwise,
    `SubjectErased` where the subject was erased."""
    parameters = {"identity": identity, "subject_id": subject_id, "fingerprint": fingerprint(secret, identity)}
    try:
        return connection.execute(statement("insert_link"), parameters).rowcount == 1
    except psycopg.errors.UniqueViolation:
        raise InvalidInput("expected a link that agrees with those in the ledger, found another one") from None
    except psycopg.errors.IntegrityConstraintViolation:
        raise SubjectErased(
            "expected a subject who is not erased, found one erased since; leave the link out"
        ) from None
