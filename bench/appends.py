"""Acknowledged appends a second, one event each, beside pgbench inserting the same row, in one run.

Usage: python bench/appends.py [--seconds 8] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path

from ledger.application import ConsentLedger, open_ledger
from ledger.domain.entry import encode_entry, make_entry
from ledger.domain.events import TermsShown
from ledger.domain.recording import happening_now
from ledger.domain.terms import Terms, parse_terms
from ledger.settings import place_of
from ledger.store import embedded
from ledger.store.database import connect
from ledger.store.location import create_ledger
from ledger.store.writer import Append

CALLERS = (1, 16, 64)
PGBENCH_CLIENTS = (1, 16, 64)

#: The same row into the same kind of table, the database's own sequence for the position.
PEER = """
CREATE SCHEMA IF NOT EXISTS peer;
CREATE TABLE IF NOT EXISTS peer.log_entry (LIKE ledger.log_entry INCLUDING ALL);
CREATE SEQUENCE IF NOT EXISTS peer.position;
"""
INSERT = """
INSERT INTO peer.log_entry (position, stream, version, event, recorded_at, imported, entry)
VALUES (nextval('peer.position'), encode(sha256(gen_random_uuid()::text::bytea), 'hex'), 1, 'terms-shown',
        clock_timestamp(), false, decode('{entry}', 'hex'));
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=8)
    arguments.add_argument("--rounds", type=int, default=3)
    asked = arguments.parse_args()
    terms = parse_terms(Path("examples/terms/2025-09-28.toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="consent-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the embedded server's own user must get through
        place = place_of(f"{folder}/ledger", {})
        create_ledger(place, None)
        with embedded.start(Path(folder) / "ledger") as server, open_ledger(place) as ledger:
            ledger.publish(terms)
            with connect(ledger.url, "the bench") as owner:
                owner.execute(PEER)
            script = Path(folder) / "insert.sql"
            script.write_text(INSERT.format(entry=shown(ledger, terms).entries[0].hex()), encoding="utf-8")
            report(measure(ledger, terms, server, script, asked.seconds, asked.rounds))


def measure(
    ledger: ConsentLedger, terms: Terms, server: embedded.EmbeddedServer, script: Path, seconds: float, rounds: int
) -> dict[str, list[float]]:
    """Appends or inserts a second, by who did them, each once a round in turn."""
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for clients in PGBENCH_CLIENTS:
            rates.setdefault(f"pgbench, {clients} clients", []).append(pgbench(server, script, clients, seconds))
        for callers in CALLERS:
            rates.setdefault(f"appends, {callers} callers", []).append(appends(ledger, terms, callers, seconds))
    return rates


def appends(ledger: ConsentLedger, terms: Terms, callers: int, seconds: float) -> float:
    counts = [0] * callers
    end = time.monotonic() + seconds

    def call(caller: int) -> None:
        while time.monotonic() < end:
            outcome = ledger.writer.append(shown(ledger, terms))
            if outcome.name != "stored":
                raise SystemExit(f"expected an append to be stored, found {outcome}")
            counts[caller] += 1

    threads = [threading.Thread(target=call, args=[caller]) for caller in range(callers)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - begun)


def shown(ledger: ConsentLedger, terms: Terms) -> Append:
    """The first event of a new subject: validated, canonical, with a nonce."""
    event = TermsShown(
        terms=terms.version,
        notice=terms.notice_hash(),
        toggles={purpose.id: purpose.default for purpose in terms.purposes},
        plan="pro",
        surface="pop-up",
        locale="en",
    )
    new = happening_now(event, None, ledger.clock.now() - timedelta(milliseconds=1))
    stream = os.urandom(32).hex()
    entry = make_entry(
        event,
        stream=stream,
        version=1,
        occurred_at=new.occurred_at,
        recorded_at=new.recorded_at,
        nonce=os.urandom(16).hex(),
    )
    return Append(stream, 1, [encode_entry(entry)])


def pgbench(server: embedded.EmbeddedServer, script: Path, clients: int, seconds: float) -> float:
    command = [
        str(server.bin_path / "pgbench"),
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={clients}",
        f"--jobs={min(clients, os.cpu_count() or 1)}",
        f"--time={max(1, round(seconds))}",
        f"--file={script}",
        server.dsn,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if found is None:
        raise SystemExit(f"expected pgbench to say its rate, found: {done.stdout}")
    return float(found.group(1))


def report(rates: dict[str, list[float]]) -> None:
    best = {name: statistics.median(found) for name, found in rates.items()}
    for name, found in rates.items():
        pairs = [rate / peer for rate, peer in zip(found, rates["pgbench, 16 clients"], strict=True)]
        print(
            f"{name:24} {best[name]:9,.0f}/s  ({min(found):,.0f} to {max(found):,.0f})  "
            f"{statistics.median(pairs):.2f} x pgbench with 16 clients ({min(pairs):.2f} to {max(pairs):.2f})"
        )


if __name__ == "__main__":
    main()
