"""Sorting more than is held: the order of `sorted`, whatever was spilled."""

from __future__ import annotations

import random

import pytest

from ledger.importing import sorting
from ledger.importing.sorting import ExternalSort


@pytest.mark.parametrize("most_items", [1, 7, 1_000_000])
@pytest.mark.parametrize("read_ahead", [4, 64, 32 * 1024])
def test_items_come_back_in_order(monkeypatch: pytest.MonkeyPatch, most_items: int, read_ahead: int) -> None:
    monkeypatch.setattr(sorting, "MOST_ITEMS", most_items)
    monkeypatch.setattr(sorting, "READ_AHEAD", read_ahead)
    chance = random.Random(1)
    items = [chance.randbytes(chance.choice([0, 1, 3, 40, 500])).replace(b"\n", b"\r") for _ in range(200)]
    sort = ExternalSort()
    for item in items:
        sort.add(item)
    assert list(sort) == sorted(items)
    assert sort.count == 200
    sort.close()


def test_what_is_held_is_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "MOST_BYTES", 1_000)
    sort = ExternalSort()
    for number in range(100):
        sort.add(b"%02d" % number * 200)
        assert len(sort._held) * 400 < 1_000
    assert list(sort) == [b"%02d" % number * 200 for number in range(100)]
    sort.close()
