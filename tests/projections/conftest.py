"""The contract suites (test_batches, test_kills, test_rebuild, test_subscription) run over every projection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.application import ConsentLedger
from ledger.projections import PROJECTIONS
from ledger.projections.projection import Projection
from ledger.projections.runner import Runner


@pytest.fixture(params=PROJECTIONS.values(), ids=list(PROJECTIONS))
def projection(request: pytest.FixtureRequest) -> Projection:
    one: Projection = request.param
    return one


@pytest.fixture
def runner(ledger: ConsentLedger) -> Iterator[Runner]:
    with Runner(ledger.url, ledger.place.name, batch=7) as runner:
        yield runner
