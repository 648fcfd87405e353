"""Runs: when they say they began, and whether what their end says is what the log has (FORMATS.md section 2)."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.audit.findings import Finding
from ledger.audit.state import State
from ledger.domain.as_of import Placed
from ledger.domain.entry import decode_entry
from ledger.domain.events import RunFinished
from ledger.domain.names import run_stream
from ledger.domain.uses import is_backdated
from ledger.importing.watcher import Watcher
from ledger.proof.merkle import leaf_hash, root


def judge_runs(state: State, watch: Watcher) -> None:
    """Judges every run that is new, or has new uses or an end since it was judged."""
    runs = [name for (name,) in state.rows("SELECT name FROM unjudged_run")]
    watch.now("judging the runs", len(runs))
    for run in runs:
        state.replace("run", {run: list(_run(state, run))})
        state.write("DELETE FROM unjudged_run WHERE name = ?", [(run,)])
        watch.advance()
    state.commit()


def _run(state: State, run: str) -> Iterator[Finding]:
    row = next(state.rows("SELECT position, started, finished_position, finished FROM run WHERE name = ?", run), None)
    if row is None:
        return
    position, started, finished_position, finished = row
    if started is not None:
        yield from _backdated(run, Placed(position, decode_entry(started)))
    if finished is not None:
        yield from _finished(state, run, finished_position, finished)


def _backdated(run: str, started: Placed) -> Iterator[Finding]:
    if is_backdated(started.entry):
        yield Finding(
            "backdated-run",
            f"run {run} at position {started.position} says that it began {started.entry.data.started_at}, and was "
            f"recorded {started.entry.recorded_at}",
            started.position,
            started.entry.stream,
            started.entry.version,
            {"run": run, "started_at": started.entry.data.started_at, "recorded_at": started.entry.recorded_at},
        )


def _finished(state: State, run: str, position: int, finished: bytes) -> Iterator[Finding]:
    """`run-finished` says that every use of the run is in the log, how many there are, and their root."""
    end: RunFinished = decode_entry(finished).data
    uses, items, late, last = next(
        state.rows(
            "SELECT count(*), coalesce(sum(items), 0), coalesce(sum(position > ?), 0), max(position)"
            " FROM use WHERE run = ?",
            position,
            run,
        )
    )
    leaves = state.rows("SELECT leaf FROM use WHERE run = ? ORDER BY leaf", run)
    found = root(leaf_hash(leaf.encode()) for (leaf,) in leaves).hex()
    wrong = [
        f"{says} {what}, found {has}"
        for what, says, has in (
            ("uses", end.uses, uses),
            ("items", end.items, items),
            ("as their root", end.root, found),
        )
        if says != has
    ]
    if late:
        wrong.append(f"every use before its end, found {late} after it, the last at position {last}")
    if wrong:
        yield Finding(
            "run-finished-differs",
            f"the end of run {run} at position {position}: expected {'; expected '.join(wrong)}",
            position,
            run_stream(run),
            details={"run": run, "uses": uses, "items": items, "root": found},
        )
