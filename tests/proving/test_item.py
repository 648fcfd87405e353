"""One item of a run: in the use that it was in, in no use where it was in none, and nothing from other lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.domain.names import subject_stream
from ledger.errors import InvalidInput, NotVerified, Refused
from ledger.gate.released import released_leaves
from ledger.proof.asked import Asked
from ledger.proof.policy import Trust
from ledger.proof.verifying import verify_file
from ledger.proving.item import ItemProof, Lists, prove_item
from ledger.sequencer import sequence
from tests.builders import toggled
from tests.domain import given
from tests.gate import people
from tests.gate.runs import filtered, item, jsonl

RENEWED: people.Past = [*people.PAST, (given.accepted(), given.at("12")), (given.toggled("on"), given.at("14"))]
DAYS = ("11", "13", "15")


@pytest.fixture
def released(ledger: ConsentLedger, tmp_path: Path) -> Path:
    """What run r1 released: of Eve three uses of five items, of Ann one of two; of Bob, who is off, nothing."""
    ledger.publish(given.SHIPPED)
    off: people.Past = [*people.PAST, (given.toggled("off"), given.at("10 01:00"))]
    people.fill(ledger, {"ann": people.PAST, "bob": off, "eve": RENEWED})
    rows = [item("eve", f"eve {day} {number}", given.at(day)) for day in DAYS for number in range(5)]
    rows += [item(who, f"{who} {number}") for who in ("ann", "bob") for number in range(2)]
    filtered(ledger, jsonl(tmp_path / "items.jsonl", *rows), tmp_path / "out")
    sequence(ledger)
    return tmp_path / "out" / "permitted.parquet"


def stream_of(ledger: ConsentLedger, named: str) -> str:
    return ledger.subject(named).stream or ""


def proved(ledger: ConsentLedger, named: str, name: str, lists: Lists, run: str = "r1") -> ItemProof:
    return prove_item(ledger, stream_of(ledger, named), run, name, lists)


def test_each_item_that_was_used_is_in_one_use(ledger: ConsentLedger, trust: Trust, released: Path) -> None:
    for named, names in (
        ("eve", [f"eve {day} {number}" for day in DAYS for number in range(5)]),
        ("ann", ["ann 0", "ann 1"]),
    ):
        stream = stream_of(ledger, named)
        lists = released_leaves(released, stream)
        for name in names:
            proof = proved(ledger, named, name, lists)
            assert proof.kind == "item-used"
            said = verify_file(proof.data, trust, Asked(subject=f"key:{stream}"))
            assert (said.kind, said.fields["item"], said.fields["run"]) == ("item-used", name, "r1")
            assert said.fields["version"] == proof.version
            assert name in [leaf[0] for leaf in lists[proof.version or 0]]


def test_what_was_not_used_is_in_none(ledger: ConsentLedger, trust: Trust, released: Path) -> None:
    for named, name in (("eve", "eve 11 5"), ("ann", "eve 11 0"), ("bob", "bob 0")):
        stream = stream_of(ledger, named)
        proof = proved(ledger, named, name, released_leaves(released, stream))
        assert (proof.kind, proof.version) == ("item-not-used", None)
        said = verify_file(proof.data, trust, Asked(subject=f"key:{stream}"))
        assert (said.kind, said.fields["item"], said.fields["run"]) == ("item-not-used", name, "r1")


def test_lists_that_are_not_those_of_the_run(ledger: ConsentLedger, released: Path) -> None:
    eve = released_leaves(released, stream_of(ledger, "eve"))
    versions = sorted(eve)
    missing = {version: eve[version] for version in versions[:-1]}
    with pytest.raises(NotVerified, match=f"found none of the use of version {versions[-1]}"):
        proved(ledger, "eve", "eve 15 9", missing)
    shorter = {**eve, versions[0]: eve[versions[0]][:-1]}
    for name in ("eve 11 0", "nothing"):
        with pytest.raises(NotVerified, match="make another manifest"):
            proved(ledger, "eve", name, shorter)
    with pytest.raises(NotVerified, match=f"some of version {versions[0]} of the person's stream, which is no use"):
        proved(ledger, "ann", "ann 0", eve)
    for name in ("", "x" * 513, "a\nb", "\ud800"):
        with pytest.raises(InvalidInput, match="an item's name"):
            proved(ledger, "eve", name, eve)
    with pytest.raises(Refused, match="found none of the name r2"):
        proved(ledger, "eve", "eve 11 0", eve, run="r2")


def test_uses_that_no_checkpoint_covers_yet(
    ledger: ConsentLedger, trust: Trust, released: Path, tmp_path: Path
) -> None:
    filtered(ledger, jsonl(tmp_path / "more.jsonl", item("ann", "more")), tmp_path / "two", run="r2")
    lists = released_leaves(tmp_path / "two" / "permitted.parquet", stream_of(ledger, "ann"))
    for name in ("more", "other"):
        with pytest.raises(Refused, match="run `consent checkpoint` first"):
            proved(ledger, "ann", name, lists, run="r2")
    sequence(ledger)
    ledger.record("ann", toggled("off"))
    for name, kind in (("more", "item-used"), ("other", "item-not-used")):
        proof = proved(ledger, "ann", name, lists, run="r2")
        assert proof.kind == kind == verify_file(proof.data, trust, Asked(f"key:{stream_of(ledger, 'ann')}")).kind


def test_of_somebody_who_was_never_there_nothing_was_used(ledger: ConsentLedger, trust: Trust, released: Path) -> None:
    nobody = subject_stream(bytes(16))
    proof = prove_item(ledger, nobody, "r1", "eve 11 0", released_leaves(released, nobody))
    assert proof.kind == "item-not-used"
    assert verify_file(proof.data, trust, Asked(f"id:{bytes(16).hex()}")).kind == "item-not-used"
