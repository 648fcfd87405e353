"""What a replica answers is what the domain says of the same history, at every entry of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as forall

from ledger.application import ConsentLedger
from ledger.client import Answer, Changes, Replica
from ledger.domain.consent import record_of
from ledger.domain.eligibility import Item, Verdict, judge_item
from ledger.domain.entry import Entry
from ledger.domain.names import is_subject_stream
from ledger.domain.terms import Catalogue
from ledger.projections.projection import CONSENT_EVENTS
from ledger.projections.subscription import Subscription
from ledger.projections.verdict_spans import VERDICT_SPANS, verdict_spans
from tests import builders
from tests.domain import given
from tests.domain.histories import HISTORIES, PURPOSES, History, histories, items, judged_at, moment, run_starts
from tests.projections.population import PURPOSES as PURPOSES_OF_POPULATION
from tests.projections.population import Population

#: A purpose that nobody ever decided on.
OTHER = "advertising"


class Driven:
    """A feed for a replica that the test itself drives."""

    def changes(self, after: str | None, stopped: threading.Event) -> Generator[Changes]:
        raise AssertionError("nobody started the replica")


def fields(answer: Answer | Verdict) -> tuple[object, ...]:
    return (answer.permitted, answer.reason, answer.basis, answer.quality, answer.terms, answer.keep_until)


def changes(intent: Any, rows: Iterable[dict[str, Any]], position: int) -> Changes:
    return Changes(
        intent=intent, rows=list(rows), token=f"t:{position}", position=position, complete=True, as_of=time.monotonic()
    )


def rows_of(entries: Iterable[Entry], catalogue: Catalogue, after: int) -> list[dict[str, Any]]:
    """The rows above a position, as they come through the database or over a wire; positions are ten times versions."""
    consent = [entry for entry in entries if isinstance(entry.data, CONSENT_EVENTS)]
    record = record_of(given.STREAM, consent, catalogue)
    rows = verdict_spans(record, {entry.version: 10 * entry.version for entry in consent})
    return [msgspec.json.decode(msgspec.json.encode(row)) for row in rows if row.position > after]


@settings(
    max_examples=HISTORIES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@forall(history=histories(), asked=items(), run=run_starts(), now=judged_at())
def test_a_replica_answers_what_the_domain_says_at_every_entry(
    history: History, asked: list[Item], run: datetime, now: datetime
) -> None:
    catalogue = Catalogue(history.published)
    replica = Replica(Driven())
    replica.take_in(changes("snapshot", [], 0))
    for length in range(len(history.entries) + 1):
        entries = history.entries[:length]
        replica.take_in(changes("changes", rows_of(entries, catalogue, 10 * (length - 1)), 10 * length))
        # Of somebody of whom nothing but uses was reported the replica has never heard.
        known = [entry for entry in entries if isinstance(entry.data, CONSENT_EVENTS)]
        record = record_of(given.STREAM, entries if known else [], catalogue)
        for purpose in (*PURPOSES, OTHER):
            for item in asked:
                answer = replica.may_use(given.STREAM, purpose, item, run_started=run, now=now)
                assert fields(answer) == fields(judge_item(record, purpose, item, run, now))
                assert (bool(answer), answer.position) == (answer.permitted, 10 * length)


@pytest.mark.parametrize("page", [3, 5_000])
def test_a_replica_of_a_real_ledger_answers_what_its_log_says(
    ledger: ConsentLedger, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.projections.subscription.PAGE", page)
    population = Population(ledger, seed=31, people=6)
    ledger.catalogue()  # the terms were published since it was opened
    replica = Replica(Driven())
    asked = [Item(given.at("3") + tick * (moment(1) - moment(0)), "chat") for tick in range(-1, 30, 2)]
    run = now = given.at("9")
    reasons = set()
    with Subscription(ledger, VERDICT_SPANS) as subscription:
        for _ in range(6):
            population.grow(4)
            take_in_all(replica, subscription)
            streams = {stream for _, stream, _, _ in builders.whole_log(ledger.place) if is_subject_stream(stream)}
            for stream in streams:
                record = ledger.record_of(stream)
                if not record.shown and not record.decisions:
                    continue
                for purpose in PURPOSES_OF_POPULATION:
                    for item in asked:
                        answer = replica.may_use(stream, purpose, item, run_started=run, now=now)
                        assert fields(answer) == fields(judge_item(record, purpose, item, run, now))
                        assert answer.position == ledger.recorder.head()
                        reasons.add(answer.reason)
    assert reasons > {"granted", "collected-while-off", "collected-before-grant", "erased", "plan-not-covered"}


def take_in_all(replica: Replica, subscription: Subscription) -> None:
    while subscription.bring_up_to_date():
        pass
    is_complete = False
    while not is_complete:
        page = subscription.next_page()
        is_complete = page.complete
        replica.take_in(
            Changes(
                intent=page.intent,
                rows=page.rows,
                token=subscription.token(page.position),
                position=page.position,
                complete=page.complete,
                as_of=time.monotonic(),
            )
        )
