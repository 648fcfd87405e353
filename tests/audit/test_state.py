"""A state of another version's layout is named as what it is, and left as it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ledger.audit.state import open_state
from ledger.errors import Unavailable
from tests.audit.logs import KeptExport, a_log, audited


def test_a_state_of_another_layout_is_refused(tmp_path: Path) -> None:
    kept, state = KeptExport(tmp_path), tmp_path / "seen"
    kept.put(a_log())
    audited(kept, state)
    with sqlite3.connect(state) as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    before = state.read_bytes()
    refused = pytest.raises(
        Unavailable, match=r"of layout 2 at .*, found one of layout 1, of another version of consent"
    )
    with refused, open_state(state):
        pass
    assert state.read_bytes() == before
