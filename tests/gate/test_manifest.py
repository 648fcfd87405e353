"""From the released items alone every manifest, and the root of the run, are recomputed (FORMATS.md, section 6)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from ledger.application import ConsentLedger
from ledger.domain.entry import canonical
from ledger.domain.times import format_time, parse_given_time
from ledger.proof.merkle import leaf_hash, root
from tests.domain import given
from tests.gate import people
from tests.gate.people import GRANTED, PAST
from tests.gate.runs import (
    Row,
    filtered,
    item,
    jsonl,
    permitted,
    use_in,
    uses_of,
)

KINDS = ("chat", "coding-session")
NAMES = [
    'a "quoted" one',
    "back\\slash",
    "\\",
    '"',
    "é\u0301☃\U0001f600",
    "\u2028",
    "\\N",
    "[1,2]",
    "\ud7ff\ue000",
    "7",
]


def test_each_use_and_the_run_are_recomputed_from_the_permitted_items_alone(
    people_on: ConsentLedger, tmp_path: Path
) -> None:
    off_and_on: people.Past = [
        *PAST,
        (given.toggled("off"), given.at("12")),
        (given.toggled("on"), given.at("14")),
    ]
    renewed: people.Past = [*PAST, (given.accepted(), given.at("12")), (given.toggled("on"), given.at("14"))]
    people.fill(people_on, {"dora": off_and_on, "eve": renewed})
    rows = [
        item(who, f"{name} of {who} on {day}", given.at(day) + timedelta(microseconds=number), kind=KINDS[number % 2])
        for who in ("ann", "dora", "eve")
        for day in ("11", "13", "15")
        for number, name in enumerate(NAMES)
    ]
    rows += [item("ann", number, kind="chat") for number in (7, 70, 10**18)]
    rows += rows[:5]  # equal rows count once
    out = tmp_path / "out"
    outcome = filtered(people_on, jsonl(tmp_path / "items.jsonl", *rows), out)

    by_use: dict[tuple[str, int], list[Row]] = {}
    for row in permitted(out):
        by_use.setdefault((row["stream"], row["use"]), []).append(row)
    uses = {(entry.stream, entry.version): use_in(entry) for entry in uses_of(people_on)}
    assert by_use.keys() == uses.keys()
    assert len(uses) == 1 + 2 + 3
    for place, used in by_use.items():
        moments = [parse_given_time(row["collected_at"]) for row in used]
        leaves = {
            canonical([str(row["item"]), format_time(moment), row["kind"]])
            for row, moment in zip(used, moments, strict=True)
        }
        use = uses[place]
        assert use.manifest == root(leaf_hash(leaf) for leaf in sorted(leaves)).hex()
        assert sum(use.items.values()) == len(leaves)
        assert use.items.keys() == {row["kind"] for row in used}
        assert (use.collected_from, use.collected_until) == (format_time(min(moments)), format_time(max(moments)))
        assert {row["basis"] for row in used} == {use.basis}
        assert not use.attested

    finish = people_on.run_of("r1").finished
    assert finish is not None
    listed = sorted(canonical([stream, version]) for stream, version in uses)
    assert finish.data.root == root(leaf_hash(leaf) for leaf in listed).hex()
    assert finish.data.uses == len(uses) == outcome.summary["uses"]
    assert finish.data.items == sum(sum(use.items.values()) for use in uses.values())
    assert outcome.summary["permitted"] == len(permitted(out)) == finish.data.items + 5


def test_versions_of_uses_are_sorted_by_their_bytes(people_on: ConsentLedger, tmp_path: Path) -> None:
    """Two uses of one stream at versions 9 and 10: as text the tenth comes first."""
    past: people.Past = [
        (given.shown(), GRANTED),
        (given.accepted(), GRANTED),
        *[(given.toggled("off" if day % 2 else "on"), given.at(str(day))) for day in range(11, 17)],
    ]
    people.fill(people_on, {"gil": past})
    path = jsonl(
        tmp_path / "items.jsonl", item("gil", "a", given.at("10 12:00")), item("gil", "b", given.at("12 12:00"))
    )
    filtered(people_on, path, tmp_path / "out")
    uses = uses_of(people_on)
    assert [use.version for use in uses] == [9, 10]
    finish = people_on.run_of("r1").finished
    assert finish is not None
    leaves = sorted(canonical([use.stream, use.version]) for use in uses)
    assert finish.data.root == root(map(leaf_hash, leaves)).hex()
