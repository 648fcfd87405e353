"""Drills on the database itself, by its owner, with the guards taken down: `ledgers/<case>/damage.sql`.

The ledger has terms at position 1, somebody who was shown them (2), accepted (3) ... as `a_ledger` records it, and one
checkpoint, of size 6; its last entry is the map.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ledger.application import open_ledger
from ledger.projections import PROJECTIONS
from ledger.projections.runner import Runner
from ledger.sequencer import sequence
from ledger.settings import Place
from tests import builders as b
from tests.cli.conftest import RunCli

CASES = Path(__file__).with_name("ledgers")


def a_ledger(place: Place) -> None:
    """Terms (1); bob is shown them (2); ann is, and accepts (3, 4), and withdraws (5); the map (6)."""
    with open_ledger(place) as ledger:
        ledger.publish(b.TERMS)
        ledger.record("bob", b.shown())
        ledger.record("ann", b.shown())
        ledger.record("ann", b.accepted())
        ledger.record("ann", b.toggled("off"))
        assert sequence(ledger).size == 6
        with Runner(ledger.url, place.name) as runner:
            for projection in PROJECTIONS.values():
                runner.catch_up(projection)


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir()))
def test_what_an_owner_does_to_the_database_is_found(name: str, ledger_place: Place, run_here: RunCli) -> None:
    a_ledger(ledger_place)
    case = tomllib.loads((CASES / name / "case.toml").read_text(encoding="utf-8"))
    with b.admin(ledger_place) as owner:
        for table in ("log_entry", "checkpoint"):
            owner.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL")
        owner.execute((CASES / name / "damage.sql").read_text(encoding="utf-8"))
        for table in ("log_entry", "checkpoint"):
            owner.execute(f"ALTER TABLE ledger.{table} ENABLE ALWAYS TRIGGER append_only")
            owner.execute(f"ALTER TABLE ledger.{table} ENABLE ALWAYS TRIGGER never_truncated")
    done = run_here(*case["arguments"], place=ledger_place)
    said = done.stdout + done.stderr
    assert done.returncode == case["status"], said
    assert case["says"] in said, said
    assert "Traceback" not in said
