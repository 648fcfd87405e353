"""A training loop behind the guard: `python train.py RUN RELEASED TILES KEY DATA`.

RELEASED is what `consent filter` wrote for RUN, TILES the log, KEY whose signature on it is trusted, and DATA what
the loop is fed with: the released file itself, or whatever was made from it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ledger.audit.tiles_source import TilesSource
from ledger.client.guard import Guard
from ledger.client.proven_items import proven_items
from ledger.errors import ConsentLedgerError
from ledger.proof.note import parse_vkey
from ledger.proof.policy import trust_of_keys


def train(run: str, released: Path, tiles: Path, key: str, data: Path) -> None:
    """Two epochs of a model that counts characters."""
    trust = trust_of_keys([parse_vkey(key)])
    with proven_items(released, run, TilesSource(tiles), trust) as proven:
        print(f"{len(proven)} items of run {run} are proven, in a log of {proven.opened.checkpoint.size} entries")
        guard = Guard(proven, unproven="raise")
        learned = 0
        for _ in range(2):
            for row in guard.rows(data):
                learned += len(row["text"])
        print(f"trained on {guard.passed} texts, {learned} characters")


if __name__ == "__main__":
    run, released, tiles, key, data = sys.argv[1:]
    try:
        train(run, Path(released), Path(tiles), key, Path(data))
    except ConsentLedgerError as error:
        sys.exit(f"not trained: {error}")
