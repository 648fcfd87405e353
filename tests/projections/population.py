"""Random people in a real ledger, from a seed; and their rows worked out from the log in the plainest way."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from msgspec import structs

from ledger.application import ConsentLedger
from ledger.domain.consent import record_of
from ledger.domain.entry import Entry, Imported, decode_entry, encode_entry
from ledger.domain.events import Cause, SubjectEvent
from ledger.domain.names import TERMS_STREAM, is_subject_stream
from ledger.domain.terms import Catalogue, Terms, Toggle
from ledger.domain.times import format_time
from ledger.projections.projection import Projection, Row
from ledger.settings import Place
from ledger.store.writer import Append
from tests import builders
from tests.domain import given

PURPOSES = ("training", "research")
TERMS = (
    given.terms("t1", purposes={"training": ["chat"], "research": ["chat"]}),
    given.terms("t2", purposes={"training": ["chat"], "research": ["chat"]}, untouched_default="refused"),
    given.terms("t3", purposes={"training": ["chat"]}),
)
#: So coarse that starts and ends often fall together.
TICK = timedelta(seconds=5)
CAUSES: tuple[Cause, ...] = ("person", "person", "person", "migration")

Key = tuple[Any, ...]


class Population:
    """People whose streams grow by random entries, imported, so that their times are the test's."""

    def __init__(self, ledger: ConsentLedger, seed: int, people: int = 12) -> None:
        for terms in TERMS:
            ledger.publish(terms)
        self._ledger = ledger
        self._random = random.Random(seed)
        self._numbers = count(seed * 1_000_000)
        self._versions = {builders.stream_of(next(self._numbers)): 0 for _ in range(people)}
        self._recorded = given.at("3")
        self._marked = Imported(at=format_time(ledger.clock.now()), source="population")

    def grow(self, rounds: int) -> None:
        """Some rounds, in each of which about half of the people are appended to."""
        for _ in range(rounds):
            self._recorded += self._random.choice((0, 1, 1, 2)) * TICK
            chosen = self._random.sample(list(self._versions), len(self._versions) // 2)
            appends = [self._append(stream, self._random.choice((1, 1, 1, 2, 3))) for stream in chosen]
            assert all(outcome.name == "stored" for outcome in self._ledger.recorder.insert_many(appends))

    def pass_time(self, by: timedelta) -> None:
        """Nothing happens for a while."""
        self._recorded += by

    def _append(self, stream: str, length: int) -> Append:
        first = self._versions[stream] + 1
        entries: list[Entry] = []
        while len(entries) < length:
            entries.append(self._entry(stream, first + len(entries)))
            self._versions[stream] += 1
            if entries[-1].data == given.ERASED:
                # Nothing is recorded of somebody erased; another one comes.
                del self._versions[stream]
                self._versions[builders.stream_of(next(self._numbers))] = 0
                break
        return Append(stream, first, [encode_entry(entry) for entry in entries])

    def _entry(self, stream: str, version: int) -> Entry:
        occurred = self._recorded + self._random.choice((0, 0, 0, -1, -2, -4, 1, 2)) * TICK
        made = given.entry(self._event(version, occurred), version, occurred, self._recorded)
        return structs.replace(made, stream=stream, imported=self._marked, nonce=f"{version:032x}")

    def _event(self, version: int, occurred: datetime) -> SubjectEvent:
        terms = self._random.choice(TERMS)
        plan = self._random.choice(("pro", "pro", "team"))
        purpose = self._random.choice(PURPOSES)
        match self._random.choice(("shown", "shown", "accepted", "accepted", "on", "on", "off", "off", "used", "rare")):
            case "shown":
                return given.shown(terms, plan=plan)
            case "accepted":
                return self._accepted(terms, plan)
            case "used":
                basis = self._random.randint(1, version) if self._random.random() < 0.7 else None
                return given.used(format_time(occurred), basis=basis, attested=basis is None, purpose=purpose)
            case "rare" if version > 8:
                return given.ERASED
            case what:
                to: Toggle = "on" if what == "on" else "off"
                cause = self._random.choice(CAUSES)
                return given.toggled(to, purpose=purpose, cause=cause, plan=plan if version % 3 == 0 else None)

    def _accepted(self, terms: Terms, plan: str) -> SubjectEvent:
        toggles: dict[str, Toggle] = {
            purpose: "on" if self._random.random() < 0.8 else "off" for purpose in terms.purpose_ids
        }
        touched = tuple(sorted(purpose for purpose in toggles if self._random.random() < 0.5))
        return given.accepted(terms, toggles=toggles, touched=touched, plan=plan)


def rows_from_log(projection: Projection, place: Place, position: int) -> dict[Key, Row]:
    """All rows as of a position: every stream replayed whole, at once, by the domain."""
    streams: dict[str, list[tuple[int, Entry]]] = defaultdict(list)
    for at, stream, _, stored in builders.whole_log(place):
        if at <= position:
            streams[stream].append((at, decode_entry(stored)))
    catalogue = Catalogue(entry.data for _, entry in streams[TERMS_STREAM])
    rows = [
        row
        for stream, entries in streams.items()
        if is_subject_stream(stream)
        for row in projection.rows(
            record_of(stream, (entry for _, entry in entries), catalogue), {entry.version: at for at, entry in entries}
        )
    ]
    return by_key(projection, rows)


def by_key(projection: Projection, rows: Iterable[Row]) -> dict[Key, Row]:
    """Rows by what names them; no two of one name."""
    found = [(tuple(getattr(row, column) for column in projection.key), row) for row in rows]
    assert len(dict(found)) == len(found)
    return dict(found)


def rows_in_table(projection: Projection, place: Place) -> tuple[int, dict[Key, Row]]:
    """The live table's position and rows, as the owner of the database reads them."""
    columns = ", ".join(projection.columns)
    with builders.admin(place) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        query = "SELECT position FROM ledger.projection WHERE tables = %s"
        found = connection.execute(query, [projection.tables]).fetchone()
        if found is None:
            return 0, {}
        stored = connection.execute(f"SELECT {columns} FROM {table_of(projection)}").fetchall()
    return found[0], by_key(projection, [row_of(projection, values) for values in stored])


def row_of(projection: Projection, values: Sequence[Any]) -> Row:
    return projection.row(**dict(zip(projection.columns, values, strict=True)))


def table_of(projection: Projection) -> str:
    return f"{projection.tables}.{projection.table}"


def assert_as_the_log_says(projection: Projection, place: Place, position: int | None = None) -> None:
    """The live table is what the log makes it, and where it is expected."""
    at, rows = rows_in_table(projection, place)
    assert position in (None, at)
    assert rows == rows_from_log(projection, place, at)


def schemas(place: Place) -> set[str]:
    """The schemas of projections that there are, and those that have a position."""
    with builders.admin(place) as connection:
        made = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'projection%'").fetchall()
        standing = connection.execute("SELECT tables FROM ledger.projection").fetchall()
    return {name for (name,) in [*made, *standing]}
