"""A ledger with a few people, and items of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.application import ConsentLedger, open_ledger
from ledger.settings import Place
from tests.domain import given
from tests.gate import people
from tests.gate.runs import item, jsonl


@pytest.fixture
def people_on(ledger: ConsentLedger) -> ConsentLedger:
    """Three people, each shown the terms and accepting on 10 September."""
    ledger.publish(given.SHIPPED)
    people.fill(ledger, dict.fromkeys(people.NAMES, people.PAST))
    return ledger


@pytest.fixture
def other(ledger_place: Place, people_on: ConsentLedger) -> Iterator[ConsentLedger]:
    """Somebody else at the same ledger, with connections of their own."""
    with open_ledger(ledger_place) as ledger:
        yield ledger


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """Two items of each, collected while they were on."""
    rows = [item(name, f"{name}-{number}") for number in range(2) for name in people.NAMES]
    return jsonl(tmp_path / "items.jsonl", *rows)
