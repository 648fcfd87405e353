"""The service beside a bare endpoint: the same framework, server and driver, with one SELECT or INSERT a request.

Usage: python -m bench.run --only serving

A check is a token looked at, a strict body, the person found, their entries read, and the verdict of the gate's own
rule; a record is a decision in the order of the log, committed to disk, with a signed receipt. Callers, both services
and the server share the machine's cores.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from bench import calling, place
from bench.calling import Calls
from bench.figures import Comparison, Findings, Latency, Peak
from bench.gating import population
from bench.lookups import questions, table
from bench.peers.installing import Peers
from bench.running_service import LEDGER, started
from bench.sizes import Sizes
from ledger.application import open_ledger
from ledger.domain.times import format_time
from ledger.settings import Place

CALLERS = 32
#: More than any machine answers: what is measured is not the limit.
NO_RATE = "1000000"


def measure(sizes: Sizes, peers: Peers) -> Findings:  # noqa: ARG001 - the peer is made of our own dependencies
    found = Findings()
    count = sizes.replica_subjects[0]
    with place.server() as server, ExitStack() as running:
        at = population(server, count, count)
        place.consent("projections", "rebuild", "current-consent", place=at)
        bodies = write_bodies(server.folder, at)
        token = new_token(at)
        service = running.enter_context(started([*LEDGER, "--rate", NO_RATE], at))
        bare = running.enter_context(started(["bench.bare_service", at.url or ""], at))
        sides = {
            "POST /v1/check": (service.url, "/v1/check", bodies["check"]),
            "a bare endpoint with one SELECT": (bare.url, "/select", bodies["select"]),
            "POST /v1/events": (service.url, "/v1/events", bodies["record"]),
            "a bare endpoint with one INSERT": (bare.url, "/insert", bodies["record"]),
        }
        calls: dict[str, list[Calls]] = {name: [] for name in sides}
        for number in range(sizes.rounds):
            for name in sides if number % 2 == 0 else reversed(sides):
                calls[name].append(asked(*sides[name], sizes.seconds, token))
        found.comparisons = compare(calls, f"{count:,} subjects, {CALLERS} callers")
        found.latencies = [latency(name, several) for name, several in calls.items()]
        peak = Peak(work="consent serve, after all that", size=f"{count:,} subjects", mebibytes=service.peak())
        found.peaks.append(peak)
    return found


def write_bodies(folder: Path, at: Place) -> dict[str, Path]:
    """What is asked, a line each, about people in no order."""
    purpose = place.terms().purpose_ids[0]
    with open_ledger(at) as ledger, ledger.connection() as connection:
        rows = connection.execute(f"SELECT stream FROM {table('current-consent')}".encode()).fetchall()
    asked = questions([row[0] for row in rows])
    off = {"purpose": purpose, "to": "off", "surface": "privacy-settings", "cause": "person"}
    lines: dict[str, list[Any]] = {
        "check": [
            {
                "subject": f"key:{stream}",
                "collected_at": format_time(item.collected),
                "purpose": purpose,
                "kind": item.kind,
            }
            for stream, item in asked
        ],
        "select": [[stream, purpose] for stream, _ in asked],
        "record": [{"event": "toggle-changed", "subject": f"key:{stream}", "data": off} for stream, _ in asked],
    }
    paths = {name: folder / f"{name}.jsonl" for name in lines}
    for name, path in paths.items():
        path.write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines[name]))
    return paths


def new_token(at: Place) -> str:
    done = place.consent("--json", "tokens", "create", "bench", "--scope", "read", "--scope", "record", place=at)
    token: str = msgspec.json.decode(done.said.splitlines()[0])["token"]
    return token


def asked(url: str, path: str, bodies: Path, seconds: float, token: str) -> Calls:
    command = [sys.executable, "-m", "bench.http_callers", url, path, str(bodies), str(CALLERS), str(seconds)]
    return calling.called([command], dict(os.environ) | {"BENCH_TOKEN": token})


def compare(calls: dict[str, list[Calls]], size: str) -> list[Comparison]:
    names = list(calls)
    return [
        Comparison(
            work=f"`{us}`",
            against=them,
            size=size,
            unit="requests",
            ours=[made.rate for made in calls[us]],
            theirs=[made.rate for made in calls[them]],
        )
        for us, them in zip(names[::2], names[1::2], strict=True)
    ]


def latency(name: str, several: Sequence[Calls]) -> Latency:
    return Latency(
        who=f"{name}, {CALLERS} callers",
        rate=statistics.median(calls.rate for calls in several),
        median=statistics.median(calls.median for calls in several),
        p99=statistics.median(calls.p99 or 0 for calls in several),
    )
