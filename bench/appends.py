"""Durable appends of one event each, by threads, by tasks and by several processes, beside pgbench and the peers.

Usage: python -m bench.run --only appends

The goals' rows are "of given entries", encoded before the clock starts: pgbench's row is given to it as well, and so is
what message-db and UmaDB store. The rows "with the event made, checked and encoded" show all that a service does for
each; beside libraries that make an event of their own for each, ours does so too.

In each round every side appends for some seconds, one after the other; pgbench does so three times, at the beginning,
in the middle and at the end of the round, and its mean stands for it: then a machine that changes does so for both.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack

from bench import calling, place
from bench.append_callers import Showing
from bench.calling import Calls
from bench.figures import Comparison, Findings, Latency, Limits
from bench.peers import appending
from bench.peers.installing import Peers
from bench.sizes import Sizes
from ledger.application import open_ledger
from ledger.settings import Place

OURS = ("ledger", "pgbench")
PGBENCH = "pgbench, 16 clients"
THREADS, TASKS = "ledger, 64 threads", "ledger, 256 tasks"
THREADS_MADE, TASKS_MADE = f"{THREADS}, events made", f"{TASKS}, events made"
SERVER = "on the server each entry is parsed, judged and written to three indexes by one process, after the other"
CLIENT = "on the client one Python core hands each entry over and its answer back"
TRIED = (
    "a thread that always commits, batches of half of those who are there (decision 4), an entry's end put together "
    "from columns, keys in a statement of their own (decision 14): nothing beyond the noise"
)
TASKS_LIMITS = Limits(
    bound=f"{CLIENT}; {SERVER}",
    tried=TRIED,
    limit="some 45,000 appends a second of a server process that takes 20 us for each, wherever the callers are",
)
THREADS_LIMITS = Limits(
    bound=f"{CLIENT}, and wakes a thread an append; {SERVER}",
    tried=TRIED,
    limit="about 2 x, at some 45 us a thread's append on the client's core",
)

Sides = dict[str, Callable[[], Calls]]


def measure(sizes: Sizes, peers: Peers) -> Findings:
    found = Findings(absent=dict(peers.absent))
    with place.server() as server, ExitStack() as running:
        at = server.new_ledger("appends")
        sides = ours(at, sizes.seconds) | pgbenches(server, at, sizes.seconds)
        for name, prepare in peers_of(server, peers, sizes.seconds, running).items():
            try:
                side = prepare()
                side()  # makes its tables, and shows that it works
                sides[name] = side
            except Exception as error:
                found.absent[name] = f"installed, but did not run here: {error}"
        calls = rounds_of(sides, sizes, found.absent)
        found.comparisons = compare(calls, sizes)
        found.latencies = [latency(name, made) for name, made in calls.items()]
        found.notes.append(durability(server))
    return found


def ours(at: Place, seconds: float) -> Sides:
    def side(kind: str, callers: int, processes: int = 1, entries: str = "given") -> Callable[[], Calls]:
        url, state = at.url or "", str(at.state)
        command = [sys.executable, "-m", "bench.append_callers", url, state, kind, str(callers), str(seconds), entries]
        return lambda: calling.called([command] * processes)

    return {
        "ledger, 1 thread": side("threads", 1),
        THREADS: side("threads", 64),
        "ledger, 64 tasks": side("tasks", 64),
        TASKS: side("tasks", 256),
        THREADS_MADE: side("threads", 64, entries="made"),
        TASKS_MADE: side("tasks", 256, entries="made"),
        "ledger, 4 processes of 64 tasks": side("tasks", 64, 4),
    }


def pgbenches(server: place.Server, at: Place, seconds: float) -> Sides:
    with open_ledger(at) as ledger:
        entry = Showing(ledger, place.terms())().entries[0]
    script = appending.same_row(server, at.url or "", entry)

    def side(clients: int) -> Callable[[], Calls]:
        return lambda: appending.pgbench(server, at.url or "", script, clients, seconds)

    return {"pgbench, 1 client": side(1), PGBENCH: side(16), "pgbench, 64 clients": side(64)}


def peers_of(
    server: place.Server, peers: Peers, seconds: float, running: ExitStack
) -> dict[str, Callable[[], Callable[[], Calls]]]:
    """How each peer that is there gets ready."""
    ready: dict[str, Callable[[], Callable[[], Calls]]] = {
        "eventsourcing, 16 threads": lambda: appending.eventsourcing(server, seconds)
    }
    if (modules := peers.emmett) is not None:
        ready["Emmett, 64 callers"] = lambda: appending.emmett(server, modules, seconds)
    if (database := peers.message_db) is not None:
        ready["message-db, 64 clients"] = lambda: appending.message_db(server, database, seconds)
    if (programs := peers.umadb) is not None:
        ready["UmaDB, 64 threads"] = lambda: running.enter_context(appending.umadb(server, programs, seconds))
    return ready


def rounds_of(sides: Sides, sizes: Sizes, absent: dict[str, str]) -> dict[str, list[Calls]]:
    """What each side did, round by round; of pgbench with 16 clients the mean of three times a round.

    A peer that fails on the way is absent, and takes nobody along.
    """
    found: dict[str, list[Calls]] = {name: [] for name in sides}
    others = [name for name in sides if name != PGBENCH]
    for number in range(sizes.rounds):
        order = others if number % 2 == 0 else others[::-1]
        middle = len(order) // 2
        several = [sides[PGBENCH]()]
        for part in (order[:middle], order[middle:]) if sizes.rounds > 1 else (order,):
            for name in part:
                if name not in absent:
                    found[name] += _made(name, sides[name], absent)
            several.append(sides[PGBENCH]())
        found[PGBENCH].append(_mean(several))
    return {name: several for name, several in found.items() if name not in absent}


def _made(name: str, side: Callable[[], Calls], absent: dict[str, str]) -> list[Calls]:
    try:
        return [side()]
    except Exception as error:
        if name.startswith(OURS):
            raise
        absent[name] = f"it failed in the middle: {error}"
        return []


def _mean(several: list[Calls]) -> Calls:
    appends, seconds = sum(calls.appends for calls in several), sum(calls.seconds for calls in several)
    return Calls(appends, seconds, statistics.mean(calls.median for calls in several), None)


def compare(calls: dict[str, list[Calls]], sizes: Sizes) -> list[Comparison]:
    rates = {name: [made.rate for made in several] for name, several in calls.items()}

    def row(work: str, us: str, them: str, goal: float | None, limits: Limits | None = None) -> list[Comparison]:
        if them not in rates:
            return []
        size = f"{sizes.seconds:g} s a side and round"
        return [
            Comparison(
                work=work,
                against=them,
                size=size,
                unit="appends",
                ours=rates[us],
                theirs=rates[them],
                goal=goal,
                limits=limits,
            )
        ]

    threads, tasks = "durable appends, 64 callers (threads)", "durable appends, 256 callers (asyncio)"
    threads_given, tasks_given = f"{threads}, of given entries", f"{tasks}, of given entries"
    made = "with the event made, checked and encoded"
    return [
        *row(threads_given, THREADS, PGBENCH, 2, THREADS_LIMITS),
        *row(tasks_given, TASKS, PGBENCH, 4, TASKS_LIMITS),
        *row(f"{threads}, {made}", THREADS_MADE, PGBENCH, None),
        *row(f"{tasks}, {made}", TASKS_MADE, PGBENCH, None),
        *row(f"{threads}, {made}", THREADS_MADE, "eventsourcing, 16 threads", 10),
        *row(f"{tasks}, {made}", TASKS_MADE, "eventsourcing, 16 threads", 10),
        *row(f"{tasks}, {made}", TASKS_MADE, "Emmett, 64 callers", 1),
        *row(tasks_given, TASKS, "message-db, 64 clients", 1),
        *row(tasks_given, TASKS, "UmaDB, 64 threads", 1, TASKS_LIMITS),
        *row("of given entries, 64 callers (asyncio)", "ledger, 64 tasks", PGBENCH, None),
        *row("of given entries, 4 processes of 64 callers (asyncio)", "ledger, 4 processes of 64 tasks", PGBENCH, None),
        *row("of given entries, one caller alone", "ledger, 1 thread", "pgbench, 1 client", None),
        *row("pgbench with more clients, for comparison", "pgbench, 64 clients", PGBENCH, None),
    ]


def latency(name: str, several: list[Calls]) -> Latency:
    return Latency(
        who=name,
        rate=statistics.median(calls.rate for calls in several),
        median=statistics.median(calls.median for calls in several),
        p99=statistics.median(known) if (known := [calls.p99 for calls in several if calls.p99 is not None]) else None,
    )


def durability(server: place.Server) -> str:
    import psycopg

    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")
    with psycopg.connect(server.embedded.dsn) as connection:
        found = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in names]
    said = ", ".join(f"{name} {row[0]}" for name, row in zip(names, found, strict=True) if row)
    return f"PostgreSQL of everybody but UmaDB, which has its own server: {said}."
