"""`consent import` of a population's events beside COPY of the same rows into the same table, in turn, in one run.

Usage: python bench/imports.py [--events 1000000] [--rounds 3]

The file of events is in the order of their times, as a system of record exports it. The import is the command, from its
start to its end, into an empty ledger; it parses, validates, decides, encodes and stores, and keeps its links and keys.
COPY gets the rows that an import has stored, prepared in binary, into a table with the columns, checks and indexes of
the log, in one transaction of the same server: the best that this table allows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ledger.application import open_ledger
from ledger.domain.terms import Terms, parse_terms
from ledger.settings import Place
from ledger.simulate import simulate, subjects
from ledger.store import embedded
from ledger.store.location import create_ledger

#: Columns that a row is given; the database computes the rest.
COLUMNS = "position, stream, version, event, recorded_at, imported, entry"
BLOCK = 1 << 20
#: More than three lines of four are about a person who has at least two others: that many people are enough.
EVENTS_A_PERSON = 2


@dataclass(frozen=True, slots=True)
class Bench:
    """The server, where things lie on disk, and the file that is imported."""

    server: embedded.EmbeddedServer
    folder: Path
    terms: Terms
    events: Path


@dataclass(slots=True)
class Measured:
    """Of each round: seconds of the clock, and of processor time on the caller's side."""

    copies: list[float] = field(default_factory=list)
    imports: list[float] = field(default_factory=list)
    import_processor: list[float] = field(default_factory=list)
    peak_kib: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    terms = parse_terms(Path("examples/terms/2025-09-28.toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="consent-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the embedded server's own user must get through
        events = write_events(folder / "events.jsonl", terms, asked.events)
        server_home = folder / "server"
        server_home.mkdir(mode=0o755)
        with embedded.start(server_home) as server:
            bench = Bench(server, folder, terms, events)
            rows = prepare_rows(bench)
            measured = Measured()
            for number in range(asked.rounds):
                measured.copies.append(copied(bench, rows))
                imported(bench, f"round_{number}", measured)
        report(asked.events, rows, events, measured)


def write_events(path: Path, terms: Terms, count: int) -> Path:
    """So many import lines, in the order of the times at which they were recorded."""
    lines = islice(simulate(terms, subjects(count // EVENTS_A_PERSON + 1_000), 1, Counter()), count)
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in sorted(lines, key=moment_of))
    return path


def moment_of(line: bytes) -> str:
    fields = json.loads(line)
    return str(fields.get("recorded_at", fields["occurred_at"]))


def new_ledger(bench: Bench, name: str) -> Place:
    """An empty ledger in a database of its own, with the terms published."""
    admin(bench, f"CREATE DATABASE {name}")
    place = Place(url_of(bench.server, name), None, bench.folder / f"state-{name}")
    create_ledger(place, None)
    with open_ledger(place) as ledger:
        ledger.publish(bench.terms)
    return place


def url_of(server: embedded.EmbeddedServer, database: str) -> str:
    """The URL of a database of the server, which the command understands."""
    parts = {name: str(value) for name, value in conninfo_to_dict(server.dsn).items() if name != "dbname"}
    return f"postgresql:///{database}?{urlencode(parts, quote_via=quote)}"


def admin(bench: Bench, *statements: str) -> None:
    with psycopg.connect(bench.server.dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def prepare_rows(bench: Bench) -> Path:
    """The rows of an import, as COPY takes them; and the peer's table, empty."""
    place = new_ledger(bench, "prepared")
    run_import(bench, place)
    path = bench.folder / "rows"
    with psycopg.connect(place.url or "", autocommit=True) as connection, path.open("wb") as file:
        query = (
            f"COPY (SELECT {COLUMNS} FROM ledger.log_entry WHERE imported ORDER BY position) TO STDOUT (FORMAT binary)"
        )
        with connection.cursor().copy(query.encode()) as copy:
            for block in copy:
                file.write(block)
        connection.execute("CREATE SCHEMA peer")
    return path


def copied(bench: Bench, rows: Path) -> float:
    """Seconds that COPY of all rows takes."""
    with psycopg.connect(url_of(bench.server, "prepared"), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS peer.log_entry")
        connection.execute("CREATE TABLE peer.log_entry (LIKE ledger.log_entry INCLUDING ALL)")
        connection.execute("CHECKPOINT")
        begun = time.perf_counter()
        query = f"COPY peer.log_entry ({COLUMNS}) FROM STDIN (FORMAT binary)"
        with connection.cursor().copy(query.encode()) as copy, rows.open("rb") as file:
            for block in iter(lambda: file.read(BLOCK), b""):
                copy.write(block)
        return time.perf_counter() - begun


def imported(bench: Bench, name: str, measured: Measured) -> None:
    """Adds what an import into a new ledger takes, and drops the ledger."""
    place = new_ledger(bench, name)
    admin(bench, "CHECKPOINT")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    run_import(bench, place)
    measured.imports.append(time.perf_counter() - begun)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured.import_processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    measured.peak_kib = max(measured.peak_kib, after.ru_maxrss)
    admin(bench, f"DROP DATABASE {name} WITH (FORCE)")


def run_import(bench: Bench, place: Place) -> None:
    environment = {**os.environ, "CONSENT_LEDGER": place.url or "", "CONSENT_STATE": str(place.state)}
    command = [sys.executable, "-m", "cli.main", "--json", "import", str(bench.events)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"expected every line to be stored, found: {done.stdout}{done.stderr}")


def report(count: int, rows: Path, events: Path, measured: Measured) -> None:
    ratios = [copy / taken for copy, taken in zip(measured.copies, measured.imports, strict=True)]
    for what, seconds in [("COPY of prepared rows", measured.copies), ("consent import", measured.imports)]:
        rates = sorted(count / taken for taken in seconds)
        print(f"{what:22} {statistics.median(rates):9,.0f}/s ({rates[0]:,.0f} to {rates[-1]:,.0f})")
    processor = statistics.median(measured.import_processor) / count * 1e6
    sizes = f"{events.stat().st_size / count:.0f} bytes a line, {rows.stat().st_size / count:.0f} a row"
    print(
        f"{count:,} events of {sizes}\n"
        f"import {statistics.median(ratios):.2f} x COPY ({min(ratios):.2f} to {max(ratios):.2f}); the command takes "
        f"{processor:.1f} us of processor time an event, and {measured.peak_kib / 1024:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
