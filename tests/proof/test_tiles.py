"""The tree in tiles: their names, how they grow, what is read out of them; entries in bundles (C2SP tlog-tiles)."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotVerified
from ledger.proof.merkle import (
    EMPTY_ROOT,
    LARGEST_SIZE,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    root_at,
    verify_inclusion,
)
from ledger.proof.tiles import (
    ReadTile,
    decode_entries,
    encode_entries,
    entries_path,
    grow,
    hash_reader,
    parse_tile_path,
    tile_path,
    tiles_of,
)

LEAVES = [leaf_hash(number.to_bytes(3, "big")) for number in range(70_000)]
TREE = Tree(LEAVES)

Tiles = dict[tuple[int, int], bytes]


def _reader(tiles: Tiles) -> ReadTile:
    return lambda level, number: tiles.get((level, number), b"")


#: All tiles of the whole tree, made in one step.
TILES = grow(0, LEAVES, _reader({}))

# --- names


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 273, 112, "tile/0/273.p/112"),
        (1, 1, 17, "tile/1/001.p/17"),
        (2, 0, 1, "tile/2/000.p/1"),
        (0, 1234, 256, "tile/0/x001/234"),
        (0, 1234067, 256, "tile/0/x001/x234/067"),
        (63, 1234067, 255, "tile/63/x001/x234/067.p/255"),
        (None, 0, 256, "tile/entries/000"),
        (None, 1000, 1, "tile/entries/x001/000.p/1"),
        (None, 999999, 256, "tile/entries/x999/999"),
    ],
)
def test_a_tile_has_its_path(level: int | None, number: int, width: int, path: str) -> None:
    named = entries_path(number, width) if level is None else tile_path(level, number, width)
    assert named == path
    assert parse_tile_path(path) == (level, number, width)


@settings(database=None)
@given(st.integers(0, 63), st.integers(0, LARGEST_SIZE), st.integers(1, 256))
def test_every_path_is_read_back(level: int, number: int, width: int) -> None:
    assert parse_tile_path(tile_path(level, number, width)) == (level, number, width)
    assert parse_tile_path(entries_path(number, width)) == (None, number, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "checkpoint",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/001/234",
        "tile/0/x000/001",
        "tile/0/x001/x234",
        "tile/0/X001/234",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/8/0/000",
        "tile/data/000",
        "tile/entries/0/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/",
        "tile/0/000\n",
        "/tile/0/000",
        "../tile/0/000",
        "tile/0/00\u0661",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/x001/x001/x001/x001/x001/x001/x001/001",
    ],
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(NotVerified, match="expected a path like"):
        parse_tile_path(path)


def test_the_tiles_of_a_tree_of_70000() -> None:
    tiles = list(tiles_of(70_000))
    assert Counter((level, width == 256) for level, _, width in tiles) == {
        (0, True): 273,
        (0, False): 1,
        (1, True): 1,
        (1, False): 1,
        (2, False): 1,
    }
    assert [tile for tile in tiles if tile[2] < 256] == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert list(tiles_of(0)) == []
    assert list(tiles_of(1)) == [(0, 0, 1)]
    assert list(tiles_of(256)) == [(0, 0, 256), (1, 0, 1)]
    assert list(tiles_of(65_536))[-2:] == [(1, 0, 256), (2, 0, 1)]


# --- growth


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_what_grew_is_exactly_the_tiles_of_the_tree(size: int) -> None:
    tiles = grow(0, LEAVES[:size], _reader({}))
    assert {(level, number): 32 * width for level, number, width in tiles_of(size)} == {
        place: len(hashes) for place, hashes in tiles.items()
    }


def test_every_hash_of_a_tile_is_the_root_over_its_leaves() -> None:
    for (level, number), hashes in TILES.items():
        for place in range(0, len(hashes), 32):
            index = number * 256 + place // 32
            assert hashes[place : place + 32] == TREE.read(8 * level, index)
    assert TILES[1, 0][:32] == root(LEAVES[:256])
    assert TILES[2, 0] == root(LEAVES[:65_536])


@pytest.mark.parametrize("seed", range(5))
def test_growing_in_steps_is_growing_at_once(seed: int) -> None:
    random_step = random.Random(seed)
    tiles: Tiles = {}
    size = 0
    while size < len(LEAVES):
        step = random_step.choice((0, 1, 2, 100, 255, 256, 257, 1_000, 20_000))
        changed = grow(size, LEAVES[size : size + step], _reader(tiles))
        assert all(hashes != tiles.get(place) for place, hashes in changed.items())
        assert all(hashes.startswith(tiles.get(place, b"")) for place, hashes in changed.items())
        tiles |= changed
        size = min(size + step, len(LEAVES))
        assert root_at(size, hash_reader(_reader(tiles))) == TREE.root(size)
    assert tiles == TILES


def test_hashes_beyond_the_size_are_written_again() -> None:
    # A crash between the tiles and the size: the tiles are ahead of it, and hold what is appended now.
    assert grow(300, LEAVES[300:1_000], _reader(grow(0, LEAVES[:700], _reader({})))) == {
        place: hashes for place, hashes in grow(0, LEAVES[:1_000], _reader({})).items() if place != (0, 0)
    }


@pytest.mark.parametrize(
    "hashes", [b"", LEAVES[0], b"".join(LEAVES[:43]), b"".join(LEAVES[:44])[:-1], b"".join(LEAVES[:44]) + b"x"]
)
def test_a_tree_does_not_grow_from_a_tile_that_lacks_hashes(hashes: bytes) -> None:
    with pytest.raises(NotVerified, match=r"at least 44 hashes of 32 bytes in tile/0/001, found \d+ bytes"):
        grow(300, LEAVES[300:301], lambda _level, _number: hashes)


# --- reading


def test_every_full_subtree_is_read_from_the_tiles() -> None:
    read = hash_reader(_reader(TILES))
    choice = random.Random(1)
    for height in range(17):
        for index in {0, (70_000 >> height) - 1, choice.randrange(70_000 >> height)}:
            assert read(height, index) == TREE.read(height, index)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_536, 69_999, 70_000])
def test_proofs_from_tiles_are_those_of_the_tree(size: int) -> None:
    read = hash_reader(_reader(TILES))
    for index in {0, size // 2, size - 1}:
        proof = inclusion_proof(index, size, read)
        assert proof == inclusion_proof(index, size, TREE.read)
        verify_inclusion(LEAVES[index], index, size, proof, TREE.root(size))
    for old in {1, size // 3 + 1, size}:
        assert consistency_proof(old, size, read) == consistency_proof(old, size, TREE.read)


@pytest.mark.parametrize("kept", [0, 15 * 32, 16 * 32, 17 * 32 - 1])
def test_a_tile_that_lacks_hashes_is_named(kept: int) -> None:
    tiles = {**TILES, (1, 1): TILES[1, 1][:kept]}
    with pytest.raises(NotVerified, match=rf"at least 1[67] hashes of 32 bytes in tile/1/001, found {kept} bytes"):
        root_at(70_000, hash_reader(_reader(tiles)))


def test_a_tile_with_more_than_256_hashes_is_refused() -> None:
    tiles = {**TILES, (0, 0): TILES[0, 0] + LEAVES[0]}
    with pytest.raises(NotVerified, match="found 8224 bytes"):
        hash_reader(_reader(tiles))(0, 0)


def test_a_changed_tile_is_another_root() -> None:
    for place in [(0, 273), (1, 1), (2, 0)]:
        hashes = TILES[place]
        tiles = {**TILES, place: hashes[:-1] + bytes([hashes[-1] ^ 1])}
        assert root_at(70_000, hash_reader(_reader(tiles))) != TREE.root()


def test_no_tile_is_needed_for_the_empty_tree() -> None:
    assert root_at(0, hash_reader(_reader({}))) == EMPTY_ROOT


# --- entries


@settings(database=None)
@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=256))
def test_a_bundle_of_entries_is_read_back(entries: list[bytes]) -> None:
    assert decode_entries(encode_entries(entries)) == entries


def test_a_bundle_in_bytes() -> None:
    assert encode_entries([b"a", b"bc" * 150]) == b"\x00\x01a\x01\x2c" + b"bc" * 150
    largest = [b"x" * 65_535]
    assert decode_entries(encode_entries(largest)) == largest
    assert encode_entries(largest)[:2] == b"\xff\xff"


@pytest.mark.parametrize("entries", [[], [b""], [b"a", b""], [b"x" * 65_536], [b"a"] * 257])
def test_what_no_bundle_holds_is_not_written(entries: list[bytes]) -> None:
    with pytest.raises(ValueError, match="a bundle has"):
        encode_entries(entries)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00\x00",
        b"\x00\x01",
        b"\x00\x02a",
        b"\x00\x01ab",
        b"\x00\x01a\x00\x00",
        b"\x00\x01a\x00\x00\x00\x01b",
        b"\x00\x01a" * 257,
        b"\xff\xff" + b"x" * 65_534,
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(NotVerified, match="expected"):
        decode_entries(data)


@settings(database=None)
@given(st.binary(max_size=60))
def test_only_what_is_written_so_is_read(data: bytes) -> None:
    try:
        entries = decode_entries(data)
    except NotVerified:
        return
    assert encode_entries(entries) == data
