"""The auditor's own state: one SQLite file, committed batch by batch, so that a killed audit goes on where it was.

It is never in the ledger's database (FORMATS.md section 7): what an operator could change would hold the operator to
nothing. What is in it was seen once, whatever the source says later.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from ledger.audit.findings import Finding, Kind, Scope
from ledger.errors import Unavailable

#: What tells the file from another program's, and this version's layout from others ("Cled").
_APPLICATION, _LAYOUT = 0x436C6564, 2
#: How much of the file SQLite keeps in memory, in KiB.
_CACHE = 64 * 1024
#: Pages of SQLite's own log before they are copied into the file, 64 MB: a page that changes often is copied once.
_LOG_PAGES = 16_000
#: Rows that one statement asks for: no build of SQLite takes fewer parameters.
_AT_ONCE = 999


class State:
    """The tables. Everything is read and written inside one transaction, which `commit` ends and begins anew."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def commit(self) -> None:
        self.connection.execute("COMMIT")
        self.connection.execute("BEGIN IMMEDIATE")

    def get(self, name: str, default: Any = None) -> Any:
        row = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return default if row is None else row[0]

    def put(self, **values: Any) -> None:
        self.connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def rows(self, query: str, *parameters: Any) -> Iterator[Any]:
        return self.connection.execute(query, parameters)

    def rows_of(self, query: str, keys: Collection[Any]) -> Iterator[Any]:
        """The rows of many keys, in whose list `query` ends: `… IN`."""
        listed = list(keys)
        for start in range(0, len(listed), _AT_ONCE):
            asked = listed[start : start + _AT_ONCE]
            yield from self.connection.execute(f"{query} ({', '.join('?' * len(asked))})", asked)

    def write(self, statement: str, rows: Iterable[Any]) -> None:
        self.connection.executemany(statement, rows)

    # Findings.

    def replace(self, scope: Scope, found: Mapping[str, Sequence[Finding]]) -> None:
        """These are the findings on each subject from now on; what was found on it before is not any more."""
        self.write("DELETE FROM finding WHERE scope = ? AND subject = ?", ((scope, subject) for subject in found))
        for subject, findings in found.items():
            if findings:
                self.add(scope, subject, findings)

    def forget(self, scope: Scope) -> None:
        self.connection.execute("DELETE FROM finding WHERE scope = ?", (scope,))

    def add(self, scope: Scope, subject: str, findings: Iterable[Finding]) -> None:
        self.write(
            "INSERT INTO finding (scope, subject, kind, position, stream, version, sentence, details)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (scope, subject, f.kind, f.position, f.stream, f.version, f.sentence, msgspec.json.encode(f.details))
                for f in findings
            ),
        )

    def findings(self, kinds: Collection[str], limit: int) -> list[Finding]:
        """Findings of these kinds in the order of their positions, at most so many."""
        marks = ", ".join("?" * len(kinds))
        rows = self.rows(
            "SELECT kind, sentence, position, stream, version, details FROM finding"  # noqa: S608 - marks alone
            f" WHERE kind IN ({marks}) ORDER BY position IS NULL, position, id LIMIT ?",
            *sorted(kinds),
            limit,
        )
        return [
            Finding(kind, sentence, position, stream, version, msgspec.json.decode(details))
            for kind, sentence, position, stream, version, details in rows
        ]

    def counts(self) -> dict[Kind, int]:
        """How many findings there are of each kind."""
        return dict(self.rows("SELECT kind, count(*) FROM finding GROUP BY kind ORDER BY kind"))


@contextmanager
def open_state(path: Path | None) -> Iterator[State]:
    """The state in the file at `path`, made where there is none; without a path one that is gone at the end."""
    if path is None:
        with tempfile.TemporaryDirectory(prefix="consent-audit-") as folder, _opened(Path(folder) / "state") as state:
            # What is thrown away need not survive a power cut.
            state.connection.execute("COMMIT")
            state.connection.execute("PRAGMA synchronous = OFF")
            state.connection.execute("BEGIN IMMEDIATE")
            yield state
        return
    with _opened(path) as state:
        yield state


@contextmanager
def _opened(path: Path) -> Iterator[State]:
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    except sqlite3.Error as error:
        raise _unusable(path, error) from None
    try:
        _prepare(connection, path)
        yield State(connection)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    finally:
        with suppress(sqlite3.Error):
            # What was not committed is done again by the next audit.
            connection.execute("ROLLBACK")
        connection.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    # One audit at a time: two that wrote to one state would each count on what the other changed.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != _APPLICATION:
        raise Unavailable(f"expected an auditor's state at {path}, found another file; name another one with --state")
    if tables and layout != _LAYOUT:
        raise Unavailable(
            f"expected an auditor's state of layout {_LAYOUT} at {path}, found one of layout {layout}, of another "
            "version of consent; keep it for that version, and name another one with --state, which is made anew"
        )
    connection.execute(f"PRAGMA cache_size = -{_CACHE}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    # A cosignature is given only after the state says so, also after a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    if not tables:
        script = files("ledger.audit").joinpath("state.sql").read_text(encoding="utf-8")
        marks = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_LAYOUT};"
        connection.executescript(f"BEGIN IMMEDIATE; {script} {marks} COMMIT;")
    connection.execute("BEGIN IMMEDIATE")


def _unusable(path: Path, error: sqlite3.Error) -> Unavailable:
    return Unavailable(
        f"expected the auditor's state at {path} to be usable, found: {error}; name another with --state"
    )
