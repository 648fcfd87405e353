"""The released items of one subject, read back, are the leaves of the manifests in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import canonical
from ledger.errors import InvalidInput, Unavailable
from ledger.gate.released import released_leaves
from ledger.proof.merkle import leaf_hash, root
from tests.domain import given
from tests.gate import people
from tests.gate.people import PAST, write_parquet
from tests.gate.runs import filtered, item, jsonl, use_in, uses_of

#: Times as an input may have them: text with any offset, or a column of timestamps with or without a zone.
TIMES = {
    "text": "'2025-09-15T14:00:00.1234567+02:00'",
    "with a zone": "TIMESTAMPTZ '2025-09-15 14:00:00.123456+02'",
    "without": "TIMESTAMP '2025-09-15 12:00:00.123456'",
    "in nanoseconds": "TIMESTAMP_NS '2025-09-15 12:00:00.123456789'",
}


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("name", ["'é \"quoted\"'", "7", "7::UTINYINT"])
def test_whatever_the_types_of_the_input_were(people_on: ConsentLedger, tmp_path: Path, time: str, name: str) -> None:
    query = f"SELECT 'ann' AS subject, {name} AS item, {TIMES[time]} AS collected_at"
    filtered(people_on, write_parquet(tmp_path / "a[1].parquet", query), tmp_path / "o[u]t")
    leaves = released_leaves(tmp_path / "o[u]t" / "permitted.parquet", people_on.subject("ann").stream or "")
    item_name = "7" if name.startswith("7") else 'é "quoted"'
    assert leaves == {3: [(item_name, "2025-09-15T12:00:00.123456Z", "chat")]}
    assert use_in(uses_of(people_on)[0]).manifest == root(map(leaf_hash, map(canonical, leaves[3]))).hex()


def test_each_use_of_the_subject_and_no_other(people_on: ConsentLedger, tmp_path: Path) -> None:
    renewed: people.Past = [*PAST, (given.accepted(), given.at("12")), (given.toggled("on"), given.at("14"))]
    people.fill(people_on, {"eve": renewed})
    rows = [
        item(who, f"{who} {day} {number}", given.at(day))
        for who in ("ann", "eve")
        for day in ("11", "13", "15")
        for number in range(9, 12)
    ]
    filtered(people_on, jsonl(tmp_path / "items.jsonl", *rows, *rows), tmp_path / "out")
    eve = people_on.subject("eve").stream or ""
    leaves = released_leaves(tmp_path / "out" / "permitted.parquet", eve)
    uses = {use.version: use_in(use) for use in uses_of(people_on) if use.stream == eve}
    assert leaves.keys() == uses.keys()
    assert len(uses) == 3
    for version, use in uses.items():
        assert use.manifest == root(map(leaf_hash, map(canonical, leaves[version]))).hex()
        assert sum(use.items.values()) == len(leaves[version]) == 3
    assert released_leaves(tmp_path / "out" / "permitted.parquet", "0" * 64) == {}


def test_what_is_no_such_file_is_said(people_on: ConsentLedger, tmp_path: Path) -> None:
    other = write_parquet(tmp_path / "other.parquet", "SELECT 1 AS item, 2 AS stream")
    with pytest.raises(InvalidInput, match="no column collected_at, kind, use"):
        released_leaves(other, "0" * 64)
    (tmp_path / "text").write_text("no parquet")
    for name in ("text", "none"):
        with pytest.raises(Unavailable, match="expected to read released items"):
            released_leaves(tmp_path / name, "0" * 64)
