"""Looks a ledger over: is everything as its init, its roles and its own bytes say it is?

It finds accidents, such as a restored backup without its guards, and clumsy hands. Whoever owns the database can fool
it; the proofs are for that.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from msgspec import UNSET

from ledger.domain.consent import TOLERANCE
from ledger.domain.entry import decode_entry, topic_of
from ledger.domain.events import SubjectErased
from ledger.errors import InvalidEntry, LedgerMissing, Refused, Unavailable
from ledger.keyring import read_keyring
from ledger.proof.merkle import leaf_hash
from ledger.settings import Place
from ledger.store import schema
from ledger.store.database import Connection, assume, connect, one_line, unavailable_as_error
from ledger.store.location import served
from ledger.store.proofs import ProofTables
from ledger.store.recorder import PAGE
from ledger.store.secret import read_secret, secret_path
from ledger.store.signed import demand_length, hold_against, hold_entries_against, signed_before
from ledger.store.statements import statement

#: Of each kind of fault, so many are named; who has more needs a backup, not a list.
MOST_NAMED = 10
#: Between two clocks. A grant reaches back no further (design, section 4), so past this people lose what they granted.
MOST_SKEW = TOLERANCE

_ERASED = topic_of(SubjectErased)
#: What a damaged schema, or a role that lacks a right, answers.
_NOT_TO_BE_SEEN = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
)
_RESTORE = "restore the database from a backup that has it, and never append to this one"

#: Told how many entries there are, and how many more were read.
Watch = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and, where that is wrong, what to do."""

    check: str
    found: str
    remedy: str | None = None

    @property
    def ok(self) -> bool:
        return self.remedy is None


@dataclass(slots=True)
class _Faults:
    """Faults of one kind: the first of them by name, and how many there are."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, name: str, count: int = 1) -> None:
        self.count += count
        if len(self.named) < MOST_NAMED:
            self.named.append(name)

    def finding(self, check: str, fine: str, remedy: str) -> Finding:
        if not self.count:
            return Finding(check, fine)
        more = f", {self.count} in all" if self.count > len(self.named) else ""
        return Finding(check, f"{', '.join(self.named)}{more}", remedy)


def examine(place: Place, watch: Watch) -> Iterator[Finding]:
    """Every check, each as it is done; `Unavailable` where the ledger cannot be reached, or is none."""
    with served(place) as url, connect(url, place.name) as connection, unavailable_as_error(place.name):
        try:
            assume(connection, "consent_service", place.name)
            identity = schema.identity(connection, place.name)
        except LedgerMissing:
            raise
        except (Unavailable, Refused) as error:
            yield Finding("schema", str(error), "do as it says, and ask again: nothing else was looked at")
            return
        yield Finding("schema", f"version {schema.migrations()[-1][0]}")
        for check, look in [
            ("server", lambda: _server(connection)),
            ("roles", lambda: _roles(connection)),
            ("guards", lambda: _guards(connection)),
            ("entries", lambda: _entries(connection, watch)),
            ("projections", lambda: _projections(connection)),
            ("secret", lambda: _secret(place, identity.id)),
            ("checkpoint", lambda: _checkpoint(connection, place, identity)),
        ]:
            yield from _told(check, look)


def _told(check: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What `look` finds; what the database cannot show is a finding too."""
    try:
        yield from look()
    except _NOT_TO_BE_SEEN as error:
        yield Finding(check, f"it could not be looked at: {one_line(error)}", "run `consent init` as the owner")


def _rows(connection: Connection, name: str, **parameters: Any) -> list[Any]:
    rows: list[Any] = connection.cursor(binary=True).execute(statement(name), parameters).fetchall()
    return rows


def _roles(connection: Connection) -> Iterator[Finding]:
    faults = _Faults()
    for (fault,) in _rows(connection, "doctor_roles"):
        faults.add(fault)
    yield faults.finding(
        "roles", "each may what it needs", "the owner grants or revokes it; `consent init` makes roles"
    )


def _server(connection: Connection) -> Iterator[Finding]:
    before = datetime.now(UTC)
    version, fsync, full_pages, synchronous, server, ledger = _rows(connection, "doctor_server")[0]
    here = before + (datetime.now(UTC) - before) / 2
    settings = {"fsync": fsync, "full_page_writes": full_pages, "synchronous_commit": synchronous}
    off = [name for name, is_on in settings.items() if not is_on]
    if off:
        yield Finding(
            "server", f"PostgreSQL {version}, {', '.join(off)} off", "set it to on: a crash would lose entries"
        )
    else:
        yield Finding("server", f"PostgreSQL {version}")
    if ledger - server > MOST_SKEW:
        found = f"the database's is {_seconds(ledger - server)} behind the newest entry"
        yield Finding("clock", found, "set the database's clock; until it catches up, every entry gets the same time")
    elif abs(server - here) > MOST_SKEW:
        found = f"the database's and this machine's are {_seconds(abs(server - here))} apart"
        yield Finding("clock", found, "set both by NTP: times that surfaces give are held against the database's")
    else:
        yield Finding("clock", f"{_seconds(abs(server - here))} between the database's and this machine's")


def _seconds(span: Any) -> str:
    return f"{span.total_seconds():.1f} s"


def _guards(connection: Connection) -> Iterator[Finding]:
    faults = _Faults()
    for guard, fault in _rows(connection, "doctor_guards"):
        faults.add(f"{guard} {fault}")
    remedy = "the owner makes them again as the migrations do, and finds out who changed them"
    yield faults.finding("guards", "in place, enabled ALWAYS", remedy)


def _entries(connection: Connection, watch: Watch) -> Iterator[Finding]:
    """One pass over the log for what can be seen row by row, and a look at the streams."""
    until = int(_rows(connection, "select_head")[0][0])
    watch(until, 0)
    missing, unreadable, columns, leaves, left = (_Faults() for _ in range(5))
    after = 0
    while rows := _rows(connection, "doctor_page", after=after, until=until, limit=PAGE):
        erased = []
        for row in rows:
            position, stream, _, event, *_, entry, leaf = row
            if position != after + 1:
                missing.add(
                    f"{after + 1} to {position - 1}" if position > after + 2 else f"{after + 1}", position - after - 1
                )
            after = position
            if fault := _fault_of_bytes(bytes(entry)):
                unreadable.add(f"{position} ({fault})")
            elif differing := _differing_columns(row):
                columns.add(f"{position} ({', '.join(differing)})")
            if bytes(leaf) != leaf_hash(bytes(entry)):
                leaves.add(str(position))
            if event == _ERASED:
                erased.append(stream)
        if erased:
            for stream, what in _rows(connection, "doctor_erased", streams=erased):
                left.add(f"{what} of {stream}")
        watch(until, len(rows))
    yield missing.finding(
        "positions", f"1 to {until} without gaps" if until else "none yet", f"these are lost: {_RESTORE}"
    )
    yield unreadable.finding("bytes", "every entry is its one canonical form", _RESTORE)
    yield columns.finding("columns", "every row says what its entry says", _RESTORE)
    yield leaves.finding("leaves", "every leaf is the hash of its entry", _RESTORE)
    yield from _streams(connection, until)
    yield left.finding("erased", "nothing is left of who was erased", "the owner calls ledger.forget(stream) for each")


def _fault_of_bytes(entry: bytes) -> str | None:
    try:
        decode_entry(entry)
    except InvalidEntry as error:
        return str(error)
    return None


def _differing_columns(row: tuple[Any, ...]) -> list[str]:
    _, stream, version, event, recorded_at, imported, stored, _ = row
    entry = decode_entry(bytes(stored))
    said = {
        "stream": (stream, entry.stream),
        "version": (version, entry.version),
        "event": (event, entry.event),
        "recorded_at": (recorded_at, entry.recorded),
        "imported": (imported, entry.imported is not UNSET),
    }
    return [column for column, (of_row, of_entry) in said.items() if of_row != of_entry]


def _streams(connection: Connection, until: int) -> Iterator[Finding]:
    faults = _Faults()
    for (place,) in _rows(connection, "doctor_versions", until=until, limit=MOST_NAMED):
        faults.add(place)
    yield faults.finding("versions", "every stream is 1, 2, … in order", f"an entry before each is lost: {_RESTORE}")


def _projections(connection: Connection) -> Iterator[Finding]:
    projections = _rows(connection, "doctor_projections")
    head = int(_rows(connection, "select_head")[0][0])
    ahead = [f"{tables} at {position}" for tables, position in projections if position > head]
    if ahead:
        found = f"{', '.join(ahead)}, beyond the log's end at {head}"
        yield Finding("projections", found, f"the log was cut: {_RESTORE}")
        return
    lags = [f"{tables} {head - position} behind" for tables, position in projections]
    yield Finding("projections", ", ".join(lags) or "none built yet")


def _secret(place: Place, ledger_id: bytes) -> Iterator[Finding]:
    path = secret_path(place.state, ledger_id)
    try:
        read_secret(place.state, ledger_id)
        mode = stat.S_IMODE(path.stat().st_mode)
    except (Unavailable, OSError) as error:
        yield Finding("secret", str(error), "restore it from a backup: without it, who was erased could come back")
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("secret", f"{path} has mode {mode:04o}, others may read it", "set it to 0600: chmod 600")
    else:
        yield Finding("secret", "readable by its owner only")


def _checkpoint(connection: Connection, place: Place, ledger: schema.Identity) -> Iterator[Finding]:
    """The log against what was signed of it; the copies outside the database come back with no backup of it."""
    tables = ProofTables(connection)
    try:
        ring = read_keyring(place.state, ledger.id, ledger.origin)
        signed = signed_before(place.state, ledger.id, ring, tables)
        demand_length(signed, tables)
        size = 0 if signed.newest is None else signed.newest.checkpoint.size
        if size <= tables.tree_size():
            hold_against(signed, tables)
        else:
            hold_entries_against(signed, _entries_up_to(connection, size))
    except (Unavailable, Refused) as error:
        yield Finding("checkpoint", str(error), "do as it says; until then no checkpoint is signed")
        return
    if signed.newest is None:
        yield Finding("checkpoint", "none yet")
    else:
        yield Finding("checkpoint", f"the log goes on from the {size} entries that were signed last")


def _entries_up_to(connection: Connection, size: int) -> Iterator[bytes]:
    after = 0
    while rows := _rows(connection, "doctor_page", after=after, until=size, limit=PAGE):
        yield from (bytes(entry) for *_, entry, _ in rows)
        after = rows[-1][0]
