"""The verdict on every use, as known and in hindsight (design, section 4), on whole streams of the auditor's state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import UNSET, structs

from ledger.audit.findings import Finding, Kind
from ledger.audit.state import State
from ledger.audit.trail import PlacedBytes, catalogue_of, streams_of, unjudged_parts
from ledger.domain.as_of import Placed
from ledger.domain.eligibility import Verdict
from ledger.domain.entry import Entry, decode_entry
from ledger.domain.events import DataUsedForTraining
from ledger.domain.uses import JudgedUse, is_backdated, judge_use
from ledger.importing.watcher import Watcher

#: Runs held in memory: more than one log has under way at once.
MOST_RUNS = 1_000
#: Streams that are judged between two commits.
_COMMIT = 5_000


def judge_streams(state: State, watch: Watcher) -> None:
    """Judges all uses of every stream that has new ones, or has gone on since they were judged."""
    (count,) = next(state.rows("SELECT count(*) FROM unjudged_stream"))
    watch.now("judging the uses", count)
    judge = _Judge(state)
    since = 0
    for part, names in unjudged_parts(state):
        for name, entries in streams_of(state, part, names).items():
            state.replace("stream", name, judge.stream(entries))
        state.write("DELETE FROM unjudged_stream WHERE name = ?", ((name,) for name in names))
        watch.advance(len(names))
        since += len(names)
        if since >= _COMMIT:
            state.commit()
            since = 0
    state.commit()


class _Judge:
    def __init__(self, state: State) -> None:
        self._state = state
        self._catalogue = catalogue_of(state)
        self._runs: dict[str, Placed | None] = {}

    def stream(self, stored: Sequence[PlacedBytes]) -> Iterator[Finding]:
        """What is to be said of the uses in one stream."""
        placed = [Placed(position, decode_entry(entry)) for position, entry in stored]
        entries = [one.entry for one in placed]
        for use in placed:
            if isinstance(use.entry.data, DataUsedForTraining):
                yield from self._use(use, entries)

    def _use(self, use: Placed, entries: Sequence[Entry]) -> Iterator[Finding]:
        data: DataUsedForTraining = use.entry.data
        run = self._run(data.run)
        about = _About(use, data)
        if run is None or run.position > use.position:
            later = "no start of it" if run is None else f"that it starts later, at position {run.position}"
            yield about.finding("run-missing", f"expected the start of run {data.run} before it, found {later}")
            return
        if run.entry.data.purpose != data.purpose:
            yield about.finding("run-differs", f"expected a run for {data.purpose}, found {run.entry.data.purpose}")
        judged = judge_use(use.entry, entries, run.entry, self._catalogue)
        verdict, kind = _worse(judged)
        if kind is not None:
            yield about.refused(kind, verdict, judged)
        elif is_backdated(run.entry):
            yield from self._as_of_recording(about, run.entry, entries)
        yield from _imported(about, verdict, entries)

    def _as_of_recording(self, about: _About, run: Entry, entries: Sequence[Entry]) -> Iterator[Finding]:
        """Whether a run that began when it was recorded might have used the same."""
        recorded = structs.replace(run, data=structs.replace(run.data, started_at=run.recorded_at))
        verdict, kind = _worse(judge_use(about.use.entry, entries, recorded, self._catalogue))
        if kind is not None:
            yield about.finding(
                "backdated-use",
                f"permitted by the start that its run gives, {run.data.started_at}; a start when the run was "
                f"recorded, {run.recorded_at}, would have refused it: {_reason(verdict)}",
                reason=verdict.reason,
            )

    def _run(self, name: str) -> Placed | None:
        if name not in self._runs:
            if len(self._runs) >= MOST_RUNS:
                self._runs.clear()
            query = "SELECT position, started FROM run WHERE name = ? AND started IS NOT NULL"
            row = next(self._state.rows(query, name), None)
            self._runs[name] = None if row is None else Placed(row[0], decode_entry(row[1]))
        return self._runs[name]


class _About(NamedTuple):
    """The use that a finding is about."""

    use: Placed
    data: DataUsedForTraining

    def finding(self, kind: Kind, found: str, **details: str | int | None) -> Finding:
        position, entry = self.use
        return Finding(
            kind,
            f"use at position {position} by run {self.data.run} for {self.data.purpose}: {found}",
            position,
            entry.stream,
            entry.version,
            {"run": self.data.run, "purpose": self.data.purpose, "attested": self.data.attested, **details},
        )

    def refused(self, kind: Kind, verdict: Verdict, judged: JudgedUse) -> Finding:
        when = "by what was known" if kind == "violation-known" else "in hindsight, though permitted by what was known"
        return self.finding(
            kind,
            f"refused {when}: {_reason(verdict)}",
            known=judged.known.reason,
            hindsight=judged.hindsight.reason,
            basis=verdict.basis,
            detail=verdict.detail,
        )


def _worse(judged: JudgedUse) -> tuple[Verdict, Kind | None]:
    """The verdict that refuses, and what that makes of the use; the one in hindsight and None where both permit."""
    if not judged.known.permitted:
        return judged.known, "violation-known"
    return judged.hindsight, None if judged.hindsight.permitted else "violation-in-hindsight"


def _reason(verdict: Verdict) -> str:
    return verdict.reason if verdict.detail is None else f"{verdict.reason} ({verdict.detail})"


def _imported(about: _About, verdict: Verdict, entries: Sequence[Entry]) -> Iterator[Finding]:
    """What is known of an imported grant is its source's word, so that no use of it is called proven."""
    grant = next((entry for entry in entries if entry.version == verdict.basis), None)
    if grant is not None and grant.imported is not UNSET:
        source = grant.imported.source
        yield about.finding(
            "rests-on-import",
            f"rests on an import of {grant.event} (version {grant.version}) from {source}, and is not proven",
            basis=grant.version,
            source=source,
        )
