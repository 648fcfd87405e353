"""Runs through the gate, for tests: in this process step by step, or as the command line in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from ledger.application import ConsentLedger
from ledger.domain.entry import Entry, decode_entry
from ledger.domain.events import DataUsedForTraining
from ledger.domain.times import format_time
from ledger.gate.duckdb_engine import Engine
from ledger.gate.gate import Asked, Gate, Outcome, filter_items, working_folder
from ledger.gate.inputs import find_items
from ledger.settings import Place
from tests.gate.people import COLLECTED

ROOT = Path(__file__).parents[2]
STARTED = datetime(2026, 6, 1, tzinfo=UTC)

Row = dict[str, Any]


class Silent:
    """Nobody watches."""

    def advance(self, by: int = 1) -> None: ...

    def now(self, what: str, total: int | None = None) -> None: ...


def jsonl(path: Path, *rows: Row) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def item(subject: str, name: object, collected: datetime = COLLECTED, **more: Any) -> Row:
    return {"subject": subject, "item": name, "collected_at": format_time(collected), **more}


def asked(items: Path, run: str = "r1", **more: Any) -> Asked:
    return Asked(find_items((str(items),)), run, more.pop("started", STARTED), **more)


def filtered(ledger: ConsentLedger, items: Path, out: Path, run: str = "r1", **more: Any) -> Outcome:
    """All five steps."""
    return filter_items(ledger, asked(items, run, **more), out, Silent())


@contextmanager
def decided(ledger: ConsentLedger, items: Path, out: Path, run: str = "r1", **more: Any) -> Iterator[Gate]:
    """A gate that has decided, and recorded nothing yet but the start of its run."""
    with working_folder(out, run) as work, closing(Engine(work)) as engine:
        gate = Gate(ledger, asked(items, run, **more), engine, Silent())
        gate.start()
        gate.decide()
        yield gate


def finished(gate: Gate, out: Path) -> Outcome:
    """The rest of the steps."""
    gate.record()
    gate.finish()
    return gate.write(out)


def rows_of(path: Path, columns: str = "*") -> list[Row]:
    """The rows of a Parquet file in their order; times as microseconds since 1970."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        types = engine.execute(f"DESCRIBE SELECT {columns} FROM read_parquet('{path}')").fetchall()
        quoted = [('"' + name.replace('"', '""') + '"', kind) for name, kind, *_ in types]
        picked = ", ".join(f"epoch_us({name}) AS {name}" if "TIME" in kind else name for name, kind in quoted)
        result = engine.execute(f"SELECT {picked} FROM read_parquet('{path}')")
        return [dict(zip((name for name, *_ in types), row, strict=True)) for row in result.fetchall()]


def permitted(out: Path) -> list[Row]:
    return rows_of(out / "permitted.parquet")


def refused(out: Path) -> list[Row]:
    return rows_of(out / "refused.parquet")


def reasons(out: Path) -> dict[str, str]:
    """Item → reason, of all the items."""
    return {row["item"]: "granted" for row in permitted(out)} | {row["item"]: row["reason"] for row in refused(out)}


def bytes_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def uses_of(ledger: ConsentLedger, run: str = "r1") -> list[Entry]:
    """All uses of a run, in the order of the log."""
    rows = ledger.recorder.pages(events=["data-used-for-training"])
    entries = [decode_entry(bytes(stored)) for *_, stored in rows]
    return [entry for entry in entries if use_in(entry).run == run]


def use_in(entry: Entry) -> DataUsedForTraining:
    assert isinstance(entry.data, DataUsedForTraining)
    return entry.data


def start_filter(place: Place, *arguments: str | Path) -> subprocess.Popen[str]:
    """`consent --json filter ARGUMENTS…`, running."""
    return start(place, "-m", "cli.main", "--json", "filter", *map(str, arguments))


def start(place: Place, *arguments: str) -> subprocess.Popen[str]:
    """A Python process that finds the ledger in its environment."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "CONSENT_LEDGER": place.url or "", "CONSENT_STATE": str(place.state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
