"""A replica's answers beside looking a person's row up by primary key.

Usage: python -m bench.run --only lookups

The people live through the terms' change as `consent simulate` has it. Each question is about another of them, in no
order, so that neither side is asked what it has just answered. The peer is a prepared, binary SELECT of the row of
`current-consent` over one open connection to a server on this machine: less than a verdict, for plan, kind, run and
retention would still have to be judged.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from bench import place
from bench.figures import Comparison, Findings, Limits, Peak, in_turn
from bench.gating import DAYS, population
from bench.peers.installing import Peers
from bench.sizes import Sizes
from ledger.client import Replica
from ledger.client.database_feed import DatabaseFeed
from ledger.domain.eligibility import Item
from ledger.domain.times import start_of_day
from ledger.projections import PROJECTIONS
from ledger.settings import Place

QUESTIONS = 20_000
#: Questions between two looks at the clock.
BLOCK = 200
#: Until the snapshot is given up.
PATIENCE_SECONDS = 600.0
SELECT = b"""
    SELECT toggle, since, basis, quality, terms, plan, position
    FROM projection_current_consent.current_consent WHERE stream = %s AND purpose = %s
"""
LIMITS = Limits(
    bound="one Python core finds the person and the span, adds the retention in the calendar, and makes the answer",
    tried="one row a person, spans that are shared, structs that the collector passes over (decision 21) are in",
    limit="20 to 30 x, by how much of the people the processor's cache holds",
)

Question = tuple[str, Item]
Clock = Callable[[], float]


def measure(sizes: Sizes, peers: Peers) -> Findings:  # noqa: ARG001 - the peer is PostgreSQL itself
    found = Findings()
    with place.server() as server:
        for count in sizes.replica_subjects:
            at = population(server, count, count)
            place.consent("projections", "rebuild", "current-consent", "verdict-spans", place=at)
            compare(at, f"{count:,} subjects", sizes, count == sizes.replica_subjects[-1], found)
            server.drop(f"gate_{count}")
    return found


def compare(at: Place, size: str, sizes: Sizes, is_goal: bool, found: Findings) -> None:
    purpose = place.terms().purpose_ids[0]
    with psycopg.connect(at.url or "", autocommit=True) as connection:
        streams = [row[0] for row in connection.execute(f"SELECT stream FROM {table('verdict-spans')}".encode())]
        before = resident()
        with Replica(DatabaseFeed(at), stalest=PATIENCE_SECONDS) as replica:
            begun = time.perf_counter()
            replica.wait_for(0, PATIENCE_SECONDS)
            took, added = time.perf_counter() - begun, resident() - before
            asked = questions(streams)
            now = asked[0][1].collected + timedelta(days=2 * DAYS)
            cursor = connection.cursor(binary=True)

            def answer(question: Question) -> None:
                replica.may_use(question[0], purpose, question[1], now=now)

            def select(question: Question) -> None:
                cursor.execute(SELECT, (question[0], purpose), prepare=True).fetchone()

            clocks = {"": time.perf_counter, ", by the caller's processor time alone": time.thread_time}
            sides = [
                lambda ask=ask, clock=clock: rate(ask, asked, sizes.seconds / 2, clock)
                for clock in clocks.values()
                for ask in (answer, select)
            ]
            rates = in_turn(sizes.rounds, sides)
    for number, what in enumerate(clocks):
        found.comparisons.append(
            Comparison(
                work=f"`Replica.may_use`{what}",
                against="SELECT by primary key of current-consent",
                size=size,
                unit="answers",
                ours=rates[2 * number],
                theirs=rates[2 * number + 1],
                goal=20 if is_goal and not what else None,
                limits=LIMITS,
            )
        )
    found.peaks.append(Peak(work="Replica, what it added to its process", size=size, mebibytes=added / 2**20))
    found.notes.append(f"A replica of {size} had its first snapshot after {took:.1f} s, from rows that were there.")


def questions(streams: Sequence[str]) -> list[Question]:
    """About people in no order, each of an item of any time since the announcement."""
    drawn = random.Random(1)  # noqa: S311 - a seeded order is no cryptography
    announced: datetime = start_of_day(place.terms().announced)
    kinds = place.terms().purposes[0].data
    return [
        (
            drawn.choice(streams),
            Item(announced + timedelta(seconds=drawn.randrange(86_400 * DAYS)), drawn.choice(kinds)),
        )
        for _ in range(QUESTIONS)
    ]


def rate(ask: Callable[[Question], None], asked: Sequence[Question], seconds: float, clock: Clock) -> float:
    """Questions a second of that clock, asked one after the other for so long."""
    gc.collect()
    count, begun, used = 0, time.perf_counter(), clock()
    while time.perf_counter() - begun < seconds:
        start = count % len(asked)
        for question in asked[start : start + BLOCK]:
            ask(question)
        count += BLOCK
    return count / (clock() - used)


def table(name: str) -> str:
    projection: Any = PROJECTIONS[name]
    return f"{projection.tables}.{projection.table}"


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
