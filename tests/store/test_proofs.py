"""The tables of proofs on every server: the sequencer writes what the entries say, and nobody else writes at all."""

from __future__ import annotations

import hashlib

import psycopg
import pytest

from ledger.application import ConsentLedger
from ledger.errors import Unavailable
from ledger.proof.chain import stream_value
from ledger.proof.kept_map import bucket_of
from ledger.proof.subject_map import Node
from ledger.sequencer import sequence
from ledger.settings import Place
from ledger.store.database import connect
from ledger.store.proofs import ProofTables, StoredCheckpoint
from tests import builders as b
from tests.sequencer.replay import assert_sound


def test_checkpoints_on_every_server(ledger: ConsentLedger) -> None:
    sizes = [sequence(ledger).size]
    for number in range(3):
        b.grant(ledger, *(f"person-{number}-{other}" for other in range(number + 1)))
        sizes.append(sequence(ledger).size)
    assert sizes == [0, 4, 9, 16]
    assert [one.size for one in assert_sound(ledger.place)] == sizes
    with b.admin(ledger.place) as admin:
        tables = ProofTables(admin)
        assert [one.size for one in tables.checkpoints(after=4)] == [9, 16]
        assert tables.checkpoint_at(9) == next(tables.checkpoints(after=4))
        assert tables.checkpoint_at(10) is None
        assert tables.last_checkpoint() == tables.checkpoint_at(16)
        assert (tables.tree_size(), tables.covers(), tables.streams()) == (16, 15, 8)
        assert tables.read_tile(0, 0)[:32] == hashlib.sha256(b"\0" + b.whole_log(ledger.place)[0][3]).digest()
        assert tables.read_tile(0, 1) == b""


def test_the_map_by_places_and_nodes(ledger: ConsentLedger) -> None:
    key, other = bytes(32), bytes(31) + b"\1"
    with b.admin(ledger.place) as admin:
        tables = ProofTables(admin)
        tables.write_heads({other: (1, bytes(32)), key: (1, bytes(32))})
        tables.write_heads({key: (7, b"\2" * 32)})
        assert tables.heads([key, b"\3" * 32]) == {key: (7, b"\2" * 32)}
        store = tables.map_store()
        assert bucket_of(key) == bucket_of(other) == 0
        pairs = [(key, stream_value(7, b"\2" * 32)), (other, stream_value(1, bytes(32)))]
        assert store.pairs([(16, 5), (16, 0)]) == {(16, 0): pairs}
        # Deeper, and at the ends of a place: its first key and its last.
        last = bytes(2) + b"\x7f" + bytes([255] * 29)
        tables.write_heads({last: (1, bytes(32)), bytes(2) + b"\x80" + bytes(29): (1, bytes(32))})
        assert {place: len(found) for place, found in store.pairs([(16, 0), (17, 0), (17, 1), (24, 127)]).items()} == {
            (16, 0): 4,
            (17, 0): 3,
            (17, 1): 1,
            (24, 127): 1,
        }
        tables.write_heads({bytes([255] * 32): (1, bytes(32))})
        assert [len(found) for found in store.pairs([(30, 2**30 - 1), (16, 65_535), (17, 131_070)]).values()] == [1, 1]
        store.write_nodes({(3, 1): Node(1, bytes(32)), (16, 65_535): Node(2, b"\4" * 32)})
        store.write_nodes({(3, 1): Node(2, b"\5" * 32)})
        assert store.nodes([(3, 1), (3, 2), (16, 65_535)]) == {
            (3, 1): Node(2, b"\5" * 32),
            (16, 65_535): Node(2, b"\4" * 32),
        }
        store.write_nodes({(30, 2**30 - 1): Node(3, bytes(32)), (30, 5): Node(0, bytes(32))})
        assert tables.nodes_between(30, 5, 2**30 - 1) == {(30, 5): Node(0, bytes(32))}
        assert tables.nodes_between(3, 0, 8) == {(3, 1): Node(2, b"\5" * 32)}
        assert (store.pairs([]), store.nodes([]), tables.heads([])) == ({}, {}, {})


def test_published_only_after_the_one_that_was_read(ledger: ConsentLedger) -> None:
    one = StoredCheckpoint(3, bytes(32), 2, "note")
    with b.admin(ledger.place) as admin:
        tables = ProofTables(admin)
        assert not tables.publish(one, 2)
        assert tables.publish(one, None)
        two = StoredCheckpoint(5, bytes(32), 4, "note")
        assert not tables.publish(two, None)
        assert tables.publish(two, 3)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.checkpoint SET root = root",
        "DELETE FROM ledger.checkpoint",
        "TRUNCATE ledger.checkpoint CASCADE",
    ],
)
def test_checkpoints_are_append_only_for_the_owner_too(ledger: ConsentLedger, statement: str) -> None:
    b.grant(ledger, "ann")
    sequence(ledger)
    with b.admin(ledger.place) as admin, pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        admin.execute(statement)


FORBIDDEN = {
    "consent_service": [
        "INSERT INTO ledger.checkpoint VALUES (1, '', 0, '')",
        "DELETE FROM ledger.tree_tile",
        "UPDATE ledger.sequenced SET tree_size = 0",
        "DELETE FROM ledger.cosignature",
    ],
    "consent_sequencer": [
        "SELECT * FROM ledger.append('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        "INSERT INTO ledger.log_entry VALUES (1, 'log', 1, 'x', now(), false, 'x')",
        "SELECT * FROM ledger.identities",
        "SELECT * FROM ledger.evidence",
        "DELETE FROM ledger.checkpoint",
    ],
}


@pytest.mark.parametrize(
    ("role", "statement"), [(role, statement) for role, those in FORBIDDEN.items() for statement in those]
)
def test_each_role_may_what_it_needs(ledger_place: Place, role: str, statement: str) -> None:
    with (
        connect(ledger_place.url or "", "the ledger", role) as connection,  # type: ignore[arg-type]
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_a_server_that_is_not_there(ledger: ConsentLedger) -> None:
    ledger.url = "postgresql://127.0.0.1:1/x"
    with pytest.raises(Unavailable, match="to answer"):
        sequence(ledger)
