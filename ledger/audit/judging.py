"""The verdict on every use, as known and in hindsight (design, section 4), on whole streams of the auditor's state.

It is the one that a bundle's verifier gives too: an audit and a person's own file never say different things.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, structs

from ledger.audit.findings import Finding, Kind
from ledger.audit.history import Histories, Known, Whole, unjudged_streams
from ledger.audit.reading import Reader
from ledger.audit.state import State
from ledger.audit.trail import catalogue_of
from ledger.domain.as_of import Placed
from ledger.domain.entry import Imported, decode_entry, topic_of
from ledger.domain.events import DataUsedForTraining
from ledger.domain.uses import is_backdated
from ledger.importing.watcher import Watcher
from ledger.proof.plainly import PlainUses, Said
from ledger.proof.verdicts import UseJudged, judge_uses

#: Runs held in memory: more than one log has under way at once.
MOST_RUNS = 1_000
#: Decisions and showings of one person among which each use's grant is searched for; with more it is looked up.
_MOST_SAID = 64
#: Streams that are judged between two commits.
_COMMIT = 5_000
_USED = topic_of(DataUsedForTraining)


def judge_streams(state: State, watch: Watcher) -> None:
    """Judges all uses of every stream that has new ones, or has gone on since they were judged."""
    (count,) = next(state.rows("SELECT count(*) FROM unjudged_stream"))
    watch.now("judging the uses", count)
    judge = _Judge(state)
    histories = Histories(state)
    since = 0
    for keys in unjudged_streams(state):
        streams = histories.streams(keys)
        state.replace("stream", {key.hex(): judge.stream(key, entries) for key, entries in streams.items()})
        state.write("DELETE FROM unjudged_stream WHERE key = ?", ((key,) for key in keys))
        watch.advance(len(keys))
        since += len(keys)
        if since >= _COMMIT:
            state.commit()
            since = 0
    state.commit()


class _Use(Struct, gc=False):
    """A use that the state has, and so was decoded strictly once; as much of it as a plain one is asked for."""

    run: str
    purpose: str
    items: dict[str, int]
    collected_from: str
    collected_until: str
    attested: bool
    basis: int | UnsetType = UNSET


class _UseEntry(Struct, gc=False):
    event: str
    version: int
    data: Raw


_use_entry_of = msgspec.json.Decoder(_UseEntry).decode
_use_of = msgspec.json.Decoder(_Use).decode


class _Judge:
    def __init__(self, state: State) -> None:
        self._state = state
        self._catalogue = catalogue_of(state)
        self._plain = PlainUses(self._catalogue)
        self._reader = Reader()
        self._runs: dict[str, Sequence[Placed]] = {}

    def stream(self, key: bytes, entries: Sequence[Known | Whole]) -> list[Finding]:
        """What is to be said of the uses in one stream."""
        plain = self._plainly(key, entries)
        return list(self._with_care(entries)) if plain is None else plain

    def _plainly(self, key: bytes, entries: Sequence[Known | Whole]) -> list[Finding] | None:
        """The same where all of its uses are plainly allowed, in runs that are not backdated."""
        said: list[Said] = []
        marks: list[Imported | UnsetType] = []
        uses: list[tuple[int, _UseEntry]] = []
        for one in entries:
            if isinstance(one, Known):
                kind = one.kind
                said.append(Said(one.version, one.occurred.decode(), one.recorded.decode(), kind.data))
                marks.append(kind.imported)
            elif (entry_of_use := _use_entry_of(one.stored)).event == _USED:
                uses.append((one.position, entry_of_use))
            else:
                entry = self._reader.entry(one.stored)
                said.append(Said(entry.version, entry.occurred_at, entry.recorded_at, entry.data))
                marks.append(entry.imported)
        if len(said) > _MOST_SAID or any(one.version >= other.version for one, other in pairwise(said)):
            return None
        found: list[Finding] = []
        for position, entry_of_use in uses:
            use = _use_of(entry_of_use.data)
            started = next((one for one in self._run(use.run) if one.position < position), None)
            if started is None or is_backdated(started.entry):
                return None
            basis = self._plain.basis(entry_of_use.version, use, said, started.entry.data)
            if basis is None:
                return None
            if (mark := marks[basis]) is not UNSET:
                named = _Named(position, key.hex(), entry_of_use.version, use)
                found.append(_rests_on_import(named, mark.source))
        return found

    def _with_care(self, entries: Sequence[Known | Whole]) -> Iterator[Finding]:
        history = [Placed(one.position, self._reader.entry(one.stored)) for one in entries]
        named = {one.entry.data.run for one in history if isinstance(one.entry.data, DataUsedForTraining)}
        runs = {run: self._run(run) for run in named}
        uses = judge_uses(history, runs, self._catalogue)
        for use in uses:
            if use.violations:
                yield _violation(use)
            if use.imported is not None:
                yield _rests_on_import(_named(use), use.imported.source)
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
                    _named(use),
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


class _Named(NamedTuple):
    """What a finding on a use names."""

    position: int
    stream: str
    version: int
    use: DataUsedForTraining | _Use


def _named(use: UseJudged) -> _Named:
    return _Named(use.placed.position, use.placed.entry.stream, use.placed.entry.version, use.data)


def _violation(use: UseJudged) -> Finding:
    """Once a use, as known where it was known."""
    first = use.violations[0]
    when = (
        "by what was known" if first.kind == "violation-known" else "in hindsight, though permitted by what was known"
    )
    why = {one.kind.removeprefix("violation-").removeprefix("in-"): one.why for one in reversed(use.violations)}
    return _finding(_named(use), first.kind, f"refused {when}: {first.why}", **why)


def _rests_on_import(named: _Named, source: str) -> Finding:
    return _finding(
        named, "rests-on-import", f"rests on an import of its grant from {source}, and is not proven", source=source
    )


def _finding(named: _Named, kind: Kind, found: str, **details: str) -> Finding:
    position, stream, version, use = named
    return Finding(
        kind,
        f"use at position {position} by run {use.run} for {use.purpose}: {found}",
        position,
        stream,
        version,
        {"run": use.run, "purpose": use.purpose, "attested": use.attested, **details},
    )
