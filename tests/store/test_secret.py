"""The secret of erasure: one for each ledger, durable, for its owner's eyes, and never guessed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ledger.errors import Unavailable
from ledger.store.secret import SECRET_BYTES, create_secret, read_secret

ONE, TWO = bytes(16), bytes(15) + b"\x01"


def test_made_once_for_each_ledger(tmp_path: Path) -> None:
    state = tmp_path / "not" / "there"
    create_secret(state, ONE)
    create_secret(state, TWO)
    one, two = read_secret(state, ONE), read_secret(state, TWO)
    assert len(one) == len(two) == SECRET_BYTES
    assert one != two
    with pytest.raises(Unavailable, match="set CONSENT_STATE"):
        create_secret(state, ONE)
    assert read_secret(state, ONE) == one


def test_for_its_owner_only(tmp_path: Path) -> None:
    create_secret(tmp_path, ONE)
    (folder,) = tmp_path.iterdir()
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "00" * 31, "00" * 33, "not hex", "\x00"])
def test_a_broken_one_is_not_used(tmp_path: Path, content: str) -> None:
    create_secret(tmp_path, ONE)
    (file,) = tmp_path.glob("*/*")
    file.write_text(content)
    with pytest.raises(Unavailable, match=r"secret|bytes in hex"):
        read_secret(tmp_path, ONE)


def test_a_missing_one_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="copy it from where the ledger was made"):
        read_secret(tmp_path, ONE)
