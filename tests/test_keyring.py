"""The ledger's keys: files for their owner's eyes, or the environment; one key one role; and what a rotation leaves."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ledger import keyring as k
from ledger.errors import InvalidInput, Refused, Unavailable
from ledger.proof.note import COSIGNATURE, make_signing_key, signing_key_text
from ledger.proof.rotation import Rotation, open_rotation

ORIGIN = "log.example.org/one"
ID = bytes(15) + b"\x01"
NONE: dict[str, str] = {}


@pytest.fixture
def ring(tmp_path: Path) -> k.Keyring:
    k.create_keys(tmp_path, ID, ORIGIN, NONE)
    return k.read_keyring(tmp_path, ID, ORIGIN, NONE)


def test_made_once_with_their_names(ring: k.Keyring, tmp_path: Path) -> None:
    assert [key.verifier.name for key in ring.log] == [ORIGIN]
    assert ring.receipts is not None
    assert ring.receipts.verifier.name == f"{ORIGIN}/receipts"
    assert ring.receipts.verifier.public != ring.log[0].verifier.public
    k.create_keys(tmp_path, ID, ORIGIN, NONE)
    assert k.read_keyring(tmp_path, ID, ORIGIN, NONE) == ring
    k.create_keys(tmp_path, bytes(16), ORIGIN, NONE)
    assert k.read_keyring(tmp_path, bytes(16), ORIGIN, NONE).log != ring.log


def test_for_their_owner_only(ring: k.Keyring, tmp_path: Path) -> None:
    k.write_outside(tmp_path, ID, ORIGIN, ring.log[0].verifier, b"a note")
    k.rotate(tmp_path, ID, ring, k.new_key(ORIGIN), 7, NONE)
    k.retire(tmp_path, ID, NONE)
    folder = k.keys_folder(tmp_path, ID)
    assert {path.name for path in folder.iterdir()} == {"log-1.retired", "log-2.key", "receipts.key", "rotation-2.note"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in [*folder.iterdir(), k.outside_path(tmp_path, ID, ORIGIN, ring.log[0].verifier)]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("name", ["log-1.key", "receipts.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610])
def test_refused_where_others_may_read(ring: k.Keyring, tmp_path: Path, name: str, mode: int) -> None:
    (k.keys_folder(tmp_path, ID) / name).chmod(mode)
    with pytest.raises(Unavailable, match=rf"mode {mode:04o}; set it to 0600"):
        k.read_keyring(tmp_path, ID, ORIGIN, NONE)


@pytest.mark.parametrize("content", ["", "PRIVATE+KEY+x", "\x00", "secret that nobody may repeat"])
def test_a_broken_key_is_not_used_and_not_repeated(ring: k.Keyring, tmp_path: Path, content: str) -> None:
    (k.keys_folder(tmp_path, ID) / "log-1.key").write_text(content)
    with pytest.raises(Unavailable, match=r"expected a private key in .*log-1.key") as refused:
        k.read_keyring(tmp_path, ID, ORIGIN, NONE)
    assert "nobody" not in str(refused.value)


def test_the_environment_stands_in_the_place_of_files(tmp_path: Path) -> None:
    one, two, receipts = k.new_key(ORIGIN), k.new_key(ORIGIN), k.new_key(f"{ORIGIN}/receipts")
    environment = {
        k.LOG_VARIABLE: f"{signing_key_text(one)}\n {signing_key_text(two)}",
        k.RECEIPTS_VARIABLE: signing_key_text(receipts) + "\n",
    }
    k.create_keys(tmp_path, ID, ORIGIN, environment)
    assert list(k.keys_folder(tmp_path, ID).iterdir()) == []
    assert k.read_keyring(tmp_path, ID, ORIGIN, environment) == k.Keyring(ORIGIN, (one, two), receipts, ())
    k.create_keys(tmp_path, ID, ORIGIN, NONE)
    assert k.read_keyring(tmp_path, ID, ORIGIN, environment).log == (one, two)
    for change in (
        lambda: k.rotate(tmp_path, ID, k.Keyring(ORIGIN, (one,), None, ()), two, 1, environment),
        lambda: k.retire(tmp_path, ID, environment),
    ):
        with pytest.raises(Refused, match=f"found {k.LOG_VARIABLE} set"):
            change()


def test_none_there_is_none(tmp_path: Path) -> None:
    assert k.read_keyring(tmp_path, ID, ORIGIN, NONE) == k.Keyring(ORIGIN, (), None, ())


def test_one_key_one_role_and_the_right_name(tmp_path: Path) -> None:
    seed = bytes(range(32))
    log = make_signing_key(ORIGIN, 1, seed)

    def given(*keys: object, receipts: object = None) -> dict[str, str]:
        texts = {k.LOG_VARIABLE: " ".join(signing_key_text(key) for key in keys)}  # type: ignore[arg-type]
        if receipts is not None:
            texts[k.RECEIPTS_VARIABLE] = signing_key_text(receipts)  # type: ignore[arg-type]
        return texts

    for environment, found in [
        (given(log, log), "one key twice"),
        (given(log, receipts=make_signing_key(f"{ORIGIN}/receipts", 1, seed)), "one key twice"),
        (given(make_signing_key("another.example.org", 1, seed)), "one of another.example.org"),
        (given(make_signing_key(ORIGIN, COSIGNATURE, seed)), "expected the Ed25519 key"),
        (given(log, receipts=k.new_key(ORIGIN)), f"the Ed25519 key of {ORIGIN}/receipts"),
    ]:
        with pytest.raises(Unavailable, match=found):
            k.read_keyring(tmp_path, ID, ORIGIN, environment)


def test_a_rotation_is_signed_by_both_and_a_retired_key_is_gone(ring: k.Keyring, tmp_path: Path) -> None:
    old, new = ring.log[0], k.new_key(ORIGIN)
    path, note = k.rotate(tmp_path, ID, ring, new, 42, NONE)
    assert path.read_bytes() == note
    assert open_rotation(note) == Rotation(ORIGIN, old.verifier, new.verifier, 42)
    assert k.read_keyring(tmp_path, ID, ORIGIN, NONE).log == (old, new)

    assert k.retire(tmp_path, ID, NONE) == old.verifier
    after = k.read_keyring(tmp_path, ID, ORIGIN, NONE)
    assert (after.log, after.retired) == ((new,), (old.verifier,))
    left = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert signing_key_text(old).encode() not in left

    newest = k.new_key(ORIGIN)
    k.rotate(tmp_path, ID, after, newest, 50, NONE)
    assert k.read_keyring(tmp_path, ID, ORIGIN, NONE).log == (new, newest)
    # Nobody makes a first key again beside these.
    k.create_keys(tmp_path, ID, ORIGIN, NONE)
    assert k.read_keyring(tmp_path, ID, ORIGIN, NONE).log == (new, newest)


def test_keys_are_in_the_order_of_their_numbers(ring: k.Keyring, tmp_path: Path) -> None:
    for number in range(2, 12):
        k.rotate(tmp_path, ID, k.read_keyring(tmp_path, ID, ORIGIN, NONE), k.new_key(ORIGIN), number, NONE)
        k.retire(tmp_path, ID, NONE)
    last = k.read_keyring(tmp_path, ID, ORIGIN, NONE)
    assert (k.keys_folder(tmp_path, ID) / "log-11.key").exists()
    assert len(last.retired) == 10
    assert last.retired[0] == ring.log[0].verifier


def test_killed_while_retiring_the_private_part_still_goes(ring: k.Keyring, tmp_path: Path) -> None:
    k.rotate(tmp_path, ID, ring, k.new_key(ORIGIN), 1, NONE)
    folder = k.keys_folder(tmp_path, ID)
    (folder / "log-1.retired").write_text(ring.log[0].verifier.text + "\n")
    assert len(k.read_keyring(tmp_path, ID, ORIGIN, NONE).log) == 1, "whatever is left of it no longer signs"
    k.destroy_retired(tmp_path, ID)
    assert not (folder / "log-1.key").exists()


def test_copies_outside_are_by_origin_and_key(ring: k.Keyring, tmp_path: Path) -> None:
    one, two = ring.log[0].verifier, k.new_key(ORIGIN).verifier
    k.write_outside(tmp_path, ID, ORIGIN, one, b"one")
    assert k.read_outside(tmp_path, ID, ORIGIN, one) == b"one"
    assert k.read_outside(tmp_path, ID, ORIGIN, two) is None
    with pytest.raises(InvalidInput, match="only the log signs checkpoints"):
        k.read_outside(tmp_path, ID, "another.example.org", one)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="set CONSENT_STATE"):
        k.create_keys(tmp_path / "file", ID, ORIGIN, NONE)
