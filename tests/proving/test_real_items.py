"""The main job on the real items, and then the bundles of a hundred people behind them, each verified on its own."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.gate.micros import micros_of
from ledger.gate.released import released_leaves
from ledger.proof.asked import Asked
from ledger.proof.policy import Trust
from ledger.proof.verifying import verify_file
from ledger.proving.history import prove_history
from ledger.sequencer import sequence
from tests.domain import given
from tests.gate import people
from tests.gate.runs import filtered, rows_of, uses_of

REAL = Path(__file__).parents[3] / "shared" / "data" / "coding-sessions.parquet"
FIRST = datetime(2025, 8, 28, tzinfo=UTC)
SPAN = timedelta(days=250)
#: Those with the most items since the terms are in the ledger; nobody knows the others.
KNOWN = 300
BUNDLES = 100


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="no ../shared/data/coding-sessions.parquet beside the checkout")
def test_the_bundles_of_a_hundred_people(ledger: ConsentLedger, trust: Trust, tmp_path: Path) -> None:
    ledger.publish(given.SHIPPED)
    rows = rows_of(REAL, "subject, collected_at")
    items = Counter(row["subject"] for row in rows if row["collected_at"] >= micros_of(FIRST))
    names = [name for name, _ in sorted(items.items(), key=lambda pair: (-pair[1], pair[0]))[:KNOWN]]
    people.fill(ledger, people.decided_at_random(names, FIRST, SPAN, seed=1))
    filtered(ledger, REAL, tmp_path / "out", kind="coding-session")
    sequence(ledger)

    used = {use.stream for use in uses_of(ledger)}
    chosen = [ledger.subject(name).stream or "" for name in names[:BUNDLES]]
    # Of many something was used, of many nothing.
    assert BUNDLES / 5 < len(used.intersection(chosen)) < BUNDLES * 4 / 5
    released = partial(released_leaves, tmp_path / "out" / "permitted.parquet")
    for stream in chosen:
        proof = prove_history(ledger, stream)
        said = verify_file(proof.data, trust, Asked(subject=f"key:{stream}", items_of=released))
        assert [placed.entry for placed in said.history] == [entry for _, entry in ledger.entries_of(stream)]
        assert said.violations == ()
        uses = "was made again from the items given" if stream in used else "no use for training is recorded"
        assert any(uses in sentence for sentence in said.sentences)
