"""Erases one person in a process of its own, to be killed. Arguments: URL, state folder, who."""

from __future__ import annotations

import sys
from pathlib import Path

from ledger.application import open_ledger
from ledger.settings import Place


def main() -> None:
    url, state, named = sys.argv[1:]
    with open_ledger(Place(url, None, Path(state))) as ledger:
        ledger.erase(named, "request")


if __name__ == "__main__":
    main()
