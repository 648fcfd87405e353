"""The gate end to end on a real ledger: rows, names, people who came back (design, section 8)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from tests import builders
from tests.gate import people, runs
from tests.gate.runs import (
    filtered,
    item,
    jsonl,
    permitted,
    reasons,
    refused,
    use_in,
    uses_of,
)


def test_all_columns_and_the_order_of_rows_are_kept(people_on: ConsentLedger, tmp_path: Path) -> None:
    query = (
        "SELECT 'x' || i AS \"odd \"\"name\"\"\", {'a': i, 'b': [i, NULL]} AS nested, 'item' || i AS item,"
        " CASE WHEN i % 3 > 0 THEN 'chat' END AS kind, ['ann', 'bob', 'nobody'][i % 3 + 1] AS subject,"
        " TIMESTAMP '2025-09-20 12:00:00' AS collected_at, i::DECIMAL(9, 2) AS \"{brace}\", i % 2 = 0 AS flag,"
        " '\\x00\\xff'::BLOB AS bytes FROM range(20) t(i)"
    )
    path = people.write_parquet(tmp_path / "items.parquet", query)
    filtered(people_on, path, tmp_path / "out")
    columns = ['odd "name"', "nested", "item", "subject", "collected_at", "{brace}", "flag", "bytes", "kind"]
    used, not_used = permitted(tmp_path / "out"), refused(tmp_path / "out")
    assert list(used[0]) == [*columns, "stream", "use", "basis", "quality", "terms", "keep_until"]
    assert list(not_used[0]) == [*columns, "reason", "detail", "keep_until"]
    given_rows = {row["item"]: row for row in runs.rows_of(path)}
    for found in (used, not_used):
        numbers = [int(row["item"].removeprefix("item")) for row in found]
        assert numbers == sorted(numbers)
        for row in found:
            expected = given_rows.pop(row["item"])
            assert row["kind"] == (expected.pop("kind") or "chat")
            assert {name: row[name] for name in expected} == expected
    assert not given_rows


@pytest.mark.slow
def test_rows_of_many_row_groups_and_files_keep_their_order_and_the_files_their_bytes(
    people_on: ConsentLedger, tmp_path: Path
) -> None:
    query = (
        "SELECT ['ann', 'bob', 'cem', 'nobody'][(i * 7919) % 4 + 1] AS subject, i AS item,"
        " TIMESTAMPTZ '2025-09-20 12:00:00Z' + to_microseconds((i * 7919) % 1000003) AS collected_at"
        " FROM range({}, {}) t(i)"
    )
    folder = tmp_path / "items"
    folder.mkdir()
    for number, (first, end) in enumerate([(0, 200_000), (200_000, 200_001), (200_001, 520_000)]):
        people.write_parquet(folder / f"{number}.parquet", query.format(first, end))
    outs = [tmp_path / "out", tmp_path / "again"]
    for out in outs:
        outcome = filtered(people_on, folder, out)
        assert (outcome.counts.permitted, outcome.counts.refused) == (390_000, 130_000)
    for name in ("permitted.parquet", "refused.parquet"):
        numbers = [row["item"] for row in runs.rows_of(outs[0] / name, "item")]
        assert numbers == sorted(numbers)
    assert runs.bytes_of(outs[0]) == runs.bytes_of(outs[1])


def test_items_of_people_nobody_knows_and_of_streams_by_their_keys(people_on: ConsentLedger, tmp_path: Path) -> None:
    ann, bob = people_on.subject("ann"), people_on.subject("bob")
    assert ann.subject_id is not None
    path = jsonl(
        tmp_path / "items.jsonl",
        item("id:" + ann.subject_id.hex(), "by id"),
        item(f"key:{bob.stream}", "by key"),
        item("ann", "by name"),
        item("Ann", "other case"),
        item("id:" + "0" * 32, "unknown id"),
        item("key:" + "0" * 64, "unknown key"),
        item("terms", "a stream"),
    )
    filtered(people_on, path, tmp_path / "out")
    found = reasons(tmp_path / "out")
    assert found == {
        "by id": "granted",
        "by key": "granted",
        "by name": "granted",
        "other case": "unknown-subject",
        "unknown id": "unknown-subject",
        "unknown key": "unknown-subject",
        "a stream": "unknown-subject",
    }
    # One person under two names is one subject: one use, with both items.
    assert sorted(use_in(use).items["chat"] for use in uses_of(people_on)) == [1, 2]


def test_somebody_who_came_back_after_an_erasure(people_on: ConsentLedger, tmp_path: Path) -> None:
    key = people_on.subject("ann").stream
    people_on.erase("ann", "request")
    erased = people_on.clock.now()
    alone = jsonl(tmp_path / "alone.jsonl", item("ann", "old"), item(f"key:{key}", "old by key"))
    filtered(people_on, alone, tmp_path / "r1", started=None)
    assert reasons(tmp_path / "r1") == {"old": "erased", "old by key": "erased"}
    assert all(row["detail"].startswith("erased 20") and row["keep_until"] is None for row in refused(tmp_path / "r1"))
    people_on.record("ann", builders.shown())
    people_on.record("ann", builders.accepted())
    back = people_on.clock.now()
    path = jsonl(
        tmp_path / "items.jsonl",
        item("ann", "old"),
        item("ann", "at the erasure", erased - timedelta(minutes=1)),
        item("ann", "new", back),
        item(f"key:{key}", "old by key", back),
    )
    filtered(people_on, path, tmp_path / "r2", run="r2", started=None)
    assert reasons(tmp_path / "r2") == {
        "old": "erased",
        "at the erasure": "erased",
        "new": "granted",
        "old by key": "erased",
    }
    assert {row["stream"] for row in permitted(tmp_path / "r2")} == {people_on.subject("ann").stream} != {key}


def test_a_continued_run_names_its_parent_and_is_judged_by_its_own_start(
    people_on: ConsentLedger, items: Path, tmp_path: Path
) -> None:
    filtered(people_on, items, tmp_path / "r1")
    outcome = filtered(people_on, items, tmp_path / "r2", run="r2", parent="r1", started=None)
    assert outcome.summary["parent"] == "r1"
    assert outcome.summary["backdated"] is False
    assert filtered(people_on, items, tmp_path / "r1").summary["backdated"] is True
    started = people_on.run_of("r2").started
    assert started is not None
    assert started.data.parent == "r1"
