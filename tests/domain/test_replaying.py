"""Decoding one after another says what `decode_entry` says of each, also of bytes that are no entry."""

from __future__ import annotations

import json
import random

import pytest

from ledger.domain import replaying
from ledger.domain.consent import record_of
from ledger.domain.entry import Entry, canonical, decode_entry
from ledger.domain.replaying import Decoder, Repeated
from ledger.errors import InvalidEntry
from tests import builders as b
from tests.domain import given

NOW = given.at("2025-10-01T10:00:00Z")


def entries(count: int) -> list[bytes]:
    """Entries of some streams, most with data that others have too, some imported."""
    chance = random.Random(count)
    found = []
    for number in range(count):
        stored = json.loads(b.entry_bytes(b.stream_of(number // 5), number % 5 + 1, NOW, nonce=number))
        if chance.random() < 0.5:
            stored["imported"] = {"at": stored["recorded_at"], "source": chance.choice(["a", "b"])}
        if chance.random() < 0.1:
            stored["data"]["surface"] = f"surface {number}"
        if chance.random() < 0.05:
            stored["evidence"] = "0" * 64
        found.append(canonical(stored))
    return found


def test_each_entry_is_what_it_is_alone() -> None:
    decode = Decoder().decode
    repeated = 0
    for stored in entries(400):
        alone, found = decode_entry(stored), decode(stored)
        assert (found.stream, found.version, found.event) == (alone.stream, alone.version, alone.event)
        assert (found.occurred, found.recorded, found.data) == (alone.occurred, alone.recorded, alone.data)
        assert (not found.imported) == (not alone.imported)
        repeated += isinstance(found, Repeated)
    assert repeated > 250


def test_a_record_of_them_is_the_same() -> None:
    stored, decode, catalogue = entries(5), Decoder().decode, given.catalogue(b.TERMS)
    whole: list[Entry] = [decode_entry(one) for one in stored]
    stream = whole[0].stream
    for _ in range(2):
        assert record_of(stream, map(decode, stored), catalogue) == record_of(stream, whole, catalogue)


DAMAGED = [
    (b'"v":1', b'"v":2'),
    (b'"version":2', b'"version":0'),
    (b'"version":2', b'"version":02'),
    (b'"version":2', b'"version":2 '),
    (b'"nonce":"0', b'"nonce":"G'),
    (b'"nonce":"0', b'"nonce":"'),
    (b"2025-10-01", b"2025-02-30"),
    (b"2025-10-01", b"1969-10-01"),
    (b"10:00:00.000000Z", b"10:00:00.00000Z"),
    (b'"occurred_at"', b'"happened_at"'),
    (b'"event":"terms-shown"', b'"event":"accepted"'),
    (b'"event":"terms-shown"', b'"event":"unknown"'),
    (b'"stream":"', b'"stream":"run/'),
    (b'{"data":{', b'{"data":{"x":1,'),
    (b'{"data":', b'{"evidence":"0","data":'),
    (b'{"data":', b'{ "data":'),
    (b',"version"', b',"version":1,"version"'),
    (b'"surface":"', b'"surface":"\\u0041'),
    (b"}", b"}}"),
    (b"terms-shown", b"terms-\xff"),
]


@pytest.mark.parametrize(("good", "bad"), DAMAGED)
def test_what_is_no_entry_is_none_after_others_like_it(good: bytes, bad: bytes) -> None:
    decode = Decoder().decode
    stored = b.entry_bytes(b.stream_of(1), 2, NOW)
    for _ in range(2):
        decode(stored)
    assert good in stored
    damaged = stored.replace(good, bad)
    with pytest.raises(InvalidEntry) as alone:
        decode_entry(damaged)
    with pytest.raises(InvalidEntry) as among_others:
        decode(damaged)
    assert str(among_others.value) == str(alone.value)


def test_marks_of_imports_are_looked_at() -> None:
    decode = Decoder().decode
    stored = json.loads(b.entry_bytes(b.stream_of(1), 2, NOW))
    decode(canonical(stored))
    for mark in ({"at": "now", "source": "a"}, {"at": stored["recorded_at"]}, {}, None, 1):
        with pytest.raises(InvalidEntry):
            decode(canonical(stored | {"imported": mark}))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "MOST_KINDS", 3)
    decoder = Decoder()
    for stored in entries(200):
        decoder.decode(stored)
        assert max(map(len, (decoder._kinds, decoder._marks, decoder._days))) <= 5
