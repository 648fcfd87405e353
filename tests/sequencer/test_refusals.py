"""What is never signed: a log that was cut, restored or changed. And what is only a cache, and made again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ledger.application import ConsentLedger, open_ledger
from ledger.errors import NotVerified, Refused, Unavailable
from ledger.keyring import keys_folder, new_key
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.note import Note, format_note, sign_note
from ledger.sequencer import sequence
from ledger.sequencer.steps import Sequencer
from ledger.settings import Place
from tests import builders as b
from tests import servers
from tests.sequencer.replay import ORIGIN, assert_sound, ledger_id, outside, stored


@pytest.fixture
def signed(ledger: ConsentLedger) -> ConsentLedger:
    """Positions 1 to 5 are terms and people, 6 the map; and 7 is not signed yet."""
    b.grant(ledger, "ann", "bob")
    assert sequence(ledger).size == 6
    ledger.record("ann", b.toggled("off"))
    return ledger


def owner_says(place: Place, *statements: str) -> None:
    """What an owner can do who takes the guards down."""
    with b.admin(place) as admin:
        for statement in statements:
            for table in ("log_entry", "checkpoint"):
                admin.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER ALL").format(sql.Identifier("ledger", table)))
            admin.execute(statement)


def assert_refused(ledger: ConsentLedger, message: str) -> None:
    """Refused, with nothing appended, signed or kept."""
    before = b.whole_log(ledger.place), stored(ledger.place), outside(ledger.place)
    for _ in range(2):
        with pytest.raises(Refused, match=message):
            sequence(ledger)
    assert (b.whole_log(ledger.place), stored(ledger.place), outside(ledger.place)) == before


CUT = "DELETE FROM ledger.log_entry WHERE position > {}"


def test_a_log_that_was_cut(signed: ConsentLedger) -> None:
    owner_says(signed.place, CUT.format(4))
    assert_refused(signed, r"expected the 6 entries that were signed, found 4; .* the positions 5 to 6")


def test_a_log_that_was_cut_and_has_grown_again(signed: ConsentLedger) -> None:
    owner_says(signed.place, CUT.format(5))
    signed.record("bob", b.toggled("off"))
    signed.record("bob", b.toggled("on"))
    # The tables of the tree still have what was signed; whoever cuts the log can cut them too.
    owner_says(signed.place, "TRUNCATE ledger.tree_tile", "UPDATE ledger.sequenced SET tree_size = 0")
    assert_refused(signed, "expected the root that was signed at size 6, found another")


def test_a_log_that_was_cut_of_what_was_worked_through_and_not_signed(
    signed: ConsentLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leaf of the map's entry is in the tree already; another at its position would not be hashed any more."""

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(Sequencer, "sign", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sequence(signed)
    monkeypatch.undo()
    owner_says(signed.place, CUT.format(7))
    assert_refused(signed, "expected the 8 entries that were worked through, found 7")


@contextmanager
def backup(place: Place, server_url: str) -> Iterator[Place]:
    """The database as it is now, under a name of its own, with the same files beside it."""
    name = f"test_{uuid.uuid4().hex}"
    original = (place.url or "").removeprefix("postgresql:///").partition("?")[0]
    with psycopg.connect(server_url, autocommit=True) as connection:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(copy.format(sql.Identifier(name), sql.Identifier(original)))
        try:
            yield Place(servers.with_database(server_url, name), None, place.state)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_a_restored_backup(ledger_place: Place, server_url: str) -> None:
    with open_ledger(ledger_place) as ledger:
        b.grant(ledger, "ann", "bob")
        sequence(ledger)
    with backup(ledger_place, server_url) as older:
        with open_ledger(ledger_place) as ledger:
            ledger.record("ann", b.toggled("off"))
            assert sequence(ledger).size == 8
        with open_ledger(older) as restored:
            assert_refused(restored, "the positions 7 to 8")
            restored.record("ann", b.toggled("on"))
            restored.record("bob", b.toggled("off"))
            assert_refused(restored, "expected the root that was signed at size 8, found another")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE ledger.log_entry SET entry = entry || ' ' WHERE position = 7", "expected an entry at position 7"),
        ("UPDATE ledger.log_entry SET position = 9 WHERE position = 7", "every position from 6 to 9"),
        (
            "UPDATE ledger.log_entry l SET entry = o.entry FROM ledger.log_entry o"
            " WHERE l.position = 7 AND o.position = 2",
            "expected version 3 of stream [0-9a-f]{64} at position 7, found 1",
        ),
    ],
)
def test_a_row_that_was_changed_before_it_was_signed(signed: ConsentLedger, statement: str, message: str) -> None:
    owner_says(signed.place, statement)
    assert_refused(signed, message)


CHANGED = (
    "UPDATE ledger.log_entry l SET entry = convert_to(replace(convert_from(l.entry, 'UTF8'), 'pro', 'max'), 'UTF8')"
)


def test_a_row_that_was_changed_after_it_was_signed(signed: ConsentLedger) -> None:
    """Seen as soon as the tree is made from the entries; `consent audit` does so whenever it is asked to."""
    owner_says(signed.place, f"{CHANGED} WHERE position = 2", "TRUNCATE ledger.tree_tile")
    assert_refused(signed, "expected the root that was signed at size 6, found another")
    owner_says(signed.place, "TRUNCATE ledger.map_node, ledger.stream_head")
    assert_refused(signed, "expected the root that was signed at size 6, found another")


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE ledger.tree_tile",
        "UPDATE ledger.tree_tile SET hashes = overlay(hashes placing '\\x00'::bytea from 33 for 1)",
        "UPDATE ledger.tree_tile SET hashes = hashes || hashes",
        "TRUNCATE ledger.map_node",
        "TRUNCATE ledger.map_node, ledger.stream_head",
        "UPDATE ledger.map_node SET hash = sha256(hash)",
    ],
)
def test_tables_of_tree_and_map_are_made_again_from_the_entries(signed: ConsentLedger, statement: str) -> None:
    owner_says(signed.place, statement)
    assert sequence(signed).size == 8
    assert_sound(signed.place)


def test_a_checkpoint_in_the_database_that_nobody_signed(signed: ConsentLedger) -> None:
    owner_says(signed.place, "UPDATE ledger.checkpoint SET note = replace(note, E'\\n6\\n', E'\\n5\\n')")
    assert_refused(signed, "expected the last checkpoint in the database to be signed by the log's key")


def test_without_a_copy_outside_nobody_is_believed(signed: ConsentLedger) -> None:
    (copy,) = outside(signed.place)
    copy.unlink()
    with pytest.raises(Refused, match="--trust-database"):
        sequence(signed)
    assert not outside(signed.place)
    assert sequence(signed, trust_database=True).size == 8
    assert_sound(signed.place)
    # Where nothing is new, the copy is made all the same.
    copy.unlink()
    sequence(signed, trust_database=True)
    assert_sound(signed.place)


def test_trusting_the_database_signs_no_shorter_log(signed: ConsentLedger) -> None:
    owner_says(signed.place, CUT.format(4))
    with pytest.raises(NotVerified, match="positions 5 to 6"):
        sequence(signed, trust_database=True)


def forged(place: Place, origin: str, name: str) -> bytes:
    text = Checkpoint(origin, 3, bytes(32)).text
    return format_note(Note(text, (sign_note(text, new_key(name)),)))


def test_a_copy_outside_that_is_not_ours(signed: ConsentLedger) -> None:
    (copy, note) = next(iter(outside(signed.place).items()))
    for content, message in {
        b"": "expected a signed note",
        forged(signed.place, ORIGIN, ORIGIN): "by a key that you named",
        note.replace(b"\n6\n", b"\n5\n"): "did not|does not|changed",
        note[:-10]: "found this",
    }.items():
        copy.write_bytes(content)
        assert_refused(signed, f"expected the checkpoint in {copy} to be signed .*({message})")


def test_the_log_may_be_far_ahead_of_an_old_copy(signed: ConsentLedger) -> None:
    """Files of a backup are no lie: the log still goes on from what they say."""
    before = outside(signed.place)
    sequence(signed)
    for copy, note in before.items():
        copy.write_bytes(note)
    signed.record("ann", b.toggled("on"))
    assert sequence(signed).size == 10
    assert_sound(signed.place)


def test_without_its_key_nothing_is_signed(signed: ConsentLedger) -> None:
    for key in keys_folder(signed.place.state, ledger_id(signed.place)).glob("log-*"):
        key.unlink()
    with pytest.raises(Unavailable, match=r"expected a log key in .* found none"):
        sequence(signed)


def test_a_key_that_others_may_read_signs_nothing(signed: ConsentLedger) -> None:
    key: Path = keys_folder(signed.place.state, ledger_id(signed.place)) / "log-1.key"
    key.chmod(0o640)
    with pytest.raises(Unavailable, match="mode 0640"):
        sequence(signed)
