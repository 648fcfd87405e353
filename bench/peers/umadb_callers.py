"""Callers of UmaDB: each appends the first event of a new subject on the condition that there is none, and waits.

Usage: python -m bench.peers.umadb_callers URL CALLERS SECONDS (with the Python that has `umadb`)
"""

from __future__ import annotations

import json
import os
import sys

from bench import calling


def main() -> None:
    import umadb  # type: ignore[import-not-found] # it is installed for the bench alone

    url, callers, seconds = sys.argv[1:]
    client = umadb.Client(url)
    data = json.dumps(
        {
            "terms": "2025-09-28",
            "notice": "f" * 64,
            "toggles": {"model-training": "on"},
            "plan": "pro",
            "surface": "pop-up",
            "locale": "en",
        }
    ).encode()

    def call() -> None:
        tag = os.urandom(32).hex()
        nobody_before = umadb.AppendCondition(umadb.Query([umadb.QueryItem(tags=[tag])]))
        client.append([umadb.Event("terms-shown", data, [tag])], nobody_before)

    calling.when_told(lambda some: calling.by_threads(call, int(callers), some), float(seconds))


if __name__ == "__main__":
    main()
