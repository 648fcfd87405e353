"""What a product has, as the gate takes it: `python collect.py OUT`, a Parquet of chats with the person of each."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

CHATS = """
SELECT * FROM (VALUES
    ('alice', 'chat-1', TIMESTAMPTZ '2025-08-30T12:00:00Z', 'chat', 'before she was asked anything'),
    ('alice', 'chat-2', TIMESTAMPTZ '2025-10-01T08:00:00Z', 'chat', 'how do I prune an apple tree?'),
    ('alice', 'session-3', TIMESTAMPTZ '2025-11-20T15:45:00Z', 'coding-session', 'def prune(tree): ...'),
    ('alice', 'chat-4', TIMESTAMPTZ '2026-02-01T10:00:00Z', 'chat', 'after she turned it off'),
    ('bob', 'chat-5', TIMESTAMPTZ '2025-10-02T09:00:00Z', 'chat', 'he said no'),
    ('carol', 'chat-6', TIMESTAMPTZ '2025-10-03T09:00:00Z', 'chat', 'she never decided')
) AS chats(subject, item, collected_at, kind, text)
"""


def collect(out: Path) -> int:
    """Writes them; how many."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        ((count,),) = engine.execute(f"COPY ({CHATS}) TO '{out}' (FORMAT parquet)").fetchall()
    return int(count)


if __name__ == "__main__":
    print(f"{collect(Path(sys.argv[1]))} chats in {sys.argv[1]}")
