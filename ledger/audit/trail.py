"""What a later judgement needs besides whole streams of subjects: the terms, the runs, and where uses lie."""

from __future__ import annotations

from ledger.audit.findings import Finding
from ledger.audit.history import History
from ledger.audit.reading import Read
from ledger.audit.state import State
from ledger.audit.streams import Standing
from ledger.domain.entry import canonical, decode_entry
from ledger.domain.events import DataUsedForTraining, RunFinished, RunStarted, TermsPublished
from ledger.domain.names import RUN_PREFIX
from ledger.domain.terms import Catalogue, Terms

#: Digits of a stream key: no other stream has a name of that length and these letters.
_KEY_DIGITS = 64


class Trail:
    """Sorts entries away while the log is read, to be judged once it was."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.history = History(state)
        self._uses: list[tuple[str, str, bytes, int, int]] = []
        #: Streams with uses that went on.
        self.unjudged: set[bytes] = set()
        self._unjudged_runs: set[str] = set()
        #: The versions of the terms that the log published so far.
        self.published = {terms.version for terms in catalogue_of(state).all()}

    def keep(self, position: int, key: bytes, stored: bytes, read: Read, stands: Standing) -> None:
        """Whatever is needed later of an entry that is of no known kind."""
        stream = read.stream
        if len(stream) != _KEY_DIGITS or stream.startswith(RUN_PREFIX):
            self._keep_named(position, stored, read)
            return
        data = read.data
        if isinstance(data, DataUsedForTraining):
            stands.uses += 1
            leaf = canonical([stream, read.version]).decode()
            self._uses.append((data.run, leaf, key, position, sum(data.items.values())))
            self._unjudged_runs.add(data.run)
        self.history.keep_whole(position, key, stored)

    def _keep_named(self, position: int, stored: bytes, read: Read) -> None:
        """Of the terms, a run, or the log's own: few, so each goes where it belongs at once."""
        state, data = self._state, read.data
        match data:
            case TermsPublished():
                state.write("INSERT INTO terms VALUES (?, ?)", [(position, stored)])
                if data.version in self.published:
                    state.add("log", "", [_republished(position, read, data)])
                self.published.add(data.version)
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
        self.history.save()
        self._state.write("INSERT INTO use VALUES (?, ?, ?, ?, ?)", sorted(self._uses))
        self._state.write("INSERT OR IGNORE INTO unjudged_stream VALUES (?)", ((s,) for s in sorted(self.unjudged)))
        self._state.write("INSERT OR IGNORE INTO unjudged_run VALUES (?)", ((run,) for run in self._unjudged_runs))
        self._uses = []
        self.unjudged.clear()
        self._unjudged_runs = set()


def catalogue_of(state: State) -> Catalogue:
    """The terms that the log published so far; of a version published twice, the first."""
    published: dict[str, Terms] = {}
    for (stored,) in state.rows("SELECT entry FROM terms ORDER BY position"):
        terms: Terms = decode_entry(stored).data
        published.setdefault(terms.version, terms)
    return Catalogue(published.values())


def _republished(position: int, read: Read, terms: Terms) -> Finding:
    return Finding(
        "terms-republished",
        f"expected terms {terms.version} to be published once, found them published again at position {position}",
        position,
        read.stream,
        read.version,
    )


def unpublished(position: int, read: Read, terms: str) -> Finding:
    """Terms that were shown or accepted before they were published."""
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
