"""What a later judgement needs of the entries: whole streams of subjects, the terms, the runs, and where uses lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import NamedTuple

from ledger.audit.findings import Finding
from ledger.audit.reading import Read
from ledger.audit.state import State
from ledger.audit.streams import Standing
from ledger.domain.entry import canonical, decode_entry
from ledger.domain.events import Accepted, DataUsedForTraining, RunFinished, RunStarted, TermsPublished, TermsShown
from ledger.domain.names import RUN_PREFIX
from ledger.domain.terms import Catalogue, Terms

#: Subjects' entries lie in so many parts, by the first digits of their stream keys; one part is in memory at once.
_PART_DIGITS = 3
#: Digits of a stream key: no other stream has a name of that length and these letters.
_KEY_DIGITS = 64
#: Between the entries of a part: canonical JSON has no line end inside. A line of digits is the position of the use on
#: the line after it.
_BETWEEN = b"\n"
_STREAM = b',"stream":"'
_BRACE = ord("{")


class StoredEntry(NamedTuple):
    """An entry as it was read; its position where it is a use."""

    position: int | None
    stored: bytes


class Trail:
    """Sorts entries away while the log is read, to be judged once it was."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._batch: int = state.get("batch", 0)
        self._parts: defaultdict[str, list[bytes]] = defaultdict(list)
        self._uses: list[tuple[str, str, str, int, int]] = []
        self._unjudged: set[str] = set()
        self._unjudged_runs: set[str] = set()
        self._published = {terms.version for terms in catalogue_of(state).all()}
        self._found: list[Finding] = []

    def keep(self, position: int, stored: bytes, read: Read, stands: Standing) -> None:
        """Whatever of this entry is needed later."""
        stream = read.stream
        if len(stream) != _KEY_DIGITS or stream.startswith(RUN_PREFIX):
            self._keep_named(position, stored, read)
            return
        part = self._parts[stream[:_PART_DIGITS]]
        data = read.data
        if isinstance(data, DataUsedForTraining):
            stands.uses += 1
            part.append(b"%d" % position)
            leaf = canonical([stream, read.version]).decode()
            self._uses.append((data.run, leaf, stream, position, sum(data.items.values())))
            self._unjudged_runs.add(data.run)
        elif isinstance(data, TermsShown | Accepted) and data.terms not in self._published:
            self._found.append(_unpublished(position, read, data.terms))
        part.append(stored)
        if stands.uses:
            self._unjudged.add(stream)

    def _keep_named(self, position: int, stored: bytes, read: Read) -> None:
        """Of the terms, a run, or the log's own: few, so each goes where it belongs at once."""
        state, data = self._state, read.data
        match data:
            case TermsPublished():
                state.write("INSERT INTO terms VALUES (?, ?)", [(position, stored)])
                if data.version in self._published:
                    state.add("log", "", [_republished(position, read, data)])
                self._published.add(data.version)
                # What was said of these terms before they were published is judged by them from now on.
                state.connection.execute("INSERT OR IGNORE INTO unjudged_stream SELECT stream FROM use")
            case RunStarted():
                run = read.stream.removeprefix(RUN_PREFIX)
                found = state.rows("SELECT position FROM run WHERE name = ? AND started IS NOT NULL", run)
                if first := next(found, None):
                    state.add("log", "", [_started_twice(position, read, first[0])])
                    return
                state.write(
                    "INSERT INTO run (name, position, started) VALUES (?, ?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET position = excluded.position, started = excluded.started",
                    [(run, position, stored)],
                )
                state.connection.execute(
                    "INSERT OR IGNORE INTO unjudged_stream SELECT stream FROM use WHERE run = ?", (run,)
                )
                self._unjudged_runs.add(run)
            case RunFinished():
                run = read.stream.removeprefix(RUN_PREFIX)
                state.write(
                    "INSERT INTO run (name, finished_position, finished) VALUES (?, ?, ?) ON CONFLICT (name)"
                    " DO UPDATE SET finished_position = excluded.finished_position, finished = excluded.finished",
                    [(run, position, stored)],
                )
                self._unjudged_runs.add(run)

    def save(self) -> None:
        """Writes what was kept since the last commit."""
        self._batch += 1
        self._state.add("log", "", self._found)
        self._found = []
        self._state.write(
            "INSERT INTO history VALUES (?, ?, ?)",
            ((int(part, 16), self._batch, _BETWEEN.join(kept)) for part, kept in sorted(self._parts.items())),
        )
        self._state.write("INSERT INTO use VALUES (?, ?, ?, ?, ?)", sorted(self._uses))
        self._state.write("INSERT OR IGNORE INTO unjudged_stream VALUES (?)", ((s,) for s in sorted(self._unjudged)))
        self._state.write("INSERT OR IGNORE INTO unjudged_run VALUES (?)", ((run,) for run in self._unjudged_runs))
        self._uses = []
        self._parts.clear()
        self._unjudged, self._unjudged_runs = set(), set()
        self._state.put(batch=self._batch)


def catalogue_of(state: State) -> Catalogue:
    """The terms that the log published so far; of a version published twice, the first."""
    published: dict[str, Terms] = {}
    for (stored,) in state.rows("SELECT entry FROM terms ORDER BY position"):
        terms: Terms = decode_entry(stored).data
        published.setdefault(terms.version, terms)
    return Catalogue(published.values())


def streams_of(state: State, part: int, names: Collection[str]) -> dict[str, list[StoredEntry]]:
    """All entries of these streams, which lie in one part, in the order of their positions."""
    streams: dict[bytes, list[StoredEntry]] = {name.encode(): [] for name in names}
    for (joined,) in state.rows("SELECT entries FROM history WHERE part = ? ORDER BY batch", part):
        position: int | None = None
        for line in joined.split(_BETWEEN):
            if line[0] != _BRACE:
                position = int(line)
                continue
            start = line.rindex(_STREAM) + len(_STREAM)
            entries = streams.get(line[start : start + _KEY_DIGITS])
            if entries is not None:
                entries.append(StoredEntry(position, line))
            position = None
    return {stream.decode(): entries for stream, entries in streams.items()}


def unjudged_parts(state: State) -> Iterator[tuple[int, list[str]]]:
    """The streams to judge, by the part in which they lie."""
    query = "SELECT DISTINCT substr(name, 1, ?) FROM unjudged_stream ORDER BY 1"
    for (digits,) in list(state.rows(query, _PART_DIGITS)):
        # What follows the digits in a stream key sorts below "g".
        names = state.rows("SELECT name FROM unjudged_stream WHERE name >= ? AND name < ?", digits, f"{digits}g")
        yield int(digits, 16), [name for (name,) in names]


def _republished(position: int, read: Read, terms: Terms) -> Finding:
    return Finding(
        "terms-republished",
        f"expected terms {terms.version} to be published once, found them published again at position {position}",
        position,
        read.stream,
        read.version,
    )


def _unpublished(position: int, read: Read, terms: str) -> Finding:
    return Finding(
        "terms-unpublished",
        f"expected terms {terms} published before position {position} names them, found that they were not",
        position,
        read.stream,
        read.version,
    )


def _started_twice(position: int, read: Read, first: int) -> Finding:
    return Finding(
        "run-differs",
        f"expected {read.stream} to start once, at position {first}, found another start at position {position}",
        position,
        read.stream,
        read.version,
    )
