"""The three places that an audit reads a log from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.audit.logs import Kept, KeptExport, KeptLedger, KeptTiles

SOURCES = ("export", "tiles", "ledger")


@pytest.fixture(params=SOURCES)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """Each of them in turn."""
    match request.param:
        case "export":
            return KeptExport(tmp_path)
        case "tiles":
            return KeptTiles(tmp_path)
        case _:
            return KeptLedger(request.getfixturevalue("ledger_place"))
