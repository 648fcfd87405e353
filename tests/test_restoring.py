"""A whole export goes back into an empty ledger byte for byte, or nothing of it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.application import ConsentLedger, open_ledger
from ledger.errors import InvalidInput, Refused, Unavailable
from ledger.exports import FORMATS
from ledger.exports.selection import Selection, select
from ledger.keyring import keys_folder, new_key, read_keyring, read_outside
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint
from ledger.proof.merkle import leaf_hash, root
from ledger.proof.note import Note, SigningKey, format_note, parse_note, sign_note, signing_key_text
from ledger.restoring import Former, Restored, restore
from ledger.sequencer import sequence
from ledger.settings import Place
from ledger.store.location import create_ledger
from tests.builders import TERMS, admin, grant, shown, toggled, whole_log


@pytest.fixture
def export(ledger: ConsentLedger, tmp_path: Path) -> Path:
    """A ledger of nine entries, one person in it erased, and its export."""
    grant(ledger, "ann", "bob")
    ledger.record("ann", toggled("off"), key="k", evidence=b"198.51.100.7")
    ledger.record("gone", shown())
    ledger.erase("gone", "request")
    ledger.record("bob", toggled("off"))
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"".join(FORMATS["jsonl"](select(ledger, Selection()))))
    return file


@pytest.fixture
def empty(database_url: str, tmp_path: Path) -> Place:
    """Another ledger, just made."""
    place = Place(database_url, None, tmp_path / "other")
    create_ledger(place, "other.test")
    return place


def restored(place: Place, file: Path, former: Former | None = None) -> Restored:
    return restore(place, file, lambda _: None, former)


def log_key(ledger: ConsentLedger) -> SigningKey:
    return read_keyring(ledger.place.state, ledger.identity.id, ledger.identity.origin).log[0]


def test_every_row_is_as_it_was_and_the_log_goes_on(
    ledger: ConsentLedger, ledger_place: Place, export: Path, empty: Place
) -> None:
    done = restored(empty, export)
    assert done.entries == 9
    assert done.identity.origin == "other.test"
    assert done.identity.id != ledger.identity.id
    with admin(ledger_place) as before, admin(empty) as after:
        rows = "SELECT * FROM ledger.log_entry ORDER BY position"
        found = after.execute(rows).fetchall()
        assert found == before.execute(rows).fetchall()
    assert done.root == root(leaf_hash(entry) for *_, entry in whole_log(ledger_place))
    with open_ledger(empty) as again:
        # The terms are there; the people are, under their keys, but nobody knows who they are.
        assert again.identities.find(["ann"])["ann"].stream is None
        ann = ledger.subject("ann").stream or ""
        assert [entry.event for _, entry in again.entries_of(ann)][-1] == "toggle-changed"
        assert again.publish(TERMS) is None
        again.record(f"key:{ann}", toggled("on"))
        assert len(whole_log(empty)) == 10


def test_what_is_no_part_of_the_log_stays_behind(export: Path, empty: Place) -> None:
    restored(empty, export)
    with admin(empty) as connection:
        for table in ("identities", "evidence", "idempotency_key", "erased_identity"):
            row = connection.execute(f"SELECT count(*) FROM ledger.{table}").fetchone()
            assert row == (0,), table


def test_only_an_empty_ledger_is_filled(ledger_place: Place, export: Path, empty: Place) -> None:
    before = whole_log(ledger_place)
    with pytest.raises(Refused, match="expected an empty ledger"):
        restored(ledger_place, export)
    assert whole_log(ledger_place) == before
    restored(empty, export)
    with pytest.raises(Refused, match="expected an empty ledger"):
        restored(empty, export)
    assert len(whole_log(empty)) == 9


Change = Callable[[list[bytes]], list[bytes]]
#: What was done to the lines of an export, and what is said of it.
CHANGES: dict[str, tuple[Change, str]] = {
    "a line left out": (lambda lines: lines[:2] + lines[3:], "line 5 of .* version 3"),
    "two lines of a stream swapped": (
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        "line 2 of .* version 2 of .* version 1",
    ),
    "a line twice": (lambda lines: [*lines, lines[4]], "line 10 of .* already"),
    "a space more": (lambda lines: [*lines[:-1], lines[-1].replace(b":", b": ", 1)], "line 9 of .* canonical"),
    "the end of a line of Windows": (lambda lines: [lines[0], lines[1] + b"\r", *lines[2:]], "line 2 of .* canonical"),
    "a blank line": (lambda lines: [*lines[:4], b"", *lines[4:]], "line 5 of .* found 0"),
    "no object": (lambda lines: [b"[1]", *lines], "line 1 of"),
    "not text": (lambda lines: [*lines[:6], b"\xff\xfe", *lines[6:]], "line 7 of"),
    "the last line cut": (lambda lines: [*lines[:-1], lines[-1][:-1]], "line 9 of"),
    "a line longer than any entry": (lambda lines: [lines[0], b" " * 70_000 + lines[1]], "line 2 of"),
    "a line of another export": (lambda lines: [b'{"subject":"ann"}', *lines], "line 1 of"),
    "nothing": (lambda _: [], "found no line"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_the_whole_log_is_refused_by_its_line_and_leaves_nothing(
    export: Path, empty: Place, name: str
) -> None:
    change, says = CHANGES[name]
    export.write_bytes(b"".join(line + b"\n" for line in change(export.read_bytes().splitlines())))
    with pytest.raises(Refused, match=says) as refused:
        restored(empty, export)
    assert "\n" not in str(refused.value)
    assert whole_log(empty) == []


def test_a_beginning_of_the_log_is_a_log(ledger_place: Place, export: Path, empty: Place) -> None:
    """And the end of its last line may be missing: the entry is whole without it."""
    export.write_bytes(b"\n".join(export.read_bytes().splitlines()[:5]))
    done = restored(empty, export)
    assert done.root == root(leaf_hash(entry) for *_, entry in whole_log(ledger_place)[:5])
    assert whole_log(empty) == whole_log(ledger_place)[:5]


@pytest.fixture
def lost(ledger: ConsentLedger, export: Path) -> Former:
    """The checkpoint of size 10 of the ledger whose export holds 11 entries by now, and its key."""
    key = log_key(ledger)
    checkpoint = sequence(ledger)
    assert checkpoint.size == 10
    ledger.record("bob", toggled("on"))
    export.write_bytes(b"".join(FORMATS["jsonl"](select(ledger, Selection()))))
    return Former(checkpoint.note.encode(), key)


@pytest.fixture
def heir(database_url: str, tmp_path: Path) -> Place:
    """Another ledger, just made for the origin of the lost one."""
    place = Place(database_url, None, tmp_path / "heir")
    create_ledger(place, "ledger.test")
    return place


def test_after_a_loss_the_log_goes_on_under_its_key(
    ledger_place: Place, export: Path, lost: Former, heir: Place
) -> None:
    done = restored(heir, export, lost)
    assert done.entries == 11
    assert whole_log(heir) == whole_log(ledger_place)
    assert lost.key is not None
    with open_ledger(heir) as again:
        assert log_key(again) == lost.key
        of = again.identity
        assert read_outside(heir.state, of.id, of.origin, lost.key.verifier) == lost.note
        following = sequence(again)
        # The lost checkpoint was published first, and the new one extends it.
        with admin(heir) as connection:
            notes = connection.execute("SELECT size, note FROM ledger.checkpoint ORDER BY size").fetchall()
    assert [size for size, _ in notes] == [10, 12]
    assert notes[0][1].encode() == lost.note
    checkpoint = parse_checkpoint(parse_note(following.note.encode()).text)
    assert checkpoint == Checkpoint("ledger.test", 12, root(leaf_hash(entry) for *_, entry in whole_log(heir)))


def test_a_log_of_its_own_signs_the_same_root_at_the_same_size(
    ledger: ConsentLedger, export: Path, empty: Place
) -> None:
    signed = sequence(ledger)
    export.write_bytes(b"".join(FORMATS["jsonl"](select(ledger, Selection()))))
    restored(empty, export)
    with open_ledger(empty) as again:
        # The map that the original published covers all before it, so nothing is added.
        own = sequence(again)
        assert (own.size, own.root, own.covers) == (signed.size, signed.root, signed.covers)
        assert parse_checkpoint(parse_note(own.note.encode()).text).origin == "other.test"
        again.record(f"key:{ledger.subject('ann').stream}", toggled("on"))
        assert sequence(again).size == signed.size + 2


def test_the_key_may_be_in_the_environment(
    export: Path, lost: Former, heir: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lost.key is not None
    monkeypatch.setenv("CONSENT_LOG_KEY", signing_key_text(lost.key))
    with pytest.raises(InvalidInput, match="found both"):
        restored(heir, export, lost)
    restored(heir, export, Former(lost.note))
    with open_ledger(heir) as again:
        assert sequence(again).size == 12


def noted(origin: str, size: int, root: bytes, key: SigningKey) -> bytes:
    text = Checkpoint(origin, size, root).text
    return format_note(Note(text, (sign_note(text, key),)))


def test_only_what_was_signed_goes_on(export: Path, lost: Former, heir: Place) -> None:
    key = lost.key
    assert key is not None
    known = parse_checkpoint(parse_note(lost.note).text)
    other = new_key("ledger.test")
    cases = {
        "expected the root of the checkpoint after 10 entries": Former(noted("ledger.test", 10, bytes(32), key), key),
        "expected at least the 12 entries": Former(noted("ledger.test", 12, bytes(32), key), key),
        "signature": Former(lost.note, other),
        "changed": Former(lost.note.replace(b"\n10\n", b"\n11\n"), key),
        "init --origin elsewhere.test": Former(noted("elsewhere.test", 10, known.root, new_key("elsewhere.test")), key),
        "a key of ledger.test/receipts": Former(lost.note, new_key("ledger.test/receipts")),
        "note": Former(b"no note", key),
    }
    keys = {path: path.read_bytes() for path in keys_folder(heir.state, ledger_id(heir)).iterdir()}
    for says, former in cases.items():
        with pytest.raises(Refused, match=says) as refused:
            restored(heir, export, former)
        assert "\n" not in str(refused.value)
        assert whole_log(heir) == []
    # The key that the ledger was made with signed none of it.
    with pytest.raises(Refused, match="signature"):
        restored(heir, export, Former(lost.note))
    assert {path: path.read_bytes() for path in keys_folder(heir.state, ledger_id(heir)).iterdir()} == keys
    restored(heir, export, lost)


def ledger_id(place: Place) -> bytes:
    with open_ledger(place) as ledger:
        return ledger.identity.id


def test_a_ledger_that_has_signed_cannot_become_the_lost_one(export: Path, lost: Former, heir: Place) -> None:
    with open_ledger(heir) as ledger:
        sequence(ledger)
    with pytest.raises(Refused, match="never had a checkpoint"):
        restored(heir, export, lost)
    # As a log of its own it can be filled, and its checkpoints go on.
    restored(heir, export)
    with open_ledger(heir) as ledger:
        assert sequence(ledger).size == 12


def test_a_file_that_cannot_be_read(empty: Place, tmp_path: Path) -> None:
    for file, says in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (Path("/proc/self/mem"), "Input/output error"),
    ):
        with pytest.raises(Unavailable, match=says):
            restored(empty, file)
