"""What is plainly allowed is allowed, by the grant that it rests on: `judge_uses` says so of random histories."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from msgspec import structs

from ledger.domain.as_of import Placed
from ledger.domain.entry import Entry, make_entry
from ledger.domain.events import Cause, DataUsedForTraining, Event, RunStarted
from ledger.domain.names import run_stream
from ledger.domain.terms import Catalogue, Terms, Toggle
from ledger.domain.times import format_time
from ledger.proof.plainly import PlainUses, Said
from ledger.proof.verdicts import judge_uses
from tests.domain import given
from tests.domain.histories import PURPOSES, TICK, moment

#: Ticks of five seconds, the tolerance of a grant, so that its edge comes up.
LAST = 24


def some_terms(chance: Random, version: str) -> Terms:
    return given.terms(
        version,
        purposes=chance.choice([{p: ["chat", "voice"] for p in PURPOSES}, {PURPOSES[0]: ["chat"]}]),
        withdrawal=chance.choice(["future-data", "future-runs"]),
        untouched_default=chance.choice(["permitted", "permitted", "refused"]),
        when_on=chance.choice(["P5Y", "P5Y", "P1M", "P0D"]),
        when_off=chance.choice(["P30D", "P0D"]),
    )


def an_event(chance: Random, terms: Terms) -> Event:
    match chance.choice(["shown", "accepted", "accepted", "toggled", "toggled"] * 5 + ["erased"]):
        case "shown":
            return given.shown(terms)
        case "accepted":
            toggles: dict[str, Toggle] = {p: chance.choice(("on", "on", "off")) for p in terms.purpose_ids}
            touched = tuple(purpose for purpose in sorted(toggles) if chance.random() < 0.5)
            return given.accepted(terms, toggles=toggles, touched=touched)
        case "toggled":
            cause: Cause = chance.choice(("person", "person", "person", "migration"))
            return given.toggled(chance.choice(("on", "off")), purpose=chance.choice(PURPOSES), cause=cause)
        case _:
            return given.ERASED


def a_history(chance: Random, published: list[Terms]) -> list[Entry]:
    """Few entries, wide apart; some with a clock that is wrong, some imported."""
    events: list[Event] = [given.shown(published[0])] if chance.random() < 0.9 else []
    events += [an_event(chance, chance.choice([published[0], *published])) for _ in range(chance.randint(1, 4))]
    if chance.random() < 0.7:
        events.insert(1, given.accepted(published[0]))
    recorded, entries = 0, list[Entry]()
    for version, event in enumerate(events, 1):
        recorded += chance.choice((0, 1, 6, 12))
        occurred = moment(recorded + chance.choice((0, 0, 0, 0, -1, -4, 1)))
        entry = given.entry(event, version, occurred, moment(recorded))
        entries.append(structs.replace(entry, imported=given.IMPORTED) if chance.random() < 0.2 else entry)
    return entries


def a_use(chance: Random, history: list[Entry]) -> DataUsedForTraining:
    """Of what was collected around an entry, which it names as its basis."""
    basis = chance.choice([*history[1:2] * 3, *history])
    first = chance.choice((basis.occurred, basis.recorded)) + chance.choice((-1, 0, 0, 1, 1, 4, 8)) * TICK
    return DataUsedForTraining(
        run="r1",
        purpose=chance.choice(PURPOSES),
        items=dict.fromkeys(chance.choice([["chat"], ["chat"], ["voice"], ["chat", "voice"]]), 1),
        collected_from=format_time(first),
        collected_until=format_time(first + chance.choice((0, 0, 1, 4)) * TICK),
        manifest=given.MANIFEST,
        attested=chance.random() < 0.1,
        basis=basis.version,
    )


def a_run(chance: Random, purpose: str) -> Entry:
    started = moment(chance.choice((0, 6, LAST, LAST))) + timedelta(days=chance.choice((0, 0, 1, 40, 3000)))
    data = RunStarted(purpose=purpose, kind="chat", started_at=format_time(started), cutoff=1, input=[])
    at = format_time(started)
    return make_entry(data, stream=run_stream("r1"), version=1, occurred_at=at, recorded_at=at, nonce=given.NONCE)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_plain_is_what_judging_says(seed: int) -> None:
    """A use may lie anywhere in a history: what comes after it is known in hindsight alone."""
    chance = Random(seed)
    plain = later = 0
    for _ in range(1_000):
        published = [some_terms(chance, version) for version in ("t1", "t2")]
        catalogue = Catalogue(published)
        history = a_history(chance, published)
        for _ in range(8):
            use, place = a_use(chance, history), chance.randint(min(2, len(history)), len(history))
            entries = [structs.replace(one, version=number + (number > place)) for number, one in enumerate(history, 1)]
            said = [Said(one.version, one.occurred_at, one.recorded_at, one.data) for one in entries]
            run = a_run(chance, use.purpose if chance.random() < 0.9 else "another")
            basis = PlainUses(catalogue).basis(place + 1, use, said, run.data)
            if basis is None:
                continue
            entries.insert(place, given.entry(use, place + 1, moment(LAST), moment(LAST)))
            placed = [Placed(one.version + 1, one) for one in entries]
            (judged,) = judge_uses(placed, {"r1": [Placed(1, run)]}, catalogue)
            assert judged.violations == ()
            assert judged.judged is not None
            assert (judged.judged.known.reason, judged.judged.hindsight.reason) == ("granted", "granted")
            assert judged.judged.known.basis == judged.judged.hindsight.basis == said[basis].version == use.basis
            mark = history[basis].imported
            assert judged.imported == (mark or None)
            plain += 1
            later += place < len(history)
    # Else nothing here would say that any use is plain, nor that one before other decisions is.
    assert plain > 150
    assert later > 30
