"""Each peer's callers, with the peer's own best settings and at our durability: an append is acknowledged once it is on
disk. Each function gives calls a round, and prepares what it needs when it is first called."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

from bench.calling import PATIENCE_SECONDS, Calls, called
from bench.place import Server

ROOT = Path(__file__).parents[2]
THREADS = 16
#: More callers than connections: a pool of as many as pgbench has clients did best of 8, 16 and 32.
EMMETT_CALLERS, EMMETT_CONNECTIONS = 64, 16
UMADB_CALLERS = 64
MESSAGE_DB_CLIENTS = 64
#: What was told to stop is ended then; nothing of it is needed any more.
SECONDS_TO_STOP = 10
#: message-db takes one lock a category for as long as a transaction lasts.
MESSAGE_DB_CATEGORIES = 1_000

#: The same row into the same kind of table, the database's own sequence for the position.
PEER_TABLE = """
CREATE SCHEMA IF NOT EXISTS peer;
CREATE TABLE IF NOT EXISTS peer.log_entry (LIKE ledger.log_entry INCLUDING ALL);
CREATE SEQUENCE IF NOT EXISTS peer.position;
"""
INSERT = """
INSERT INTO peer.log_entry (position, stream, version, event, recorded_at, imported, entry)
VALUES (nextval('peer.position'), encode(sha256(gen_random_uuid()::text::bytea), 'hex'), 1, 'terms-shown',
        clock_timestamp(), false, decode('{entry}', 'hex'));
"""
WRITE_MESSAGE = """
\\set category random(1, {categories})
SELECT message_store.write_message(
    gen_random_uuid()::varchar, ('subject:' || :category || '-' || gen_random_uuid())::varchar, 'terms-shown'::varchar,
    '{data}'::jsonb, NULL::jsonb, -1::bigint);
"""
DATA = (
    '{"terms": "2025-09-28", "notice": "%s", "toggles": {"model-training": "on"}, "plan": "pro", "surface": "pop-up", '
    '"locale": "en"}'
) % ("f" * 64)
_MESSAGE_DB_FILES = (
    "roles/message-store.sql",
    "schema/message-store.sql",
    "tables/messages.sql",
    "types/message.sql",
    *(
        f"functions/{name}.sql"
        for name in (
            "message-store-version",
            "hash-64",
            "acquire-lock",
            "category",
            "is-category",
            "id",
            "cardinal-id",
            "stream-version",
            "write-message",
        )
    ),
    "indexes/messages-id.sql",
    "indexes/messages-stream.sql",
    "indexes/messages-category.sql",
)


def pgbench(server: Server, url: str, script: Path, clients: int, seconds: float) -> Calls:
    """pgbench with prepared statements, and a thread a core."""
    lasts = max(1, round(seconds))
    command = [
        server.program("pgbench"),
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={clients}",
        f"--jobs={min(clients, os.cpu_count() or 1)}",
        f"--time={lasts}",
        f"--file={script}",
        url,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=lasts + PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"pgbench did not end within {PATIENCE_SECONDS:g} s more than it was told") from None
    rate, latency, count = (
        re.search(pattern, done.stdout)
        for pattern in (r"tps = ([0-9.]+)", r"latency average = ([0-9.]+)", r"processed: (\d+)")
    )
    if done.returncode == 0 and count is not None and int(count[1]) == 0 and lasts < PATIENCE_SECONDS:
        return pgbench(server, url, script, clients, 2 * lasts)  # the disk was slower than that
    if done.returncode != 0 or rate is None or latency is None or count is None:
        raise RuntimeError(f"expected pgbench to say its rate, found: {done.stdout}{done.stderr}")
    # It tells no percentiles without a log of every transaction; the mean stands for the median.
    return Calls(int(count[1]), int(count[1]) / float(rate[1]), float(latency[1]), None)


def same_row(server: Server, url: str, entry: bytes) -> Path:
    """The script of an insert of the same row, into a table of the same kind in the ledger's own database."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(PEER_TABLE)
    script = server.folder / "insert.sql"
    script.write_text(INSERT.format(entry=entry.hex()), encoding="utf-8")
    return script


def eventsourcing(server: Server, seconds: float) -> Callable[[], Calls]:
    """The library's own application on PostgreSQL, with a connection a thread."""
    server.admin("CREATE DATABASE peer_eventsourcing")
    parts = server.parts()
    environment = {
        **os.environ,
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": "peer_eventsourcing",
        "POSTGRES_HOST": parts["host"],
        "POSTGRES_PORT": parts["port"],
        "POSTGRES_USER": parts["user"],
        "POSTGRES_PASSWORD": "",
        "POSTGRES_POOL_SIZE": str(THREADS),
    }
    command = [sys.executable, "-m", "bench.peers.eventsourcing_callers", str(THREADS), str(seconds)]
    return lambda: called([command], environment)


def emmett(server: Server, installed: Path, seconds: float) -> Callable[[], Calls]:
    """Emmett's event store with a pool of connections."""
    server.admin("CREATE DATABASE peer_emmett")
    parts = server.parts()
    url = f"postgresql://{parts['user']}@localhost/peer_emmett?host={quote(parts['host'], safe='')}"
    program = str(ROOT / "bench" / "peers" / "emmett.mjs")
    numbers = [str(EMMETT_CALLERS), str(EMMETT_CONNECTIONS), str(seconds)]
    return lambda: called([["node", program, str(installed), url, *numbers]])


def message_db(server: Server, installed: Path, seconds: float) -> Callable[[], Calls]:
    """message-db's function, called by pgbench: no client in any language is faster; all but its views is installed."""
    server.admin("CREATE DATABASE peer_message_db")
    server.admin("ALTER DATABASE peer_message_db SET search_path = message_store, public")
    for name in _MESSAGE_DB_FILES:
        server.admin((installed / name).read_text(encoding="utf-8"), "peer_message_db")
    script = server.folder / "write_message.sql"
    script.write_text(WRITE_MESSAGE.format(categories=MESSAGE_DB_CATEGORIES, data=DATA), encoding="utf-8")
    return lambda: pgbench(server, server.url("peer_message_db"), script, MESSAGE_DB_CLIENTS, seconds)


@contextmanager
def umadb(server: Server, programs: Path, seconds: float) -> Iterator[Callable[[], Calls]]:
    """A server of UmaDB beside ours; its pages are read from memory that it keeps."""
    port = _free_port()
    command = [str(programs / "umadb"), "--listen", f"127.0.0.1:{port}", "--db-path", str(server.folder / "umadb")]
    with subprocess.Popen(
        [*command, "--page-cache-max-mb", "512"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            _wait_for(port)
            caller = [str(programs / "python"), "-m", "bench.peers.umadb_callers", f"http://127.0.0.1:{port}"]
            yield lambda: called([[*caller, str(UMADB_CALLERS), str(seconds)]])
        finally:
            running.terminate()
            try:
                running.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                running.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise RuntimeError("its server did not answer within 30 s") from None
            time.sleep(0.1)
