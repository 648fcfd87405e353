"""The verdict on every use, as known and in hindsight (design, section 4), on whole streams of the auditor's state.

It is the one that a bundle's verifier gives too: an audit and a person's own file never say different things.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import structs

from ledger.audit.findings import Finding, Kind
from ledger.audit.history import Histories, Known, Whole, unjudged_streams
from ledger.audit.reading import Reader
from ledger.audit.state import State
from ledger.audit.trail import catalogue_of
from ledger.domain.as_of import Placed
from ledger.domain.entry import decode_entry
from ledger.domain.events import DataUsedForTraining
from ledger.domain.uses import is_backdated
from ledger.importing.watcher import Watcher
from ledger.proof.verdicts import UseJudged, judge_uses

#: Runs held in memory: more than one log has under way at once.
MOST_RUNS = 1_000
#: Streams that are judged between two commits.
_COMMIT = 5_000


def judge_streams(state: State, watch: Watcher) -> None:
    """Judges all uses of every stream that has new ones, or has gone on since they were judged."""
    (count,) = next(state.rows("SELECT count(*) FROM unjudged_stream"))
    watch.now("judging the uses", count)
    judge = _Judge(state)
    histories = Histories(state)
    since = 0
    for keys in unjudged_streams(state):
        streams = histories.streams(keys)
        state.replace("stream", {key.hex(): list(judge.stream(entries)) for key, entries in streams.items()})
        state.write("DELETE FROM unjudged_stream WHERE key = ?", ((key,) for key in keys))
        watch.advance(len(keys))
        since += len(keys)
        if since >= _COMMIT:
            state.commit()
            since = 0
    state.commit()


class _Judge:
    def __init__(self, state: State) -> None:
        self._state = state
        self._catalogue = catalogue_of(state)
        self._reader = Reader()
        self._runs: dict[str, Sequence[Placed]] = {}

    def stream(self, entries: Sequence[Known | Whole]) -> Iterator[Finding]:
        """What is to be said of the uses in one stream."""
        history = [Placed(one.position, self._reader.entry(one.stored)) for one in entries]
        named = {one.entry.data.run for one in history if isinstance(one.entry.data, DataUsedForTraining)}
        runs = {run: self._run(run) for run in named}
        uses = judge_uses(history, runs, self._catalogue)
        for use in uses:
            if use.violations:
                yield _violation(use)
            if use.imported is not None:
                yield _rests_on_import(use)
        if any(use.backdated for use in uses):
            yield from self._as_of_recording(history, runs, uses)

    def _as_of_recording(
        self, history: Sequence[Placed], runs: Mapping[str, Sequence[Placed]], uses: Sequence[UseJudged]
    ) -> Iterator[Finding]:
        """Whether backdated runs, had they begun when they were recorded, might have used the same."""
        moved = {run: [_begun_when_recorded(one) for one in starts] for run, starts in runs.items()}
        for use, other in zip(uses, judge_uses(history, moved, self._catalogue), strict=True):
            if use.backdated and other.violations and not use.violations and use.run is not None:
                yield _finding(
                    use,
                    "backdated-use",
                    f"permitted by the start that its run gives, {use.run.data.started_at}; a start when the run was "
                    f"recorded, {use.run.recorded_at}, would have refused it: {other.violations[0].why}",
                )

    def _run(self, name: str) -> Sequence[Placed]:
        if name not in self._runs:
            if len(self._runs) >= MOST_RUNS:
                self._runs.clear()
            query = "SELECT position, started FROM run WHERE name = ? AND started IS NOT NULL"
            self._runs[name] = [
                Placed(position, decode_entry(entry)) for position, entry in self._state.rows(query, name)
            ]
        return self._runs[name]


def _begun_when_recorded(run: Placed) -> Placed:
    entry = run.entry
    if not is_backdated(entry):
        return run
    data = structs.replace(entry.data, started_at=entry.recorded_at)
    return Placed(run.position, structs.replace(entry, data=data))


def _violation(use: UseJudged) -> Finding:
    """Once a use, as known where it was known."""
    first = use.violations[0]
    when = (
        "by what was known" if first.kind == "violation-known" else "in hindsight, though permitted by what was known"
    )
    why = {one.kind.removeprefix("violation-").removeprefix("in-"): one.why for one in reversed(use.violations)}
    return _finding(use, first.kind, f"refused {when}: {first.why}", **why)


def _rests_on_import(use: UseJudged) -> Finding:
    source = "" if use.imported is None else use.imported.source
    return _finding(
        use, "rests-on-import", f"rests on an import of its grant from {source}, and is not proven", source=source
    )


def _finding(use: UseJudged, kind: Kind, found: str, **details: str) -> Finding:
    position, entry = use.placed
    data = use.data
    return Finding(
        kind,
        f"use at position {position} by run {data.run} for {data.purpose}: {found}",
        position,
        entry.stream,
        entry.version,
        {"run": data.run, "purpose": data.purpose, "attested": data.attested, **details},
    )
