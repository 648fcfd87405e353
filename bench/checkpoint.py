"""Seconds for a checkpoint over new entries on maps of several sizes, beside COPY of the same entries; and what appends
feel of it.

Usage: python bench/checkpoint.py [--streams 10000 100000 1000000] [--entries 10000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from bench.figures import seconds_of
from ledger.application import ConsentLedger, open_ledger
from ledger.domain.entry import decode_entry, encode_entry, make_entry
from ledger.domain.events import ToggleChanged
from ledger.domain.names import subject_stream
from ledger.domain.recording import happening_now
from ledger.sequencer import sequence
from ledger.settings import place_of
from ledger.store import embedded
from ledger.store.database import connect
from ledger.store.location import create_ledger
from ledger.store.statements import statement
from ledger.store.writer import Append

CALLERS = 4
IDLE_SECONDS = 5.0
#: Appends of one transaction while the log is filled.
BATCH = 1_000
TYPES = ("int8", "text", "int8", "text", "timestamptz", "bool", "bytea")

SEQUENCER = """
import sys
from ledger.application import open_ledger
from ledger.sequencer import sequence
from ledger.settings import place_of
with open_ledger(place_of(sys.argv[1], {})) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    sequence(ledger)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--streams", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--entries", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=3)
    asked = arguments.parse_args()
    for streams in asked.streams:
        with tempfile.TemporaryDirectory(prefix="consent-bench-") as folder:
            os.chmod(folder, 0o755)  # noqa: S103 - the embedded server's own user must get through
            place = place_of(f"{folder}/ledger", {})
            create_ledger(place, None)
            with embedded.start(Path(folder) / "ledger"), open_ledger(place) as ledger:
                measure(ledger, streams, asked.entries, asked.rounds)


def measure(ledger: ConsentLedger, streams: int, entries: int, rounds: int) -> None:
    versions = dict.fromkeys((subject_stream(number.to_bytes(16, "big")) for number in range(streams)), 1)
    copy(ledger, "ledger.log_entry", first_entries(ledger, list(versions)))
    took = seconds_of(lambda: sequence(ledger))
    print(f"{streams:9,} streams: the first checkpoint, over {streams:,} entries, {took:.1f} s")
    checkpoints, copies = [], []
    for _ in range(rounds):
        stored = append(ledger, versions, entries)
        checkpoints.append(seconds_of(lambda: sequence(ledger)))
        copies.append(copied(ledger, stored))
    print(
        f"{streams:9,} streams: a checkpoint over {entries:,} new entries {spread(checkpoints)} s, "
        f"COPY of them {spread(copies)} s"
    )
    append(ledger, versions, entries)
    report_latency(ledger, versions, streams, entries)


def first_entries(ledger: ConsentLedger, streams: list[str]) -> Iterator[tuple[object, ...]]:
    """A first entry for each stream, as rows of the log; only the stream and the nonce differ."""
    now = ledger.clock.now()
    [entry] = toggles(streams[0], 1, now)
    nonce = decode_entry(entry).nonce.encode()
    for position, stream in enumerate(streams, 1):
        stored = entry.replace(streams[0].encode(), stream.encode()).replace(nonce, os.urandom(16).hex().encode())
        yield position, stream, 1, "toggle-changed", now, False, stored


def toggles(stream: str, version: int, now: datetime) -> list[bytes]:
    event = ToggleChanged(purpose="model-training", to="off", surface="settings", cause="person")
    new = happening_now(event, None, now)
    entry = make_entry(
        event,
        stream=stream,
        version=version,
        occurred_at=new.occurred_at,
        recorded_at=new.recorded_at,
        nonce=os.urandom(16).hex(),
    )
    return [encode_entry(entry)]


def copy(ledger: ConsentLedger, table: str, rows: Iterator[tuple[object, ...]]) -> None:
    with (
        connect(ledger.url, "the bench") as owner,
        owner.cursor().copy(statement("restore_copy").replace("ledger.log_entry", table)) as writing,
    ):
        writing.set_types(TYPES)
        for row in rows:
            writing.write_row(row)


def append(ledger: ConsentLedger, versions: dict[str, int], count: int) -> list[tuple[object, ...]]:
    """Appends one entry each to so many streams; the rows."""
    chosen = random.sample(list(versions), min(count, len(versions)))
    for start in range(0, len(chosen), BATCH):
        now = ledger.clock.now()
        some = chosen[start : start + BATCH]
        outcomes = ledger.recorder.insert_many(
            [Append(s, versions[s] + 1, toggles(s, versions[s] + 1, now)) for s in some]
        )
        if any(outcome.name != "stored" for outcome in outcomes):
            raise SystemExit(f"expected appends to be stored, found {outcomes}")
        for stream in some:
            versions[stream] += 1
    head = ledger.recorder.head()
    return [
        (position, stream, version, event, decode_entry(bytes(stored)).recorded, False, bytes(stored))
        for position, stream, version, event, stored in ledger.recorder.pages(head - len(chosen), head)
    ]


def copied(ledger: ConsentLedger, rows: list[tuple[object, ...]]) -> float:
    """COPY of prepared rows into the same kind of table."""
    with connect(ledger.url, "the bench") as owner:
        owner.execute("DROP TABLE IF EXISTS ledger.peer")
        owner.execute("CREATE TABLE ledger.peer (LIKE ledger.log_entry INCLUDING ALL)")
    return seconds_of(lambda: copy(ledger, "ledger.peer", iter(rows)))


def report_latency(ledger: ConsentLedger, versions: dict[str, int], streams: int, entries: int) -> None:
    """Appends of a few callers, first alone, then while a sequencer in a process of its own makes a checkpoint."""
    streams_of_callers = list(versions)[:CALLERS]
    end = time.monotonic() + IDLE_SECONDS
    idle = latencies(ledger, versions, streams_of_callers, lambda: time.monotonic() >= end)
    command = [sys.executable, "-c", SEQUENCER, ledger.place.name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - they are pipes
        process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.close()
        begun = time.monotonic()
        busy = latencies(ledger, versions, streams_of_callers, lambda: process.poll() is not None)
        took = time.monotonic() - begun
    for name, found in (("idle", idle), (f"busy for {took:.1f} s over {entries:,} entries", busy)):
        percent = statistics.quantiles(found, n=100)
        times = f"median {percent[49] * 1000:.2f} ms, 99th {percent[98] * 1000:.2f} ms, most {max(found) * 1000:.1f} ms"
        print(f"{streams:9,} streams: {len(found):,} appends of {CALLERS} callers, sequencer {name}: {times}")


def latencies(
    ledger: ConsentLedger, versions: dict[str, int], streams: list[str], is_over: Callable[[], bool]
) -> list[float]:
    found: list[float] = []

    def call(stream: str) -> None:
        while not is_over():
            waiting = Append(stream, versions[stream] + 1, toggles(stream, versions[stream] + 1, ledger.clock.now()))
            begun = time.perf_counter()
            ledger.recorder.position_of(ledger.writer.append(waiting))
            found.append(time.perf_counter() - begun)
            versions[stream] += 1

    threads = [threading.Thread(target=call, args=[stream]) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
