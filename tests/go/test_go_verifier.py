"""A second verifier, in Go on its team's own `sumdb/note` and `sumdb/tlog`: it accepts our files, no damaged ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.proof.checkpoint import Checkpoint
from ledger.proof.consistency import ConsistencyFile, format_consistency
from ledger.proof.cosignature import cosign
from ledger.proof.merkle import Tree, consistency_proof, inclusion_proof, leaf_hash
from ledger.proof.note import COSIGNATURE, ED25519, Note, SigningKey, format_note, make_signing_key, sign_note
from ledger.proof.strict import encode_base64
from ledger.proof.tiles import encode_entries, entries_path, grow, hash_reader, tile_path, tiles_of
from ledger.proof.tlog_proof import TlogProof, format_tlog_proof
from tests.needed import leave_out

_PROGRAM = Path(__file__).parent / "verify.go"
#: Where Debian's golang-golang-x-mod-dev puts its sources, which a GOPATH finds without any network.
_GOPATH = Path("/usr/share/gocode")

ORIGIN = "consent.example/log1"
KEY = make_signing_key(ORIGIN, ED25519, bytes(range(32)))
#: Of the same name, but not the key that the verifier is given.
STRANGER = make_signing_key(ORIGIN, ED25519, bytes(32))
WITNESS = make_signing_key("witness1.example", COSIGNATURE, bytes([1] * 32))
#: Two full tiles of entries and a partial one, and a second level above them.
SIZE = 700
OLD_SIZE = 300
INDEXES = (0, 255, 256, 699)

ENTRIES = [b'{"n":%d,"t":"Accepted"}' % index for index in range(SIZE)]
TREE = Tree(map(leaf_hash, ENTRIES))


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built; where Go or the sources are missing the tests are left out, but not in CI."""
    go = shutil.which("go")
    if go is None or not (_GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        leave_out("no Go, or not the sources of golang.org/x/mod: install `golang-go` and `golang-golang-x-mod-dev`")
    folder = tmp_path_factory.mktemp("go")
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": str(_GOPATH),
        "GOENV": "off",
        "GOFLAGS": "",
        "GOCACHE": str(folder / "cache"),
    }
    built = folder / "verify"
    made = subprocess.run(
        [go, "build", "-o", built, _PROGRAM], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return built


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    _write_log(folder, SIZE, OLD_SIZE, INDEXES)
    return folder


def _write_log(folder: Path, size: int, old: int, indexes: Sequence[int]) -> None:
    """The checkpoint, the tiles with entries, and proofs: of entries, and that the log extends its first `old`."""
    tiles = grow(0, [TREE.read(0, index) for index in range(size)], lambda _level, _number: b"")
    for level, number, width in tiles_of(size):
        _write(folder / tile_path(level, number, width), tiles[level, number])
        if level == 0:
            some = ENTRIES[256 * number : 256 * number + width]
            _write(folder / entries_path(number, width), encode_entries(some))
    read = hash_reader(lambda level, number: tiles.get((level, number), b""))
    new = _checkpoint(size)
    _write(folder / "checkpoint", new)
    for index in indexes:
        proof = TlogProof(index, tuple(inclusion_proof(index, size, read)), ENTRIES[index], new)
        _write(folder / f"{index}.tlog-proof", format_tlog_proof(proof))
    _write(folder / "consistency.json", _consistency(_checkpoint(old), new, consistency_proof(old, size, read)))


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def _checkpoint(size: int, root: bytes | None = None, key: SigningKey = KEY) -> bytes:
    text = Checkpoint(ORIGIN, size, root or TREE.root(size)).text
    return format_note(Note(text, (sign_note(text, key), cosign(text, WITNESS, 1_757_934_593))))


def _signed(text: str) -> bytes:
    """A note by the log's own key, whatever it says."""
    return format_note(Note(text, (sign_note(text, KEY),)))


def _consistency(old: bytes, new: bytes, proof: Sequence[bytes]) -> bytes:
    return format_consistency(ConsistencyFile(old.decode(), new.decode(), tuple(proof)))


def _run(verifier: Path, folder: Path, vkey: str = KEY.verifier.text) -> tuple[int, list[str], str]:
    """(exit status, lines of stdout, stderr)."""
    done = subprocess.run([verifier, vkey, folder], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


#: What the verifier says of the log above.
ACCEPTED = [
    f"checkpoint {SIZE} {encode_base64(TREE.root())}",
    *(f"inclusion {index}" for index in INDEXES),
    f"consistency {OLD_SIZE} {SIZE}",
    f"tiles {SIZE + SIZE // 256}",
]


def test_our_files_are_accepted(verifier: Path, log: Path) -> None:
    assert _run(verifier, log) == (0, ACCEPTED, "")


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 512, 513])
def test_logs_of_other_sizes_are_accepted(verifier: Path, size: int, tmp_path: Path) -> None:
    old = size // 2 or 1
    _write_log(tmp_path, size, old, [size - 1])
    accepted = [
        f"checkpoint {size} {encode_base64(TREE.root(size))}",
        f"inclusion {size - 1}",
        f"consistency {old} {size}",
        f"tiles {size + size // 256}",
    ]
    assert _run(verifier, tmp_path) == (0, accepted, "")


def test_another_key_accepts_nothing(verifier: Path, log: Path) -> None:
    status, lines, error = _run(verifier, log, STRANGER.verifier.text)
    assert (status, lines) == (1, [])
    assert error.startswith("checkpoint: ")


Change = Callable[[bytes], bytes]


def _replaced(old: bytes, new: bytes) -> Change:
    return lambda data: data.replace(old, new, 1)


def _lines(start: int, end: int, *new: bytes) -> Change:
    """The lines from `start`, counted from 0, up to `end` replaced by others."""
    return lambda data: b"\n".join([*data.split(b"\n")[:start], *new, *data.split(b"\n")[end:]])


def _flipped(place: int) -> Change:
    """One bit of one byte changed."""
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _instead(data: bytes) -> Change:
    return lambda _: data


_STRANGE = leaf_hash(b"not of this log")
_STRANGE_LINE = encode_base64(_STRANGE).encode()
_PATH = consistency_proof(OLD_SIZE, SIZE, TREE.read)
_PROOF = TlogProof(256, tuple(inclusion_proof(256, SIZE, TREE.read)), ENTRIES[256], _checkpoint(SIZE))
_ROOT_LINE = encode_base64(TREE.root())


def _entry_proof(**changed: Any) -> tuple[str, Change]:
    return "256.tlog-proof", _instead(format_tlog_proof(replace(_PROOF, **changed)))


def _growth(old: bytes = _checkpoint(OLD_SIZE), proof: Sequence[bytes] = tuple(_PATH)) -> tuple[str, Change]:
    return "consistency.json", _instead(_consistency(old, _checkpoint(SIZE), proof))


#: By the check that must refuse it: what is damaged, in which file, and how.
DAMAGES: dict[str, dict[str, tuple[str, Change]]] = {
    "checkpoint": {
        "another size": ("checkpoint", _replaced(b"\n700\n", b"\n701\n")),
        "another root": ("checkpoint", _lines(2, 3, _STRANGE_LINE)),
        "another origin": ("checkpoint", _replaced(b"log1\n", b"log2\n")),
        "signed by another key of the same name": ("checkpoint", _instead(_checkpoint(SIZE, key=STRANGER))),
        "only the witness's signature": ("checkpoint", _lines(4, 5)),
        "no signature": ("checkpoint", _lines(4, 6)),
        "an extension line": ("checkpoint", _instead(_signed(f"{ORIGIN}\n700\n{_ROOT_LINE}\nmore\n"))),
        "a size with a leading zero": ("checkpoint", _instead(_signed(f"{ORIGIN}\n0700\n{_ROOT_LINE}\n"))),
    },
    "inclusion": {
        "a hash changed": ("256.tlog-proof", _lines(5, 6, _STRANGE_LINE)),
        "a hash too few": ("256.tlog-proof", _lines(3, 4)),
        "a hash too many": ("256.tlog-proof", _lines(4, 4, _STRANGE_LINE)),
        "two hashes swapped": _entry_proof(path=_PROOF.path[::-1]),
        "another index": ("256.tlog-proof", _replaced(b"index 256", b"index 257")),
        "an index beyond the size": ("256.tlog-proof", _replaced(b"index 256", b"index 700")),
        "another entry": _entry_proof(extra=ENTRIES[255]),
        "under an older checkpoint": _entry_proof(checkpoint=_checkpoint(OLD_SIZE)),
    },
    "consistency": {
        "a hash changed": _growth(proof=[_PATH[0], _STRANGE, *_PATH[2:]]),
        "a hash too few": _growth(proof=_PATH[:-1]),
        "a hash too many": _growth(proof=[*_PATH, _STRANGE]),
        "two histories, both signed": _growth(_checkpoint(OLD_SIZE, root=_STRANGE)),
        "an older checkpoint by another key": _growth(_checkpoint(OLD_SIZE, key=STRANGER)),
        "an older checkpoint of another size": _growth(_checkpoint(OLD_SIZE - 1)),
    },
    "tiles": {
        "a hash of a full tile changed": ("tile/0/000", _flipped(0)),
        "a hash of a partial tile changed": ("tile/0/002.p/188", _flipped(32 * 188 - 1)),
        "a hash of the upper tile changed": ("tile/1/000.p/2", _flipped(32)),
        "a tile cut short": ("tile/0/001", lambda data: data[:-32]),
        "a byte of an entry changed": ("tile/entries/001", _flipped(5)),
        "the last entry left out": ("tile/entries/002.p/188", lambda data: data[: -2 - len(ENTRIES[-1])]),
        "an entry more": ("tile/entries/002.p/188", lambda data: data + encode_entries([b"{}"])),
        "an entry cut short": ("tile/entries/002.p/188", lambda data: data[:-1]),
    },
}
#: How many of the lines above stand before the refusal, so that it is the damage that was refused.
_BEFORE = {"checkpoint": 0, "inclusion": 3, "consistency": 5, "tiles": 6}


@pytest.mark.parametrize(("check", "damage"), [(check, damage) for check, some in DAMAGES.items() for damage in some])
def test_damaged_files_are_refused(verifier: Path, log: Path, check: str, damage: str, tmp_path: Path) -> None:
    name, change = DAMAGES[check][damage]
    folder = tmp_path / "log"
    shutil.copytree(log, folder)
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(change(before))
    assert (folder / name).read_bytes() != before
    status, lines, error = _run(verifier, folder)
    assert (status, lines) == (1, ACCEPTED[: _BEFORE[check]])
    assert error.startswith(f"{check}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["tile/0/000", "tile/1/000.p/2", "tile/entries/001", "checkpoint", "consistency.json"])
def test_a_missing_file_is_refused(verifier: Path, log: Path, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    shutil.copytree(log, folder)
    (folder / name).unlink()
    status, _, error = _run(verifier, folder)
    assert status == 1
    assert "no such file" in error
