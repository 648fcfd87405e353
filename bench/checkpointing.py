"""A checkpoint over new entries beside COPY of the same, and appends beside pgbench, as the log and its map grow.

Usage: python -m bench.run --only checkpointing (bench/checkpoint.py has how the log is filled, and what appends feel)
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench import appends, checkpoint, place
from bench.calling import Calls
from bench.figures import Comparison, Findings, in_turn, seconds_of
from bench.peers.installing import Peers
from bench.sizes import Sizes
from ledger.application import open_ledger
from ledger.domain.names import subject_stream
from ledger.sequencer import sequence
from ledger.settings import Place
from ledger.store.database import connect

#: A log of so few entries needs no growth to be shown.
LEAST_FOR_GROWTH = 10_000


def measure(sizes: Sizes, peers: Peers) -> Findings:  # noqa: ARG001 - nothing of this has a peer to install
    found = Findings()
    with place.server() as server:
        for streams in sizes.map_streams:
            name = f"map_{streams}"
            at = server.new_ledger(name)
            compare(at, streams, sizes, found)
            if streams >= LEAST_FOR_GROWTH:
                compare_appends(server, at, streams, sizes, found)
            server.drop(name)
    return found


def compare(at: Place, streams: int, sizes: Sizes, found: Findings) -> None:
    with open_ledger(at) as ledger:
        versions = dict.fromkeys((subject_stream(number.to_bytes(16, "big")) for number in range(streams)), 1)
        taken = ledger.recorder.head()
        rows = (
            (position, *row[1:])
            for position, row in enumerate(checkpoint.first_entries(ledger, list(versions)), taken + 1)
        )
        checkpoint.copy(ledger, "ledger.log_entry", rows)
        first = seconds_of(lambda: sequence(ledger))
        stored: list[tuple[object, ...]] = []

        def signed() -> float:
            stored[:] = checkpoint.append(ledger, versions, sizes.checkpoint_entries)
            return len(stored) / seconds_of(lambda: sequence(ledger))

        def copied() -> float:
            if not stored:
                stored[:] = checkpoint.append(ledger, versions, sizes.checkpoint_entries)
            return len(stored) / checkpoint.copied(ledger, stored)

        ours, theirs = in_turn(sizes.rounds, [signed, copied])
    found.comparisons.append(
        Comparison(
            work=f"checkpoint over {len(stored):,} new entries",
            against="COPY of the same entries",
            size=f"a map of {streams:,} subjects",
            unit="entries",
            ours=ours,
            theirs=theirs,
        )
    )
    seconds = statistics.median(len(stored) / rate for rate in ours)
    found.notes.append(
        f"A checkpoint over {len(stored):,} new entries on a map of {streams:,} subjects took {seconds:.1f} s at the "
        f"median, the first one, over all {streams:,}, {first:.1f} s."
    )


def compare_appends(server: place.Server, at: Place, streams: int, sizes: Sizes, found: Findings) -> None:
    """The peer's table has the same rows to begin with."""
    with open_ledger(at) as ledger, connect(ledger.url, "the bench") as owner:
        owner.execute("DROP TABLE IF EXISTS ledger.peer")
        sides = appends.ours(at, sizes.seconds) | appends.pgbenches(server, at, sizes.seconds)
        columns = "position, stream, version, event, recorded_at, imported, entry"
        owner.execute(f"INSERT INTO peer.log_entry ({columns}) SELECT {columns} FROM ledger.log_entry".encode())
        owner.execute("SELECT setval('peer.position', (SELECT max(position) FROM peer.log_entry))")
        owner.execute("CHECKPOINT")
    ours, theirs = in_turn(sizes.rounds, [_rate(sides[appends.TASKS]), _rate(sides[appends.PGBENCH])])
    found.comparisons.append(
        Comparison(
            work="durable appends, 256 callers (asyncio), of given entries, as the log grows",
            against=appends.PGBENCH,
            size=f"a log of {streams:,} entries",
            unit="appends",
            ours=ours,
            theirs=theirs,
        )
    )


def _rate(side: Callable[[], Calls]) -> Callable[[], float]:
    return lambda: side().rate
