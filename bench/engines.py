"""The gate's engines over the same synthetic items: time, peak memory, and one checksum over all that was written.

Usage: python -m bench.engines [--items 10000000] [--subjects 100000] [--engine duckdb --engine spark] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from bench import items
from ledger.application import open_ledger
from ledger.gate.engines import ENGINES
from ledger.settings import Place, place_of
from ledger.store.location import create_ledger

#: Seconds between two looks at how much memory there is; a process keeps its own peak meanwhile.
LOOK = 0.5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=10_000_000)
    arguments.add_argument("--subjects", type=int, default=100_000)
    arguments.add_argument("--engine", action="append", choices=ENGINES, help="default: each")
    arguments.add_argument("--work", type=Path, help="where to make folders; default: the system's for temporary files")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="consent-bench-", dir=asked.work) as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the embedded server's own user must get through
        work = Path(folder)
        began = time.perf_counter()
        items.write_items(work / "items", asked.items, asked.subjects)
        place = place_of(f"{folder}/ledger", {})
        create_ledger(place, None)
        with open_ledger(place) as ledger:
            items.fill(ledger, asked.subjects)
            print(
                f"{asked.items:,} items of {asked.subjects:,} people made in {time.perf_counter() - began:,.0f} s",
                flush=True,
            )
            sums = {measure(engine, place, work) for engine in asked.engine or ENGINES}
    if len(sums) > 1:
        raise SystemExit("expected the same rows from each engine, found different checksums")


def measure(engine: str, place: Place, work: Path) -> str:
    """One run through the gate by the command line; its line of the report, and its checksum."""
    out = work / engine
    began = time.perf_counter()
    command = ["--json", "filter", str(work / "items"), "--run", engine, "--out", str(out), "--engine", engine]
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", *command, "--started-at", "2026-06-01T00:00:00Z"],
        env={**os.environ, "CONSENT_LEDGER": str(place.directory)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        peaks: dict[int, tuple[str, int]] = {}
        while process.poll() is None:
            look(process.pid, peaks)
            time.sleep(LOOK)
        assert process.stdout is not None  # noqa: S101 - asked for above
        summary = json.loads(process.stdout.read() or "{}")
    if process.returncode:
        raise SystemExit(f"expected {engine} to finish, found exit status {process.returncode}")
    took = time.perf_counter() - began
    memory = ", ".join(f"{name} {peak / 1024:,.0f} MB" for name, peak in peaks.values() if peak > 50 * 1024)
    found = checksum(out)
    print(
        f"{engine}: {took:,.0f} s, peak memory {memory}; {summary['permitted']:,} permitted, {summary['refused']:,} "
        f"refused, {summary['uses']:,} uses, checksum {found}",
        flush=True,
    )
    return found


def look(pid: int, peaks: dict[int, tuple[str, int]]) -> None:
    """The peak memory of a process and those below it so far, in KiB; servers of others' are none of them."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        peaks[pid] = fields["Name"], int(fields.get("VmHWM", "0 kB").split()[0])
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in below:
        look(int(child), peaks)


def checksum(out: Path) -> str:
    """One number over both outputs: every column but `use`, which tells one run from another, and the order of rows."""
    found = 0
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for name in ("permitted.parquet", "refused.parquet"):
            files = sorted((out / name).glob("*.parquet")) if (out / name).is_dir() else [out / name]
            reader = f"read_parquet([{', '.join(repr(str(file)) for file in files)}])"
            described = engine.execute(f"DESCRIBE FROM {reader}").fetchall()
            columns = ", ".join(str(row[0]) for row in described if row[0] != "use")
            row = engine.execute(
                f"SELECT bit_xor(hash(n, {columns})) FROM (SELECT *, row_number() OVER () AS n FROM {reader})"
            ).fetchone()
            found ^= int((row or (0,))[0] or 0)
    return f"{found:016x}"


if __name__ == "__main__":
    main()
