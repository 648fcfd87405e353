"""The auditor's own map has the root of the one that the sequencer folds, however it is held."""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.audit import map_tables, maps, streams
from ledger.audit.map_tables import MapTables
from ledger.audit.state import open_state
from ledger.proof.chain import stream_value
from ledger.proof.kept_map import MemoryMap, area_of, refold
from tests.audit.logs import KeptExport, a_log, audited
from tests.audit.test_killed import a_long_log


def a_key(number: int) -> bytes:
    """Keys of which many share a bucket, and some all bits but their last ones."""
    digest = sha256(str(number).encode()).digest()
    return (digest[:1] + bytes(3) + digest[4:] if number % 3 else digest)[:30] + number.to_bytes(2, "big")


@pytest.mark.parametrize("held", [3, 1_000_000])
def test_it_has_the_root_that_folding_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(map_tables, "MOST_HELD", held)
    chance = random.Random(held)
    other, keys = MemoryMap(), set[bytes]()
    with open_state(tmp_path / "seen") as state:
        tables = MapTables(state)
        assert tables.root() == bytes(32)
        for size in (1, 1, 2, 50, 3, 400, 5, 100):
            heads = {a_key(chance.randrange(400)): (chance.randint(1, 9), chance.randbytes(32)) for _ in range(size)}
            assert tables.write(heads) == len(heads.keys() - keys)
            keys |= heads.keys()
            for key, head in heads.items():
                other.set(key, stream_value(*head))
            root = refold(other, {area_of(key) for key in heads})
            assert tables.root() == root
            tables.save()
            state.commit()
            # Opened again, it has the same.
            assert MapTables(state).root() == root
            whole = other.pairs([(16, number) for number in range(1 << 16)])
            assert dict(tables.buckets(range(1 << 16))) == {
                number: pairs for (_, number), pairs in whole.items() if pairs
            }


def test_an_audit_that_holds_little_in_memory_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptExport(tmp_path)
    log = a_long_log()
    kept.put(log)
    expected = audited(kept)
    assert expected.is_right
    monkeypatch.setattr(map_tables, "MOST_HELD", 10)
    monkeypatch.setattr(maps, "MOST_CHANGES", 7)
    monkeypatch.setattr(streams, "MOST_HELD", 20)
    monkeypatch.setattr("ledger.audit.export_source._PAGE", 13)
    assert audited(kept, batch=30) == expected
    kept.put(a_log())
    assert audited(kept, batch=1).is_clean
