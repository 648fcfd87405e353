"""Replay of a log into everybody's consent record beside plain reading of the same rows, in turn, in one run.

Usage: python bench/replay.py [--subjects 400000] [--rounds 5]

Both read the log stream by stream, by the same keyset pages, prepared and in binary; the replay decodes each entry as
strictly as ever, folds it into its person's record and lets the record go. Reading does nothing with the rows.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.audit import population
from ledger.application import ConsentLedger, open_ledger
from ledger.history import records_of
from ledger.restoring import restore
from ledger.settings import place_of
from ledger.store.location import create_ledger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with filled(asked.subjects) as ledger:
        entries = ledger.recorder.head()
        before = peak_mib()
        reading: list[tuple[float, float]] = []
        replaying: list[tuple[float, float]] = []
        read(ledger)
        for _ in range(asked.rounds):
            reading.append(timed(lambda: read(ledger)))
            replaying.append(timed(lambda: replay(ledger)))
        report(entries, reading, replaying, peak_mib() - before)


@contextmanager
def filled(subjects: int) -> Iterator[ConsentLedger]:
    """A ledger of so many people, some two and a half entries each."""
    with tempfile.TemporaryDirectory(prefix="consent-bench-") as folder:
        Path(folder).chmod(0o755)  # the embedded server's own user must get through
        export = Path(folder) / "log.jsonl"
        with export.open("wb") as file:
            file.writelines(entry + b"\n" for entry in population(subjects, 10**9, 0.0, seed=1).entries)
        place = place_of(f"{folder}/ledger", {})
        create_ledger(place, None)
        with open_ledger(place) as ledger:
            restore(place, export, lambda _: None)
            export.unlink()
            yield ledger


def read(ledger: ConsentLedger) -> int:
    return sum(len(page) for page in ledger.recorder.pages_by_stream(ledger.recorder.head()))


def replay(ledger: ConsentLedger) -> int:
    return sum(record.version for record in records_of(ledger))


def timed(work: Callable[[], int]) -> tuple[float, float]:
    """Seconds of the clock, and of this process's processor time."""
    begun, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - processor


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(
    entries: int, reading: list[tuple[float, float]], replaying: list[tuple[float, float]], memory: float
) -> None:
    for what, rounds in [("reading", reading), ("replay", replaying)]:
        rates = sorted(entries / seconds for seconds, _ in rounds)
        processor = statistics.median(processor for _, processor in rounds) / entries * 1e6
        print(
            f"{what:8} {statistics.median(rates):10,.0f}/s ({rates[0]:,.0f} to {rates[-1]:,.0f}), "
            f"{processor:.1f} us of processor time an entry"
        )
    ratios = [read[0] / replayed[0] for read, replayed in zip(reading, replaying, strict=True)]
    print(
        f"{entries:,} entries: replay {statistics.median(ratios):.2f} x reading "
        f"({min(ratios):.2f} to {max(ratios):.2f}); it took {memory:.0f} MB more than there was before"
    )


if __name__ == "__main__":
    main()
