"""A bucket of the map that grows is split, from old tables and killed in the middle too; nothing else can tell."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.audit.audit import Report
from ledger.domain.names import stream_key
from ledger.keyring import read_keyring
from ledger.proof import kept_map
from ledger.proof.bundle import parse_bundle
from ledger.proof.bundle_opening import open_bundle
from ledger.proof.kept_map import DEPTH, MOST_STREAMS, SPLIT, bucket_of
from ledger.proof.policy import trust_of_keys
from ledger.proving.history import prove_history
from ledger.sequencer import sequence
from ledger.store.location import create_ledger
from tests import builders as b
from tests.audit import logs
from tests.sequencer.replay import ORIGIN, assert_sound, ledger_id
from tests.sequencer.test_killed import WITHIN, kill_after

STREAMS = [b.stream_of(number) for number in b.CROWD]
BUCKET = bucket_of(stream_key(STREAMS[0]))


def kinds(ledger: ConsentLedger) -> list[tuple[int, int]]:
    """Depth and kind of the nodes from the crowd's bucket on down."""
    with b.admin(ledger.place) as admin:
        return admin.execute(
            "SELECT depth, kind FROM ledger.map_node WHERE depth >= %(at)s AND index >> (depth - %(at)s) = %(bucket)s"
            " ORDER BY depth, index",
            {"at": DEPTH, "bucket": BUCKET},
        ).fetchall()


def audited(ledger: ConsentLedger, state: Path | None = None) -> Report:
    return logs.audited(logs.KeptLedger(ledger.place), state)


def assert_proven(ledger: ConsentLedger, versions: dict[str, int]) -> None:
    """Everybody's bundle holds, and so does that of whoever is not there yet."""
    keys = read_keyring(ledger.place.state, ledger_id(ledger.place), ORIGIN).log
    trust = trust_of_keys([key.verifier for key in keys])
    for stream in STREAMS:
        held = open_bundle(parse_bundle(prove_history(ledger, stream).data), trust)
        assert len(held.history) == versions.get(stream, 0)


def test_the_crowd_lies_in_one_bucket() -> None:
    assert {bucket_of(stream_key(stream)) for stream in STREAMS} == {BUCKET}
    assert len(STREAMS) > MOST_STREAMS + 4


@pytest.mark.parametrize("seed", range(2))
def test_a_bucket_that_grows_past_what_is_hashed_together(ledger: ConsentLedger, seed: int, tmp_path: Path) -> None:
    choice = random.Random(seed)
    b.grant(ledger, "ann", "bob")
    versions: dict[str, int] = {}
    for there in (5, MOST_STREAMS, MOST_STREAMS + 1, MOST_STREAMS + 1, 20, 20, len(STREAMS) - 1):
        new = STREAMS[len(versions) : there]
        b.append_to(ledger, versions, [*new, *choice.sample(list(versions), min(len(versions), 3))])
        sequence(ledger)
        assert (kinds(ledger)[0] == (DEPTH, SPLIT)) == (there > MOST_STREAMS)
        assert_proven(ledger, versions)
        assert audited(ledger, tmp_path / "seen").is_clean
    assert_sound(ledger.place)
    assert audited(ledger).is_clean


def test_tables_of_schema_8_go_on(ledger: ConsentLedger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    b.grant(ledger, "ann")
    versions: dict[str, int] = {}
    b.append_to(ledger, versions, STREAMS[:22])
    with monkeypatch.context() as patch:
        # What programs of that age wrote: a bucket is whole, however many it holds.
        patch.setattr(kept_map, "MOST_STREAMS", 1_000_000)
        sequence(ledger)
    with b.admin(ledger.place) as admin:
        admin.execute("DELETE FROM ledger.migration WHERE number = 9")
        admin.execute(
            "ALTER TABLE ledger.map_node DROP CONSTRAINT map_node_kind_check,"
            " ADD CONSTRAINT map_node_kind_check CHECK (kind BETWEEN 0 AND 2)"
        )
    assert not create_ledger(ledger.place, None)[1]
    assert kinds(ledger) == [(DEPTH, 2)]
    assert_proven(ledger, versions)
    assert audited(ledger, tmp_path / "seen").is_clean
    b.append_to(ledger, versions, [STREAMS[3], STREAMS[25]])
    sequence(ledger)
    assert kinds(ledger)[0] == (DEPTH, SPLIT)
    assert_proven(ledger, versions)
    assert audited(ledger, tmp_path / "seen").is_clean
    with monkeypatch.context() as patch:
        # One of that age that was running all the time takes a turn: it knows of nothing below a bucket.
        with b.admin(ledger.place) as admin:
            admin.execute("UPDATE ledger.map_node SET kind = 2 WHERE kind = 3")
        patch.setattr(kept_map, "MOST_STREAMS", 1_000_000)
        b.append_to(ledger, versions, STREAMS[5:8])
        sequence(ledger)
    assert audited(ledger, tmp_path / "seen").is_clean
    b.append_to(ledger, versions, [STREAMS[6], STREAMS[23]])
    sequence(ledger)
    assert kinds(ledger)[0] == (DEPTH, SPLIT)
    assert_proven(ledger, versions)
    assert audited(ledger).is_clean
    assert_sound(ledger.place)


@pytest.mark.parametrize(
    "function", [*WITHIN.values(), "ledger.store.proofs._MapTables.write_nodes"], ids=[*WITHIN, "nodes written"]
)
def test_killed_while_a_bucket_is_split(ledger: ConsentLedger, function: str) -> None:
    b.grant(ledger, "ann")
    versions: dict[str, int] = {}
    b.append_to(ledger, versions, STREAMS[:MOST_STREAMS])
    sequence(ledger)
    b.append_to(ledger, versions, STREAMS[MOST_STREAMS - 2 :])
    kill_after(ledger.place, function)
    b.append_to(ledger, versions, STREAMS[:3])
    sequence(ledger)
    assert kinds(ledger)[0] == (DEPTH, SPLIT)
    assert_sound(ledger.place)
    assert audited(ledger).is_clean
    assert_proven(ledger, versions)


CHANGES = {
    "a node of a split bucket": "UPDATE ledger.map_node SET hash = sha256(hash) WHERE depth = 17",
    "its bucket says that nothing is below": "UPDATE ledger.map_node SET kind = 2, hash = sha256(hash) WHERE kind = 3",
    "a node says that its halves are kept": "UPDATE ledger.map_node SET kind = 3 WHERE depth = 16 AND kind = 1",
    "a half that is missing": "DELETE FROM ledger.map_node WHERE depth = 17 AND index % 2 = 1",
    "a node above": "UPDATE ledger.map_node SET hash = sha256(hash) WHERE depth = 3",
    "a leaf above": "UPDATE ledger.map_node SET kind = 1 WHERE depth = 1",
    "a node that is missing": "DELETE FROM ledger.map_node WHERE depth = 16",
    "one where nobody is": "INSERT INTO ledger.map_node VALUES (16, 77, 2, sha256('x'))",
    "one above where nobody is": "INSERT INTO ledger.map_node VALUES (15, 77, 1, sha256('x'))",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_audit_finds_a_node_that_was_changed(ledger: ConsentLedger, change: str) -> None:
    b.grant(ledger, "ann")
    b.append_to(ledger, {}, STREAMS)
    sequence(ledger)
    with b.admin(ledger.place) as admin:
        assert admin.execute(change).rowcount > 0
    report = audited(ledger)
    assert report.counts == {"map-differs": 1}
    # They can be made again from the entries, which are right.
    assert report.is_right
    assert not report.is_clean
