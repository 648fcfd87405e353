"""The law of projections, over random histories: replay from scratch equals the batches at every position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from ledger.domain.consent import record_of
from ledger.domain.entry import Entry, encode_entry, make_entry
from ledger.domain.names import TERMS_STREAM
from ledger.domain.terms import Catalogue
from ledger.domain.times import format_time
from ledger.projections import PROJECTIONS
from ledger.projections.fold import Published, rows_of
from ledger.projections.projection import Projection, Row
from tests.domain import given
from tests.domain.histories import HISTORIES, History, histories
from tests.projections.population import Key, by_key

#: Between two entries of one person lie those of others.
GAP = 3


def published(history: History) -> list[tuple[int, bytes]]:
    """The terms, at the first positions."""
    time = format_time(given.at("1"))
    return [
        (
            version,
            encode_entry(
                make_entry(
                    terms,
                    stream=TERMS_STREAM,
                    version=version,
                    occurred_at=time,
                    recorded_at=time,
                    nonce=given.NONCE,
                )
            ),
        )
        for version, terms in enumerate(history.published, start=1)
    ]


def placed(history: History) -> list[tuple[int, Entry]]:
    first = len(history.published) + 1
    return [(first + GAP * number, entry) for number, entry in enumerate(history.entries)]


def from_scratch(projection: Projection, history: History, position: int) -> dict[Key, Row]:
    entries = [(at, entry) for at, entry in placed(history) if at <= position]
    record = record_of(given.STREAM, (entry for _, entry in entries), Catalogue(history.published))
    return by_key(projection, projection.rows(record, {entry.version: at for at, entry in entries}))


def one_batch(
    projection: Projection, stream: Sequence[tuple[int, Entry]], terms: Published, after: int, until: int
) -> list[Row]:
    """What the runner reads of one stream for a batch, and the rows it makes of it."""
    of_interest = [(at, entry) for at, entry in stream if at <= until and entry.event in projection.topics]
    if not any(at > after for at, _ in of_interest):
        return []
    read = [(given.STREAM, at, encode_entry(entry)) for at, entry in of_interest if projection.remembers or at > after]
    return list(rows_of(projection, read, terms, after))


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=list(PROJECTIONS))
@settings(max_examples=HISTORIES, deadline=None)
@forall(history=histories(), batches=st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_replay_from_scratch_equals_the_batches_at_every_position(
    projection: Projection, history: History, batches: list[int]
) -> None:
    terms = Published(published(history))
    stream = placed(history)
    head = stream[-1][0] if stream else 0
    table: dict[Key, Any] = {}
    after = 0
    while after < head:
        until = min(head, after + batches[after % len(batches)])
        table |= by_key(projection, one_batch(projection, stream, terms, after, until))
        assert table == from_scratch(projection, history, until)
        after = until


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=list(PROJECTIONS))
@settings(max_examples=HISTORIES, deadline=None)
@forall(history=histories())
def test_a_row_rests_on_an_entry_and_never_goes_back_or_vanishes(projection: Projection, history: History) -> None:
    before: dict[Key, Any] = {}
    for at, _ in placed(history):
        rows = from_scratch(projection, history, at)
        assert before.keys() <= rows.keys()
        for key, row in rows.items():
            held = before.get(key)
            # A row that changed stands at the entry that changed it; one that did not stays, or moves there too.
            assert row.position == at or row == held
            assert not (held is not None and held.gone and not row.gone)
        before = rows
