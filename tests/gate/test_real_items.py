"""The real items: every one of them gets a verdict, and the same one as row by row through the domain's code."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.domain.consent import consent_of, record_of
from ledger.domain.eligibility import Item, judge_with
from ledger.domain.terms import parse_terms
from ledger.gate.again import entries_of
from ledger.gate.micros import moment_of
from tests.domain import given
from tests.gate import people, runs
from tests.gate.runs import filtered, permitted, refused, rows_of

REAL = Path(__file__).parents[3] / "shared" / "data" / "coding-sessions.parquet"
ITEMS = 99_429
FIRST = datetime(2025, 8, 28, tzinfo=UTC)
#: A day before the newest of the real items, so that some are of the future.
SPAN = timedelta(days=250)
AT_ONCE = 1_000


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="no ../shared/data/coding-sessions.parquet beside the checkout")
def test_the_verdicts_on_the_real_items(ledger: ConsentLedger, tmp_path: Path) -> None:
    shipped = [given.SHIPPED, *(parse_terms(path.read_text()) for path in given.EXAMPLES.glob("*future-runs*"))]
    for terms in shipped:
        ledger.publish(terms)
    given_rows = {row["item"]: row for row in rows_of(REAL)}
    assert len(given_rows) == ITEMS
    names = sorted({row["subject"] for row in given_rows.values()})
    people.fill(ledger, people.decided_at_random(names, FIRST, SPAN, seed=1, terms=shipped))

    out = tmp_path / "out"
    outcome = filtered(ledger, REAL, out, kind="coding-session")
    used, not_used = permitted(out), refused(out)
    assert len(used) + len(not_used) == outcome.counts.items == ITEMS
    assert outcome.counts.permitted == len(used) > 500
    assert all(row["reason"] for row in not_used)
    assert {row["item"] for row in used} | {row["item"] for row in not_used} == given_rows.keys()
    before = int(FIRST.timestamp() * 1_000_000)
    assert all(row["collected_at"] >= before for row in used)

    started = ledger.run_of("r1").started
    assert started is not None
    by_subject = defaultdict(list)
    for row in [*used, *not_used]:
        by_subject[row["subject"]].append(row)
    reached = set()
    for first in range(0, len(names), AT_ONCE):
        links = ledger.identities.find(names[first : first + AT_ONCE])
        streams = {name: subject.stream or "" for name, subject in links.items()}
        entries = entries_of(ledger, list(streams.values()))
        for name, stream in streams.items():
            known = [entry for entry in entries[stream] if entry.event != "data-used-for-training"]
            consent = consent_of(record_of(stream, known, ledger.catalogue()), given.TRAINING)
            for row in by_subject[name]:
                one = Item(moment_of(row["collected_at"]), "coding-session")
                verdict = judge_with(consent, one, runs.STARTED, started.recorded)
                reason = verdict.reason if known else "unknown-subject"
                assert row.get("reason", "granted") == reason
                kept = None if row["keep_until"] is None else moment_of(row["keep_until"])
                assert kept == (verdict.keep_until if known else None)
                if reason == "granted":
                    found = (row["stream"], row["basis"], row["quality"], row["terms"])
                    assert found == (stream, verdict.basis, verdict.quality, verdict.terms)
                else:
                    assert row["detail"] == (verdict.detail if known else None)
                reached.add(reason)
    assert reached >= {
        "granted",
        "collected-before-grant",
        "collected-while-off",
        "refused-at-accept",
        "no-decision",
        "plan-not-covered",
        "unknown-subject",
        "withdrawn-before-run",
    }
