"""The gate beside DuckDB that reads and writes the same file.

Usage: python -m bench.run --only gating

The people live through the terms' change as `consent simulate` has it; their items are spread over the same time, in no
order. The goal names verdicts: every item gets its own and is written with its reason. That is a run that is in the log
already, filtered anew: nothing is left to record. The first time, with its uses recorded, stands beside it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import duckdb

from bench import place
from bench.figures import Comparison, Findings, Limits, Peak, in_turn
from bench.peers.installing import Peers
from bench.sizes import Sizes
from ledger.settings import Place

#: From the announcement on, as long as the simulated population does anything.
DAYS = 300
#: Reads and writes as the gate does: all columns, in their order, compressed the same way, with one text more.
PEER = """
import sys, duckdb
items, out, spilled = sys.argv[1:]
engine = duckdb.connect(config={"memory_limit": "50%", "temp_directory": spilled})
engine.execute(
    f"COPY (SELECT *, 'granted' AS reason FROM read_parquet('{items}')) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
)
"""
LIMITS = Limits(
    bound="the files that are written take 2.6 times the comparison's reading and writing, for a permitted item has "
    "the 64 characters of its stream besides; before that each item is looked up by its name, joined with the spans "
    "of its subject and stored with its verdict, and the people's entries and the uses come out of PostgreSQL",
    tried="one table of verdicts in place of three, numbers in place of texts, hashes by the engine (decision 28, in); "
    "a larger dictionary of Parquet, no sort, identities joined once more: slower or nothing gained",
    limit="some 0.35 x, if nothing but reading and writing were left",
)


def measure(sizes: Sizes, peers: Peers) -> Findings:  # noqa: ARG001 - DuckDB is a dependency of ours
    found = Findings()
    with place.server() as server:
        for count in sizes.items:
            people = max(1, count // sizes.items_a_subject)
            at = population(server, count, people)
            items = write_items(server.folder / f"items-{count}.parquet", count, people)
            compare(server, at, items, f"{count:,} items, {people:,} subjects", sizes, count, found)
            items.unlink()
            server.drop(f"gate_{count}")
    return found


def population(server: place.Server, count: int, people: int) -> Place:
    """A ledger in which so many people decided."""
    at = server.new_ledger(f"gate_{count}")
    events = server.folder / "population.jsonl"
    place.consent("simulate", "--terms", place.terms().version, "--subjects", str(people), "-o", str(events), place=at)
    place.consent("import", str(events), place=at)
    events.unlink()
    return at


def write_items(path: Path, count: int, people: int) -> Path:
    """Items of these people in a Parquet file."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(
            f"""
            COPY (
                SELECT printf('simulated-%07d', 1 + CAST(hash(range) % {people} AS BIGINT)) AS subject,
                       'item-' || range AS item,
                       TIMESTAMPTZ '2025-08-28 00:00:00+00'
                           + to_microseconds(CAST(hash(range + 1) % ({DAYS} * 86400000000) AS BIGINT)) AS collected_at,
                       CASE WHEN hash(range + 2) % 4 = 0 THEN 'coding-session' ELSE 'chat' END AS kind
                FROM range({count})
            ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
            """
        )
    return path


def compare(server: place.Server, at: Place, items: Path, size: str, sizes: Sizes, count: int, found: Findings) -> None:
    memory: dict[str, float] = {}
    number = 0

    def filtered(work: str, run: str) -> float:
        nonlocal number
        number += 1
        out = server.folder / f"out-{number}"
        done = place.consent("filter", str(items), "--run", run, "--out", str(out), place=at)
        shutil.rmtree(out)
        memory[work] = max(done.peak, memory.get(work, 0))
        return count / done.seconds

    def first() -> float:
        return filtered("consent filter", f"run-{number + 1}")

    def again() -> float:
        return filtered("consent filter of a run that is recorded", "recorded")

    def peer() -> float:
        out = server.folder / "copied.parquet"
        done = place.run([sys.executable, "-c", PEER, str(items), str(out), str(server.folder / "spilled")])
        out.unlink()
        memory["DuckDB alone"] = max(done.peak, memory.get("DuckDB alone", 0))
        return count / done.seconds

    filtered("consent filter", "recorded")
    answers = in_turn(sizes.rounds, [again, peer, first])
    goal = 0.6 if count == sizes.items[-1] else None
    for work, ours, wanted in (
        ("gate: verdicts, every item written with its reason", answers[0], goal),
        ("the same, and the uses recorded in the log", answers[2], None),
    ):
        found.comparisons.append(
            Comparison(
                work=work,
                against="DuckDB reading and writing the same file",
                size=size,
                unit="items",
                ours=ours,
                theirs=answers[1],
                goal=wanted,
                limits=LIMITS,
            )
        )
    found.peaks += [Peak(work=work, size=size, mebibytes=peak) for work, peak in memory.items()]
