"""What runs beside the requests: it keeps up with the log, and does nothing to a database where nothing happens."""

from __future__ import annotations

import time
from typing import Any

from ledger.application import ConsentLedger
from ledger.projections import PROJECTIONS
from ledger.projections.runner import Runner
from ledger.service.background import beside
from ledger.settings import Place
from ledger.store.recorder import FOLLOW_SECONDS
from tests import builders as b
from tests.service.conftest import SECONDS


def test_projections_follow_and_write_nothing_while_nothing_happens(ledger: ConsentLedger, ledger_place: Place) -> None:
    b.grant(ledger, "anna")
    with beside(ledger, ["projections"]) as alive, Runner(ledger.url, ledger.place.name) as runner:
        wait_until_level(runner)
        before = touched(ledger_place)
        time.sleep(5 * FOLLOW_SECONDS)
        assert touched(ledger_place) == before
        ledger.record("anna", b.toggled("off"))
        wait_until_level(runner)
        assert touched(ledger_place) != before
        assert alive["projections"]()


def wait_until_level(runner: Runner) -> None:
    deadline = time.monotonic() + SECONDS
    while runner.behind(PROJECTIONS.values()):
        assert time.monotonic() < deadline
        time.sleep(FOLLOW_SECONDS / 10)


def touched(place: Place) -> list[Any]:
    """Which transactions wrote or locked the projections' positions last."""
    with b.admin(place) as admin:
        return admin.execute("SELECT tables, xmin::text, xmax::text FROM ledger.projection ORDER BY 1").fetchall()
