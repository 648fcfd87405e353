"""The main job on the real items, then the bundles of a hundred people behind them, and one use that was forged."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from msgspec import structs

from ledger.application import ConsentLedger
from ledger.domain.entry import encode_entry
from ledger.gate.micros import micros_of
from ledger.gate.released import released_leaves
from ledger.proof.asked import Asked
from ledger.proof.policy import Trust
from ledger.proof.verifying import verify_file
from ledger.proving.history import prove_history
from ledger.sequencer import sequence
from tests import builders as b
from tests.cli.conftest import RunCli
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
def test_the_bundles_of_a_hundred_people_and_a_use_that_was_forged(
    ledger: ConsentLedger, trust: Trust, tmp_path: Path, run_here: RunCli
) -> None:
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

    stream, position = forge_a_use(ledger)
    assert sequence(ledger).size == ledger.recorder.head(), "the key signs what its holder made of the log"
    said = verify_file(prove_history(ledger, stream).data, trust, Asked(subject=f"key:{stream}"))
    assert any("collected-before-grant" in violation for violation in said.violations)
    done = run_here("--json", "audit", place=ledger.place)
    assert done.returncode == 1
    wrong = [(found["kind"], found["position"]) for found in json.loads(done.stdout)["findings"]]
    assert ("violation-known", position) in wrong


def forge_a_use(ledger: ConsentLedger) -> tuple[str, int]:
    """What an operator can do who owns database and key: a use whose items begin long before the grant, and no trace.

    Everything that was signed or hashed is forgotten, also outside the database. The use's stream and position.
    """
    use = uses_of(ledger)[0]
    long_before = structs.replace(use.data, collected_from="2024-01-01T00:00:00.000000Z")
    forged = encode_entry(structs.replace(use, data=long_before))
    with b.admin(ledger.place) as owner:
        for table in ("log_entry", "checkpoint"):
            owner.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL")
        changed = owner.execute(
            "UPDATE ledger.log_entry SET entry = %s WHERE stream = %s AND version = %s RETURNING position",
            [forged, use.stream, use.version],
        ).fetchone()
        owner.execute("DELETE FROM ledger.log_entry WHERE event = 'subject-map-published'")
        owner.execute("DELETE FROM ledger.checkpoint")
        owner.execute("TRUNCATE ledger.tree_tile, ledger.stream_head, ledger.map_node")
        owner.execute("UPDATE ledger.sequenced SET tree_size = 0, map_covers = 0, map_streams = 0")
    for copy in (ledger.place.state / ledger.identity.id.hex()).glob("checkpoint-*"):
        copy.unlink()
    assert changed is not None
    return use.stream, changed[0]
