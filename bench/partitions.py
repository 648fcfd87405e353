"""What the log's table would gain and lose by being partitioned by ranges of position, at two sizes.

Usage: python -m bench.partitions [--rows 200000 2000000] [--partitions 10 50] [--rounds 3]

One table with the columns, checks and indexes of the log, and the same rows in tables of several partitions, which
cannot have UNIQUE (stream, version): a unique index of a partitioned table has to hold the column it is partitioned by.
Theirs is an ordinary index, and the guard that remains is to look each stream's head up under the lock. Every work is
done on every table in turn, each round. All figures are the server's, a row: microseconds of processor time of its
process, blocks that were not in its buffers, bytes of its write-ahead log.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench import place
from bench.append_callers import Showing
from ledger.application import open_ledger

#: Rows that one call of a bulk append brings, and calls a round.
BATCH, BATCHES = 1_000, 20
#: Streams whose heads are asked for by one statement, and statements a round.
ASKED, QUESTIONS = 1_000, 10
PAGE, PAGES = 5_000, 10
COPIED = 20_000
#: Entries of a stream: first everybody's first is stored, then everybody's second.
VERSIONS = 4
COLUMNS = "position, stream, version, event, recorded_at, imported, entry"

PARTITIONED = """
CREATE TABLE {table} (LIKE ledger.log_entry INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (position);
ALTER TABLE {table} ADD PRIMARY KEY (position);
CREATE INDEX ON {table} (stream, version);
CREATE INDEX ON {table} (recorded_at) WHERE NOT imported;
"""
#: The rows at positions: a stream as random as a hash, its next version, and an entry as long as a person's first.
ROWS = """
SELECT position, stream, (position - 1) / {people} + 1, 'terms-shown', now(), false,
       convert_to(replace('{entry}', '{stream}', stream), 'UTF8')
FROM (
    SELECT position, encode(sha256(((position - 1) % {people})::text::bytea), 'hex') AS stream
    FROM generate_series({first}::bigint, {last}::bigint) AS position
) numbered
"""
APPENDED = "INSERT INTO {table} ({columns}) SELECT * FROM ({rows}) AS given ({columns})"
#: As `ledger.append` looks heads up.
HEAD = "SELECT version FROM {table} known WHERE known.stream = given.stream ORDER BY version DESC LIMIT 1"
LOOKED_UP = APPENDED + " WHERE given.version = 1 + coalesce((" + HEAD + "), 0)"
HEADS = (
    "SELECT sum(head.version) FROM (SELECT encode(sha256((random() * {people})::bigint::text::bytea), 'hex') AS stream "
    "FROM generate_series(1, {asked})) given CROSS JOIN LATERAL (" + HEAD + ") head"
)
READ = "SELECT stream, version, event, entry FROM {table} WHERE position > {after} ORDER BY position LIMIT {page}"


@dataclass(slots=True)
class Table:
    """One of the tables, and what was found on it: by work, then by what was measured."""

    name: str
    partitions: int
    head: int = 0
    found: dict[str, dict[str, list[float]]] = field(default_factory=dict)


class Server:
    """A connection, and what its process uses."""

    def __init__(self, connection: psycopg.Connection, entry: bytes, stream: str, rows: int) -> None:
        self._connection = connection
        self._stat = Path(f"/proc/{connection.info.backend_pid}/stat")
        self.rows = rows
        self._people = rows // VERSIONS
        self._rows = ROWS.replace("{entry}", entry.decode().replace("{", "{{").replace("}", "}}")).replace(
            "{stream}", stream
        )

    def run(self, statement: str, **texts: object) -> list[tuple[object, ...]]:
        texts |= {"people": self._people, "columns": COLUMNS, "asked": ASKED, "page": PAGE}
        if "first" in texts:
            texts["rows"] = self._rows.format(**texts)
        done = self._connection.execute(statement.format(**texts).encode())
        return done.fetchall() if done.description else []

    def copy(self, table: Table) -> Callable[[], None]:
        """Prepares COPY of the next rows."""
        first, table.head = table.head + 1, table.head + COPIED
        rows = self._rows.format(first=first, last=table.head, people=self._people)
        with self._connection.cursor().copy(f"COPY ({rows}) TO STDOUT (FORMAT binary)".encode()) as reading:
            prepared = b"".join(reading)

        def write() -> None:
            query = f"COPY {table.name} ({COLUMNS}) FROM STDIN (FORMAT binary)".encode()
            with self._connection.cursor().copy(query) as writing:
                writing.write(prepared)

        return write

    @contextmanager
    def noted(self, table: Table, work: str, rows: int) -> Iterator[None]:
        before, begun = self._counters(), self._processor_seconds()
        yield
        found = table.found.setdefault(work, {"us": [], "blocks read": [], "bytes of WAL": []})
        found["us"].append(1e6 * (self._processor_seconds() - begun) / rows)
        for what, now, then in zip(("blocks read", "bytes of WAL"), self._counters(), before, strict=True):
            found[what].append((now - then) / rows)

    def _processor_seconds(self) -> float:
        fields = self._stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _counters(self) -> list[int]:
        self.run("SELECT pg_stat_force_next_flush()")
        [row] = self.run(
            "SELECT blks_read, pg_current_wal_insert_lsn() - '0/0' FROM pg_stat_database "
            "WHERE datname = current_database()"
        )
        return [int(str(value)) for value in row]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 2_000_000])
    parser.add_argument("--partitions", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with place.server() as server:
        at = server.new_ledger("partitions")
        # What is measured is the same, and nobody waits for the disk.
        server.admin("ALTER SYSTEM SET fsync = off")
        server.admin("SELECT pg_reload_conf()")
        with open_ledger(at) as ledger:
            append = Showing(ledger, place.terms())()
        for rows in asked.rows:
            tables = [Table("plain", 1), *(Table(f"parts_{number}", number) for number in asked.partitions)]
            with psycopg.connect(server.url("partitions"), autocommit=True) as connection:
                measure(Server(connection, append.entries[0], append.stream, rows), tables, asked.rounds)
            report(tables, rows)


def measure(server: Server, tables: list[Table], rounds: int) -> None:
    server.run("DROP SCHEMA IF EXISTS peer CASCADE")
    server.run("CREATE SCHEMA peer")
    server.run("SET search_path = peer")
    for table in tables:
        fill(server, table)
    works = (
        insert("appended, nothing looked up", APPENDED),
        insert("appended, heads looked up", LOOKED_UP),
        compressed,
        copied,
        look_up,
        read_tail,
        vacuum,
    )
    for number in range(rounds):
        for work in works:
            for table in tables if number % 2 == 0 else tables[::-1]:
                work(server, table)
    for table in tables:
        forget(server, table)


def fill(server: Server, table: Table) -> None:
    if table.partitions == 1:
        server.run("CREATE TABLE {table} (LIKE ledger.log_entry INCLUDING ALL)", table=table.name)
    else:
        server.run(PARTITIONED, table=table.name)
        width = server.rows // table.partitions
        for number in range(table.partitions):
            # The last one is the one that is being written, and holds its share already.
            until = "MAXVALUE" if number == table.partitions - 1 else width * (number + 1) + 1
            server.run(
                "CREATE TABLE {table}_{number} PARTITION OF {table} FOR VALUES FROM ({start}) TO ({until})",
                table=table.name,
                number=number,
                start=width * number + 1,
                until=until,
            )
    server.run(APPENDED, table=table.name, first=1, last=server.rows)
    table.head = server.rows
    server.run("VACUUM (ANALYZE) {table}", table=table.name)


def insert(work: str, statement: str) -> Callable[[Server, Table], None]:
    def run(server: Server, table: Table) -> None:
        server.run("CHECKPOINT")  # from here on each page is written whole once
        with server.noted(table, work, BATCH * BATCHES):
            for _ in range(BATCHES):
                first, table.head = table.head + 1, table.head + BATCH
                server.run(statement, table=table.name, first=first, last=table.head)

    return run


def compressed(server: Server, table: Table) -> None:
    server.run("SET wal_compression = on")
    insert("the same, wal_compression on", LOOKED_UP)(server, table)
    server.run("RESET wal_compression")


def copied(server: Server, table: Table) -> None:
    write = server.copy(table)
    with server.noted(table, "COPY", COPIED):
        write()


def look_up(server: Server, table: Table) -> None:
    with server.noted(table, "heads looked up", ASKED * QUESTIONS):
        for _ in range(QUESTIONS):
            server.run(HEADS, table=table.name)


def read_tail(server: Server, table: Table) -> None:
    with server.noted(table, "tail read by position", PAGE * PAGES):
        for number in range(PAGES):
            server.run(READ, table=table.name, after=table.head - PAGE * (PAGES - number))


def vacuum(server: Server, table: Table) -> None:
    """After what this round has added; a row of these."""
    with server.noted(table, "VACUUM (ANALYZE)", 3 * BATCH * BATCHES + COPIED):
        server.run("VACUUM (ANALYZE) {table}", table=table.name)


def forget(server: Server, table: Table) -> None:
    """The indexes' size, and the oldest tenth dropped: what nobody may do to a log."""
    [[size]] = server.run(
        "SELECT sum(pg_indexes_size(oid)) FROM pg_class "
        "WHERE relnamespace = 'peer'::regnamespace AND relkind = 'r' AND relname LIKE '{table}%'",
        table=table.name,
    )
    table.found["indexes, bytes"] = {"a row": [int(str(size)) / table.head]}
    with server.noted(table, "oldest tenth deleted or dropped", server.rows // 10):
        if table.partitions == 1:
            server.run("DELETE FROM plain WHERE position <= {tenth}", tenth=server.rows // 10)
        for number in range(table.partitions // 10):
            server.run("DROP TABLE {table}_{number}", table=table.name, number=number)


def report(tables: list[Table], rows: int) -> None:
    print(f"{rows:,} rows")
    for work in tables[0].found:
        for what in tables[0].found[work]:
            medians = [statistics.median(table.found[work][what]) for table in tables]
            texts = [f"{table.name} {median:8.2f}" for table, median in zip(tables, medians, strict=True)]
            ratios = [f"{median / medians[0]:.2f} x" for median in medians[1:]] if medians[0] else []
            print(f"  {work:34} {what:13} {'  '.join(texts)}   {', '.join(ratios)}")


if __name__ == "__main__":
    main()
