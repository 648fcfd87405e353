"""Chains and their values, against the known heads of every stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.entry import decode_entry
from ledger.domain.names import stream_key
from ledger.proof.chain import chain_next, chain_start, stream_value

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "formats.json").read_text())


@pytest.mark.parametrize("stream", VECTORS["heads"])
def test_a_stream_has_its_head_and_value(stream: str) -> None:
    known = VECTORS["heads"][stream]
    head, version = chain_start(stream_key(stream)), 0
    for stored in VECTORS["entries"]:
        entry = decode_entry(stored["entry"].encode())
        if entry.stream == stream:
            version += 1
            assert entry.version == version
            head = chain_next(head, version, bytes.fromhex(stored["leaf"]))
    assert (version, head.hex()) == (known["n"], known["head"])
    assert stream_value(version, head).hex() == known["value"]


def test_a_chain_tells_streams_versions_and_entries_apart() -> None:
    key, other, leaf = bytes([1] * 32), bytes([2] * 32), bytes([3] * 32)
    head = chain_next(chain_start(key), 1, leaf)
    heads = {
        head,
        chain_next(chain_start(other), 1, leaf),
        chain_next(chain_start(key), 2, leaf),
        chain_next(chain_start(key), 1, other),
        chain_next(head, 2, leaf),
        stream_value(1, head),
        stream_value(2, head),
    }
    assert len(heads) == 7
