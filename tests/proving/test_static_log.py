"""The folder of tiles: whole for whoever reads the checkpoint in it, and every root in it can be computed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.errors import Refused, Unavailable
from ledger.proof.merkle import leaf_hash, root, root_at
from ledger.proof.policy import Trust, open_checkpoint
from ledger.proof.tiles import (
    TILE_WIDTH,
    decode_entries,
    entries_path,
    hash_reader,
    parse_tile_path,
    tile_path,
    tiles_of,
)
from ledger.proving.static_log import Written, write_tiles
from ledger.sequencer import sequence
from tests.builders import append_of, grant, now_of, stream_of, whole_log


def fill(ledger: ConsentLedger, entries: int, first: int = 0) -> None:
    """So many people who were shown terms."""
    appends = [append_of(stream_of(first + number), 1, now_of(ledger), nonce=number) for number in range(entries)]
    assert all(outcome.name == "stored" for outcome in ledger.recorder.insert_many(appends))


def written(ledger: ConsentLedger, folder: Path, *, with_entries: bool = False) -> Written:
    return write_tiles(ledger, folder, with_entries=with_entries, watch=lambda _: None)


def files(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def assert_whole(folder: Path, ledger: ConsentLedger, trust: Trust) -> int:
    """As somebody does who has the folder alone: the checkpoint's size, after all its tiles were read and compared."""
    checkpoint = open_checkpoint((folder / "checkpoint").read_bytes(), trust).checkpoint
    widths = {(level, number): width for level, number, width in tiles_of(checkpoint.size)}

    def read(level: int, number: int) -> bytes:
        tile = (folder / tile_path(level, number, widths[level, number])).read_bytes()
        assert len(tile) == 32 * widths[level, number]
        return tile

    leaves = [leaf_hash(entry) for *_, entry in whole_log(ledger.place)[: checkpoint.size]]
    assert root(leaves) == checkpoint.root == root_at(checkpoint.size, hash_reader(read))
    joined = b"".join(read(0, number) for level, number in sorted(widths) if level == 0)
    assert joined == b"".join(leaves)
    for level, number in widths:
        if level:
            whole = 256**level
            firsts = range(number * 256 * whole, (number * 256 + widths[level, number]) * whole, whole)
            assert read(level, number) == b"".join(root(leaves[first : first + whole]) for first in firsts)
    return checkpoint.size


def test_the_tiles_of_a_checkpoint_and_of_those_after_it(ledger: ConsentLedger, trust: Trust, tmp_path: Path) -> None:
    folder = tmp_path / "log" / "here"
    fill(ledger, 300)
    sequence(ledger)
    assert written(ledger, folder) == Written(301, 3, 0)
    assert assert_whole(folder, ledger, trust) == 301
    first = files(folder)
    assert first.keys() == {"checkpoint", "tile/0/000", "tile/0/001.p/45", "tile/1/000.p/1"}
    kept = {name: (path.read_bytes(), path.stat().st_ino) for name, path in first.items() if name != "checkpoint"}

    fill(ledger, 500, first=300)
    sequence(ledger)
    assert written(ledger, folder) == Written(802, 4, 0)
    assert assert_whole(folder, ledger, trust) == 802
    # A path has the same bytes for ever: nothing that was there was written again.
    now = files(folder)
    assert {name: (now[name].read_bytes(), now[name].stat().st_ino) for name in kept} == kept
    assert written(ledger, folder) == Written(802, 0, 0)
    for name in now.keys() - {"checkpoint"}:
        level, number, width = parse_tile_path(name)
        assert level is not None
        assert tile_path(level, number, width) == name


def test_the_entries_too_and_only_when_asked_for(ledger: ConsentLedger, trust: Trust, tmp_path: Path) -> None:
    fill(ledger, 600)
    sequence(ledger)
    written(ledger, tmp_path)
    assert not (tmp_path / "tile" / "entries").exists()
    assert written(ledger, tmp_path, with_entries=True) == Written(601, 0, 3)
    log = [entry for *_, entry in whole_log(ledger.place)]
    found: list[bytes] = []
    for level, number, width in tiles_of(601):
        if level == 0:
            path = tmp_path / entries_path(number, width)
            bundle = decode_entries(path.read_bytes())
            assert len(bundle) == width
            assert path.stat().st_mode & 0o077 == 0
            found += bundle
    assert found == log
    assert {name for name in files(tmp_path) if "entries" in name} == {
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/89",
    }
    assert assert_whole(tmp_path, ledger, trust) == 601


def test_tables_that_are_ahead_of_the_checkpoint(ledger: ConsentLedger, trust: Trust, tmp_path: Path) -> None:
    """A sequencer between its steps, or one that was killed there: what is not signed is not served."""
    from ledger.sequencer.steps import turn

    fill(ledger, 10)
    sequence(ledger)
    fill(ledger, TILE_WIDTH, first=10)
    with turn(ledger) as sequencer:
        sequencer.hash_entries(sequencer.publish_map(sequencer.fold()))
    assert written(ledger, tmp_path) == Written(11, 1, 0)
    assert assert_whole(tmp_path, ledger, trust) == 11
    sequence(ledger)
    written(ledger, tmp_path)
    assert assert_whole(tmp_path, ledger, trust) == 268


def test_a_folder_of_another_log_is_left_alone(ledger: ConsentLedger, tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    grant(ledger, "ann")
    with pytest.raises(Refused, match="run `consent checkpoint` first"):
        written(ledger, folder)
    assert not folder.exists()
    sequence(ledger)
    written(ledger, folder)
    checkpoint = folder / "checkpoint"
    ours = checkpoint.read_bytes()
    for theirs, says in (
        (ours.replace(b"ledger.test", b"other.test"), r"a checkpoint of other\.test"),
        (ours.replace(b"\n4\n", b"\n5\n"), "at size 5"),
        (ours.replace(b"\n4\n", b"\n3\n"), "at size 3"),
    ):
        assert theirs != ours
        checkpoint.write_bytes(theirs)
        with pytest.raises(Refused, match=says):
            written(ledger, folder)
        assert checkpoint.read_bytes() == theirs
    checkpoint.write_bytes(b"something else")
    with pytest.raises(Unavailable, match="use another folder"):
        written(ledger, folder)
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(Unavailable, match="expected a checkpoint at "):
        written(ledger, blocked)


def test_the_log_of_no_entry(ledger: ConsentLedger, trust: Trust, tmp_path: Path) -> None:
    sequence(ledger)
    assert written(ledger, tmp_path) == Written(0, 0, 0)
    assert assert_whole(tmp_path, ledger, trust) == 0
