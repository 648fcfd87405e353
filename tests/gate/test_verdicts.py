"""The bulk verdicts of the gate's SQL are the domain's, field by field (design, sections 4 and 8)."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st
from msgspec import structs

from ledger.domain.consent import Record, record_of
from ledger.domain.eligibility import Item, Reason, Verdict, judge_item
from ledger.domain.entry import Entry, canonical, decode_entry
from ledger.domain.names import subject_stream
from ledger.domain.terms import Catalogue, Terms
from ledger.domain.times import format_time, later
from ledger.gate.cutoff import load_rules
from ledger.gate.duckdb_engine import Engine
from ledger.gate.engine import Engine as AnyEngine
from ledger.gate.micros import micros_of, moment_of
from tests.domain import given
from tests.domain.histories import HISTORIES, PURPOSES, TICKS, History, histories, judged_at, moment, run_starts

DEFAULT_KIND = "chat"
MICROSECOND = timedelta(microseconds=1)
#: The day of the histories, and others at the edges of the calendar that the same day's times are moved to.
DAY = moment(0).date()
DAY_START = datetime.combine(DAY, datetime.min.time(), UTC)
DAYS = ["2025-09-03", "2025-09-03", "2025-01-31", "2024-02-29", "1970-01-01", "9999-12-31"]
#: What names may hold, and what might mean something to SQL, CSV, JSON or a path: purposes are plainer than plans.
ODD_PURPOSES = {"training": "a.b-c_0", "research": "0"}
ODD_PLANS = ["pro", "\\N", 'a "b", c\\d', "it's", "%_$.x/~1", "☃ é\u0301", "NULL", " pro "]
#: A batch is decided at once; small enough that hypothesis can still make it smaller.
HISTORIES_A_BATCH = 10


@dataclass(frozen=True)
class Person:
    """One history of a batch, under terms and a stream of its own."""

    name: str
    stream: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Asked:
    """One item of a person; the fields as a file would hold them."""

    person: int
    collected: datetime
    kind: str | None
    plan: str | None
    exclude: str | None

    @property
    def item(self) -> Item:
        return Item(self.collected, self.kind or DEFAULT_KIND, self.plan or None, self.exclude or None)


@dataclass(frozen=True)
class Batch:
    """What one run decides about: all the terms, all the people, all their items."""

    catalogue: Catalogue
    people: tuple[Person, ...]
    asked: tuple[Asked, ...]
    purpose: str
    run_started: datetime
    judged: datetime


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    day = datetime.combine(datetime.fromisoformat(draw(st.sampled_from(DAYS))).date(), datetime.min.time(), UTC)
    plan = draw(st.sampled_from(ODD_PLANS))
    drawn = draw(st.lists(histories(), min_size=1, max_size=HISTORIES_A_BATCH))
    random_of = random.Random(draw(st.integers(0, 2**32)))
    published: list[Terms] = []
    people: list[Person] = []
    for number, history in enumerate(drawn):
        renamed = renaming(number, plan)
        published += [msgspec.convert(rewritten(terms, renamed), Terms) for terms in history.published]
        if draw(st.booleans()):
            amended = history.published[0]
            amendment = structs.replace(amended, version="t4", amends=amended.version, decide_by="9999-12-31")
            published.append(msgspec.convert(rewritten(amendment, renamed), Terms))
        people.append(person(number, history, renamed, day))
    # Somebody of whom nothing but a use is known, as an import may bring it.
    used = History((), (given.entry(given.used("3", attested=True), 1, moment(0), moment(0)),))
    people.append(person(len(people), used, renaming(len(people), plan), day))
    asked = [
        Asked(
            number,
            at_day(moment(tick), day) + offset * MICROSECOND,
            random_of.choice(("chat", "chat", "chat", "voice", "", None, "it's")),
            random_of.choice((None, None, "", plan, "team", "none such")),
            random_of.choice((*[None] * 20, "", 'deleted "by", them')),
        )
        for number in range(len(people))
        for tick in TICKS
        for offset in (-1, 0, 1)
    ]
    # The far starts of `run_starts` are measured from the histories' own day.
    run_started = later(day, draw(run_starts()) - DAY_START)
    return Batch(
        catalogue=Catalogue(published),
        people=tuple(people),
        asked=tuple(asked),
        purpose=ODD_PURPOSES[draw(st.sampled_from(PURPOSES))],
        run_started=run_started,
        judged=at_day(draw(judged_at()), day),
    )


def renaming(number: int, plan: str) -> dict[str, str]:
    """Other names for the few that the histories use; each history has versions of terms of its own."""
    versions = {version: f"{number}._-{version}" for version in ("t1", "t2", "t3", "t4")}
    return {**versions, **ODD_PURPOSES, "pro": plan}


def rewritten(value: Any, names: dict[str, str]) -> Any:
    """`value` as JSON with other names in it, keys too."""

    def renamed(part: Any) -> Any:
        match part:
            case dict():
                return {names.get(key, key): renamed(inner) for key, inner in part.items()}
            case list():
                return [renamed(inner) for inner in part]
            case str():
                return names.get(part, part)
            case _:
                return part

    return renamed(json.loads(canonical(value)))


def person(number: int, history: History, names: dict[str, str], day: datetime) -> Person:
    stream = subject_stream(number.to_bytes(16, "big"))
    entries = []
    for entry in history.entries:
        fields = rewritten(entry, names) | {
            "stream": stream,
            "occurred_at": format_time(at_day(entry.occurred, day)),
            "recorded_at": format_time(at_day(entry.recorded, day)),
        }
        if "touched" in fields["data"]:
            fields["data"]["touched"].sort()
        entries.append(decode_entry(canonical(fields)))
    return Person(f'person "{number}", \\N', stream, tuple(entries))


def at_day(time: datetime, day: datetime) -> datetime:
    return datetime.combine(day.date(), time.timetz()) + timedelta(days=time.date().toordinal() - DAY.toordinal())


def verdicts_in_bulk(batch: Batch) -> list[Verdict]:
    """The engine's answer to every item, in their order."""
    with tempfile.TemporaryDirectory() as folder, closing(Engine(Path(folder))) as engine:
        engine.connection.execute(
            'CREATE TABLE given ("row" BIGINT, subject VARCHAR, item VARCHAR, collected BIGINT,'
            " kind VARCHAR, plan VARCHAR, exclude VARCHAR, own BOOLEAN)"
        )
        engine.insert(
            "given",
            [
                [
                    row,
                    batch.people[one.person].name,
                    f"i{row}",
                    micros_of(one.collected),
                    one.kind,
                    one.plan,
                    one.exclude,
                    None,
                ]
                for row, one in enumerate(batch.asked)
            ],
        )
        return decided(engine, batch)


def decided(engine: AnyEngine, batch: Batch) -> list[Verdict]:
    """The verdicts of an engine that has the items, in their order."""
    times = [micros_of(batch.run_started), micros_of(batch.judged)]
    engine.insert("run", [[batch.purpose, DEFAULT_KIND, *times]])
    load_rules(engine, batch.catalogue, batch.purpose)
    engine.insert("subject", [[person.name, person.stream, None] for person in batch.people])
    engine.insert(
        "entry",
        [
            [entry.stream, entry.version, entry.event, micros_of(entry.recorded), canonical(entry).decode()]
            for person in batch.people
            for entry in person.entries
        ],
    )
    engine.script("items")
    for _ in engine.decide():
        pass
    query = 'SELECT reason, basis, quality, terms, keep_until, detail FROM verdict ORDER BY "row"'
    return [
        Verdict(reason, basis, quality, terms, None if kept is None else moment_of(kept), detail)
        for reason, basis, quality, terms, kept, detail in engine.stream(query)
    ]


def verdicts_one_by_one(batch: Batch) -> list[Verdict]:
    records: list[Record] = [record_of(one.stream, one.entries, batch.catalogue) for one in batch.people]
    verdicts = [
        judge_item(records[one.person], batch.purpose, one.item, batch.run_started, batch.judged) for one in batch.asked
    ]
    return [without_rests(verdict) for verdict in verdicts]


def without_rests(verdict: Verdict) -> Verdict:
    """What an item rests on is for `check --explain`; the gate does not say it."""
    return Verdict(verdict.reason, verdict.basis, verdict.quality, verdict.terms, verdict.keep_until, verdict.detail)


quick = settings(
    max_examples=max(20, HISTORIES // HISTORIES_A_BATCH),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@quick
@forall(batch=batches())
def test_the_bulk_verdicts_equal_the_domains(batch: Batch) -> None:
    expected = verdicts_one_by_one(batch)
    found = verdicts_in_bulk(batch)
    assert len(found) == len(batch.asked)
    for one, bulk, single in zip(batch.asked, found, expected, strict=True):
        assert bulk == single, f"{one} of {batch.people[one.person]}"


@pytest.mark.parametrize("rule", get_args(given.Rule))
def test_the_edges_of_a_run_that_starts_when_something_ends(rule: given.Rule) -> None:
    """A withdrawal at tick 4, and items kept for a day: the run starts just before, at, and just after each end."""
    terms = given.terms("t1", withdrawal=rule, when_on="P1D", when_off="P0D")
    granted = [given.entry(given.shown(terms), 1, moment(0), moment(0))]
    granted.append(given.entry(given.accepted(terms), 2, moment(0), moment(0)))
    withdrawn = [*granted, given.entry(given.toggled("off"), 3, moment(4), moment(4))]
    people = [
        person(number, History((terms,), tuple(entries)), {}, DAY_START)
        for number, entries in enumerate([granted, withdrawn])
    ]
    asked = [
        Asked(number, moment(tick) + offset * MICROSECOND, None, None, None)
        for number in range(len(people))
        for tick in (0, 2, 4)
        for offset in (-1, 0, 1)
    ]
    ends = [moment(4), moment(4) + timedelta(days=1), moment(2) + timedelta(days=1)]
    for end in ends:
        for offset in (-1, 0, 1):
            started = end + offset * MICROSECOND
            batch = Batch(Catalogue([terms]), tuple(people), tuple(asked), given.TRAINING, started, moment(100))
            assert verdicts_in_bulk(batch) == verdicts_one_by_one(batch)


def test_the_batches_reach_every_reason() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=100, derandomize=True, database=None, deadline=None)
    @forall(batch=batches())
    def count(batch: Batch) -> None:
        reached.update(verdict.reason for verdict in verdicts_one_by_one(batch))

    count()
    gate = {"item-unreadable", "item-ambiguous", "changed-during-run"}
    assert reached.keys() == set(get_args(Reason)) - gate
