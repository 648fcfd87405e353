"""Room on disk: the bytes that an entry and a person take, in each table with its indexes and in each file.

Usage: python -m bench.run --only room

The ledger is an import, with a checkpoint over it and its projections built. What an entry takes hardly depends on how
many there are, so one size is enough; the map's nodes alone are as many as there are buckets, and no more.
"""

from __future__ import annotations

from pathlib import Path

import psycopg

from bench import bulk, place
from bench.figures import Findings, Room
from bench.peers.installing import Peers
from bench.sizes import Sizes

SIZES_OF_TABLES = """
SELECT format('%%s.%%s', n.nspname, c.relname), pg_table_size(c.oid), pg_indexes_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND (n.nspname = 'ledger' OR n.nspname LIKE 'projection%%') AND pg_table_size(c.oid) > %s
ORDER BY 1
"""
#: Tables of less than this are nobody's concern, however many people there are.
LEAST_BYTES = 65_536


def measure(sizes: Sizes, peers: Peers) -> Findings:  # noqa: ARG001 - nothing of this has a peer to install
    count = sizes.events[-2:][0]
    found = Findings()
    with place.server() as server:
        at = server.new_ledger("room")
        files = {name: server.folder / name for name in ("events.jsonl", "export.jsonl", "tiles", "state")}
        bulk.write_events(files["events.jsonl"], count)
        for arguments in (
            ["import", str(files["events.jsonl"])],
            ["checkpoint"],
            ["projections", "rebuild"],
            ["export", "--format", "jsonl", "-o", str(files["export.jsonl"])],
            ["tiles", str(files["tiles"]), "--entries"],
            ["audit", "--state", str(files["state"])],
        ):
            place.consent(*arguments, place=at)
        with psycopg.connect(at.url or "") as connection:
            tables = connection.execute(SIZES_OF_TABLES, [LEAST_BYTES]).fetchall()
            row = connection.execute("SELECT count(*) FROM ledger.identities").fetchone()
        people = int(row[0]) if row else 1
        found.rooms += [
            Room(what=f"table {name}: {part}", entries=count, people=people, bytes=size)
            for name, rows, indexes in tables
            for part, size in (("rows", rows), ("indexes", indexes))
        ]
        found.rooms += [
            Room(what=f"file: {name}", entries=count, people=people, bytes=bytes_of(path))
            for name, path in files.items()
        ]
    return found


def bytes_of(path: Path) -> int:
    """Of a file, or of all in a folder."""
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
