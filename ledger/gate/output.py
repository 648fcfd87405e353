"""Step 5 of the gate: the files, written from the log alone, whole, by rename, `run.json` last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ledger.application import ConsentLedger
from ledger.domain.entry import Entry, decode_entry
from ledger.files import sync
from ledger.gate.again import RunOf, entries_of, judge_again, only_uses
from ledger.gate.engine import Engine
from ledger.gate.micros import micros_of
from ledger.gate.record_uses import SUBJECTS, is_use_of
from ledger.store.statements import statement

PERMITTED, REFUSED, RUN = "permitted.parquet", "refused.parquet", "run.json"


@dataclass(frozen=True, slots=True)
class Counts:
    """How the items came out."""

    items: int
    permitted: int
    by_reason: dict[str, int]

    @property
    def refused(self) -> int:
        return self.items - self.permitted


def load_uses(engine: Engine, ledger: ConsentLedger, run: str, started_position: int) -> None:
    """The run's uses in the log, into the engine's `use`."""

    def rows() -> Iterator[list[Any]]:
        for _, stream, version, _, stored in ledger.recorder.uses_of_run(run, started_position):
            entry = decode_entry(bytes(stored))
            if is_use_of(entry, run):
                yield [stream, version, entry.data.basis, sum(entry.data.items.values())]

    engine.insert("use", rows())


def answer(engine: Engine, ledger: ConsentLedger, run: RunOf) -> Counts:
    """The final verdicts, counted: those at the cutoff, as the uses, and what was judged again, bear them out."""
    engine.insert("judged_again", _judged_again(engine, ledger, run))
    return count(engine, f"({_query('answer')}) answer")


def _judged_again(engine: Engine, ledger: ConsentLedger, run: RunOf) -> Iterator[list[Any]]:
    """What the stream said just before the use, of those subjects of whom it said something new since the cutoff."""
    rows = engine.stream(_query("moved"))
    while batch := {stream: (version, use) for stream, version, use in islice(rows, SUBJECTS)}:
        before: dict[str, list[Entry]] = {}
        for stream, entries in entries_of(ledger, list(batch)).items():
            version, use = batch[stream]
            known = [entry for entry in entries if entry.version < use]
            if not only_uses(known, after=version):
                before[stream] = known
        for _, verdicts in judge_again(ledger, engine, run, before) if before else ():
            for one, verdict in verdicts:
                kept = micros_of(verdict.keep_until) if verdict.keep_until else None
                yield [one.row, verdict.basis, verdict.quality, verdict.terms, kept, verdict.reason]


def count(engine: Engine, verdicts: str) -> Counts:
    """The items of `verdict`, or of a query like it, by reason."""
    rows = engine.stream(f"SELECT reason, count(*) AS items FROM {verdicts} GROUP BY reason")  # noqa: S608 - ours
    by_reason = dict(sorted(((str(reason), int(number)) for reason, number in rows), key=lambda pair: (-pair[1], pair)))
    return Counts(sum(by_reason.values()), by_reason.get("granted", 0), by_reason)


def write(engine: Engine, folder: Path, summary: dict[str, Any]) -> None:
    """The three files; whoever finds `run.json` finds the others whole."""
    work = engine.folder
    # With the kind that was decided on: from this file alone every manifest is recomputed.
    kept = ", ".join(engine.columns())
    for name, query in (
        (PERMITTED, _query("permitted").format(columns=kept, answer=_query("answer"))),
        (REFUSED, _query("refused").format(columns=kept, answer=_query("answer"))),
    ):
        engine.write_parquet(query, work / name)
    (work / RUN).write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for name in (PERMITTED, REFUSED, RUN):
        _put(work / name, folder)
    sync(folder)


def _put(made: Path, folder: Path) -> None:
    """Moves a whole file, or a folder of them, into `folder`, in place of what is there."""
    for path in [*made.iterdir(), made] if made.is_dir() else [made]:
        sync(path)
    place = folder / made.name
    if made.is_dir() or place.is_dir():
        # One rename replaces a file, but no folder: until the new one is there, the old run is not whole.
        (folder / RUN).unlink(missing_ok=True)
        if place.exists():
            place.rename(made.with_name(f"{made.name}.replaced"))
    made.rename(place)


def run_in(folder: Path) -> str | None:
    """The run whose files lie in `folder`, if any do."""
    try:
        return str(json.loads((folder / RUN).read_text(encoding="utf-8"))["run"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return f"an unreadable {RUN}"


def _query(name: str) -> str:
    return statement(name, "ledger.gate.sql")
