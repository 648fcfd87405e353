"""The guard lets exactly those items pass that a run's uses in the log are proven to hold."""

from __future__ import annotations

import random
import tracemalloc
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ledger.application import ConsentLedger
from ledger.audit.export_source import ExportSource
from ledger.audit.ledger_source import ledger_source
from ledger.audit.source import Source
from ledger.audit.tiles_source import TilesSource
from ledger.client.guard import Guard, leaf_in
from ledger.client.proven_items import ProvenItems, proven_items
from ledger.domain.events import DataUsedForTraining
from ledger.domain.recording import Request
from ledger.domain.times import format_time
from ledger.errors import InvalidInput, NotVerified, Unavailable
from ledger.exports import jsonl as jsonl_export
from ledger.exports.selection import Selection, select
from ledger.keyring import create_keys, read_keyring
from ledger.proof.manifests import leaf_of
from ledger.proof.merkle import leaf_hash, root
from ledger.proof.policy import Trust, trust_of_keys
from ledger.proving.static_log import write_tiles
from ledger.sequencer.steps import sequence
from tests.domain import given
from tests.gate import people
from tests.gate.conftest import people_on
from tests.gate.people import COLLECTED
from tests.gate.runs import Row, filtered, item, jsonl

__all__ = ["people_on"]

EARLY = given.at("5")


@pytest.fixture
def trust(ledger: ConsentLedger) -> Trust:
    return trust_of(ledger)


def trust_of(ledger: ConsentLedger) -> Trust:
    ring = read_keyring(ledger.place.state, ledger.identity.id, ledger.identity.origin)
    return trust_of_keys([key.verifier for key in ring.log])


def tiles_of(ledger: ConsentLedger, folder: Path) -> Source:
    sequence(ledger)
    write_tiles(ledger, folder, with_entries=True, watch=lambda _: None)
    return TilesSource(folder)


@pytest.fixture
def spring(people_on: ConsentLedger, tmp_path: Path) -> Path:
    """What the gate released for run spring: two items each of three people; one each came too early."""
    rows = [
        item(name, f"{name}-{number}", COLLECTED if number else EARLY, kind="chat")
        for name in people.NAMES
        for number in range(3)
    ]
    filtered(people_on, jsonl(tmp_path / "items.jsonl", *rows, rows[1]), tmp_path / "spring", "spring")
    return tmp_path / "spring"


@pytest.fixture
def log(people_on: ConsentLedger, spring: Path, tmp_path: Path) -> Source:
    return tiles_of(people_on, tmp_path / "tiles")


NAMES = [f"{name}-{number}" for number in (1, 2) for name in people.NAMES]


def as_loaded(row: Row, **changed: Any) -> Row:
    """A row as a training loop has it: moments as Python's."""
    return {"item": row["item"], "collected_at": COLLECTED, "kind": "chat", "text": "…", **changed}


LOADED = [as_loaded({"item": name}) for name in NAMES]


def test_exactly_what_is_permitted_passes(spring: Path, log: Source, trust: Trust) -> None:
    with proven_items(spring, "spring", log, trust) as proven:
        assert len(proven) == 6
        guard = Guard(proven, unproven="raise")
        assert [row["item"] for row in guard.rows(spring / "permitted.parquet")].count("ann-1") == 2
        assert guard.passed == 7
        shuffled = random.Random(3).sample(LOADED, len(LOADED))
        for _ in range(2):  # an epoch each
            assert list(guard.items(shuffled)) == shuffled
        assert (guard.passed, guard.dropped) == (19, 0)


FORGED: dict[str, Row] = {
    "another name": as_loaded({"item": "ann-9"}),
    "another time": as_loaded({"item": "ann-1"}, collected_at=COLLECTED + timedelta(microseconds=1)),
    "another kind": as_loaded({"item": "ann-1"}, kind="coding-session"),
    "what the gate refused": as_loaded({"item": "ann-0"}, collected_at=EARLY),
    "a name that is none": as_loaded({"item": None}),
    "a name in disguise": as_loaded({"item": 'ann-1","2025'}),
    "a truth": as_loaded({"item": True}),
    "a time without an offset": as_loaded({"item": "ann-1"}, collected_at=datetime(2025, 9, 20)),  # noqa: DTZ001
    "a time that is none": as_loaded({"item": "ann-1"}, collected_at="yesterday"),
    "no kind": as_loaded({"item": "ann-1"}, kind=None),
    "nothing": {},
}


def test_what_is_not_proven_is_refused_or_dropped(spring: Path, log: Source, trust: Trust) -> None:
    with proven_items(spring, "spring", log, trust) as proven:
        lenient = Guard(proven, unproven="drop")
        assert list(lenient.items([*LOADED, *FORGED.values(), *LOADED])) == LOADED * 2
        assert (lenient.passed, lenient.dropped) == (12, len(FORGED))
        for forged in FORGED.values():
            refused_alone(proven, forged)


def refused_alone(proven: ProvenItems, forged: Row) -> None:
    loop = Guard(proven, unproven="raise").items([LOADED[0], forged, LOADED[1]])
    assert next(loop) == LOADED[0]
    with pytest.raises(NotVerified, match="expected items whose use by run spring is in the log, found "):
        next(loop)
    assert list(loop) == []


def test_an_item_of_another_form_is_told_by_the_caller(spring: Path, log: Source, trust: Trust) -> None:
    with proven_items(spring, "spring", log, trust) as proven:
        guard = Guard(proven, unproven="drop")
        leaf = lambda name: (name, format_time(COLLECTED), "chat")  # noqa: E731
        assert list(guard.items(["ann-1", "bob-2", "eve-1"], leaf)) == ["ann-1", "bob-2"]
        texts = [{**row, "collected_at": format_time(COLLECTED)} for row in LOADED]
        assert leaf_in(texts[0]) == leaf_in(LOADED[0])
        with pytest.raises(InvalidInput, match="expected raise or drop"):
            Guard(proven, unproven="keep")  # type: ignore[arg-type]


def made(path: Path, spring: Path, select: str) -> Path:
    """A Parquet file out of the released one."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        released = f"read_parquet('{spring}/permitted.parquet')"
        engine.execute(f"COPY ({select.format(released=released)}) TO '{path}' (FORMAT parquet)")
    return path


def test_a_data_set_made_from_what_was_released(spring: Path, log: Source, trust: Trust, tmp_path: Path) -> None:
    """In other files, in another order, with other columns, and with an item that somebody slipped in."""
    shards = tmp_path / "shards"
    shards.mkdir()
    picked = "item, CAST(collected_at AS TIMESTAMPTZ) AS collected_at, kind"
    made(
        shards / "0.parquet", spring, f"SELECT 'a text' AS text, {picked} FROM {{released}} ORDER BY item DESC LIMIT 4"
    )
    forged = "SELECT 'ann-3' AS item, CAST('2025-09-20T00:00:00Z' AS TIMESTAMPTZ) AS collected_at, 'chat' AS kind"
    made(shards / "1.parquet", spring, f"SELECT '' AS text, {picked} FROM {{released}} WHERE item = 'ann-2'")
    made(shards / "2.parquet", spring, f"SELECT 'b' AS text, * FROM ({forged})")
    with proven_items(spring, "spring", log, trust) as proven:
        guard = Guard(proven, unproven="drop")
        rows = list(guard.rows(shards))
        assert [row["item"] for row in rows] == ["cem-2", "cem-1", "bob-2", "bob-1", "ann-2"]
        assert rows[0] == {"text": "a text", "item": "cem-2", "collected_at": COLLECTED, "kind": "chat"}
        assert guard.dropped == 1
        with pytest.raises(NotVerified, match="ann-3"):
            list(Guard(proven, unproven="raise").rows(shards / "1.parquet", shards / "2.parquet"))
        bare = made(tmp_path / "bare.parquet", spring, "SELECT item FROM {released}")
        with pytest.raises(InvalidInput, match="found no collected_at, kind"):
            list(guard.rows(bare))
        with pytest.raises(Unavailable, match="expected to read the items of the training loop"):
            list(guard.rows(tmp_path / "nowhere.parquet"))


ALTERED = {
    "an item added": "SELECT * FROM {released} UNION ALL SELECT * REPLACE ('ann-7' AS item) FROM {released} LIMIT 8",
    "an item taken away": "SELECT * FROM {released} WHERE item <> 'ann-1'",
    "an item renamed": "SELECT * REPLACE (CASE item WHEN 'ann-1' THEN 'ann-7' ELSE item END AS item) FROM {released}",
    "another's use": "SELECT * REPLACE (use + 1 AS use) FROM {released}",
    "another stream": "SELECT * REPLACE (repeat('ab', 32) AS stream) FROM {released}",
    "another kind": "SELECT * REPLACE ('coding-session' AS kind) FROM {released}",
    "a name lost": "SELECT * REPLACE (CASE item WHEN 'ann-1' THEN NULL ELSE item END AS item) FROM {released}",
}


def test_of_an_altered_manifest_nothing_passes(spring: Path, log: Source, trust: Trust, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    altered.mkdir()
    for altering in ALTERED.values():
        made(altered / "permitted.parquet", spring, altering)
        with (
            pytest.raises(NotVerified, match=r"^expected (the items of|items with)"),
            proven_items(altered, "spring", log, trust),
        ):
            pass


def test_a_use_that_was_left_out_whole_is_not_needed(spring: Path, log: Source, trust: Trust, tmp_path: Path) -> None:
    """A shard of the released items proves its own."""
    part = tmp_path / "part"
    part.mkdir()
    made(part / "permitted.parquet", spring, "SELECT * FROM {released} WHERE item NOT LIKE 'ann-%'")
    with proven_items(part, "spring", log, trust) as proven:
        assert [proven.has(leaf_of(leaf_in(row))) for row in LOADED] == [False, True, True] * 2


def test_the_ledger_and_an_export_prove_the_same(
    people_on: ConsentLedger, spring: Path, log: Source, trust: Trust, tmp_path: Path
) -> None:
    export = tmp_path / "log.jsonl"
    export.write_bytes(b"".join(jsonl_export.write(select(people_on, Selection()))))
    with (
        ledger_source(people_on.place) as own,
        proven_items(spring, "spring", own, trust) as first,
        proven_items(spring, "spring", ExportSource(export, tmp_path / "tiles" / "checkpoint"), trust) as second,
    ):
        assert all(first.has(leaf_of(leaf_in(row))) and second.has(leaf_of(leaf_in(row))) for row in LOADED)


def test_another_ledgers_log_proves_nothing(
    people_on: ConsentLedger, spring: Path, log: Source, tmp_path: Path
) -> None:
    """Of the same name, and signed by a key of its own."""
    create_keys(tmp_path / "others", people_on.identity.id, people_on.identity.origin)
    others = read_keyring(tmp_path / "others", people_on.identity.id, people_on.identity.origin)
    trust = trust_of_keys([key.verifier for key in others.log])
    with pytest.raises(NotVerified, match="under a key that you trust"), proven_items(spring, "spring", log, trust):
        pass


def test_another_run_of_the_same_items_proves_nothing(
    people_on: ConsentLedger, spring: Path, trust: Trust, tmp_path: Path
) -> None:
    filtered(people_on, tmp_path / "items.jsonl", tmp_path / "autumn", "autumn")
    log = tiles_of(people_on, tmp_path / "tiles")
    with proven_items(tmp_path / "autumn", "autumn", log, trust) as proven:
        assert len(proven) == 6
    with (
        pytest.raises(NotVerified, match=r"as run autumn recorded them, found of version 3 .* no such use"),
        proven_items(spring, "autumn", log, trust),
    ):
        pass


def test_a_run_that_no_checkpoint_covers_yet_proves_nothing(
    people_on: ConsentLedger, trust: Trust, tmp_path: Path
) -> None:
    early = tiles_of(people_on, tmp_path / "tiles")
    filtered(people_on, jsonl(tmp_path / "items.jsonl", item("ann", "a")), tmp_path / "spring", "spring")
    with (
        pytest.raises(NotVerified, match="expected run spring finished in the log of 8 entries, found that it is not"),
        proven_items(tmp_path / "spring", "spring", early, trust),
    ):
        pass


def test_without_a_checkpoint_nothing_is_proven(people_on: ConsentLedger, spring: Path, trust: Trust) -> None:
    with (
        ledger_source(people_on.place) as own,
        pytest.raises(NotVerified, match="expected a signed checkpoint"),
        proven_items(spring, "spring", own, trust),
    ):
        pass


def test_entries_that_were_changed_prove_nothing(spring: Path, log: Source, trust: Trust, tmp_path: Path) -> None:
    (bundle,) = (tmp_path / "tiles" / "tile" / "entries").rglob("*.p/*")
    whole = bundle.read_bytes()
    for old, new in ((b'"chat":2', b'"chat":3'), (b'"nonce":"', b'"nonce":"0')):
        assert old in whole
        bundle.write_bytes(whole.replace(old, new[: len(old)] if len(old) == len(new) else old[:-2] + b"'\"", 1))
        with pytest.raises(NotVerified), proven_items(spring, "spring", log, trust):
            pass


def test_a_use_that_others_reported_under_the_runs_name_lets_nothing_in(
    people_on: ConsentLedger, spring: Path, trust: Trust, tmp_path: Path
) -> None:
    """Whoever may report uses may name any run, and any manifest."""
    leaf = ("ann-9", format_time(COLLECTED), "chat")
    reported = DataUsedForTraining(
        run="spring",
        purpose=given.TRAINING,
        items={"chat": 1},
        collected_from=format_time(COLLECTED),
        collected_until=format_time(COLLECTED),
        manifest=root([leaf_hash(leaf_of(leaf))]).hex(),
        attested=True,
    )
    position = people_on.record("ann", Request(reported)).position
    version = people_on.entries_of(people_on.subject("ann").stream or "")[-1][1].version
    assert position == people_on.recorder.head()
    log = tiles_of(people_on, tmp_path / "tiles")
    slipped = f"SELECT * REPLACE ('ann-9' AS item, {version} AS use) FROM {{released}} WHERE item = 'ann-2'"
    altered = tmp_path / "altered"
    altered.mkdir()
    made(altered / "permitted.parquet", spring, slipped)
    with pytest.raises(NotVerified, match="no such use"), proven_items(altered, "spring", log, trust):
        pass


def test_memory_does_not_grow_with_the_items_that_pass(people_on: ConsentLedger, trust: Trust, tmp_path: Path) -> None:
    count = 20_000
    select = f"""SELECT 'ann' AS subject, 'item ' || i AS item, '{format_time(COLLECTED)}' AS collected_at,
                        'chat' AS kind, repeat('x', 1000) AS text FROM range({count}) t(i)"""
    items = people.write_parquet(tmp_path / "items.parquet", select)
    filtered(people_on, items, tmp_path / "spring", "spring")
    log = tiles_of(people_on, tmp_path / "tiles")
    with proven_items(tmp_path / "spring", "spring", log, trust) as proven:
        guard = Guard(proven, unproven="raise")
        tracemalloc.start()
        for _ in guard.rows(tmp_path / "spring" / "permitted.parquet"):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert guard.passed == count == len(proven)
    assert peak < 8 << 20  # of the texts alone there are 20 MB
