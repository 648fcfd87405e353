"""Decoding one after another says what `decode_entry` says of each, also of bytes that are no entry."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st
from msgspec import structs

from ledger.domain import replaying
from ledger.domain.consent import record_of, records_of
from ledger.domain.entry import Entry, canonical, decode_entry, encode_entry
from ledger.domain.replaying import Decoder, Repeated
from ledger.domain.terms import Catalogue
from ledger.errors import InvalidEntry
from tests import builders as b
from tests.domain import given
from tests.domain.histories import HISTORIES, History, histories

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
    stored = entries(1_400)
    repeated = 0
    for alone, found in zip(map(decode_entry, stored), Decoder().decode(stored), strict=True):
        assert (found.stream, found.version, found.event) == (alone.stream, alone.version, alone.event)
        assert (found.occurred, found.recorded, found.data) == (alone.occurred, alone.recorded, alone.data)
        assert (not found.imported) == (not alone.imported)
        repeated += isinstance(found, Repeated)
    assert repeated > 1_000


def test_a_record_of_them_is_the_same() -> None:
    stored, decoder, catalogue = entries(5), Decoder(), given.catalogue(b.TERMS)
    whole: list[Entry] = [decode_entry(one) for one in stored]
    stream = whole[0].stream
    for _ in range(2):
        assert record_of(stream, decoder.decode(stored), catalogue) == record_of(stream, whole, catalogue)


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
    decoder = Decoder()
    stored = b.entry_bytes(b.stream_of(1), 2, NOW)
    list(decoder.decode([stored]))
    assert good in stored
    damaged = stored.replace(good, bad)
    with pytest.raises(InvalidEntry) as alone:
        decode_entry(damaged)
    for others in (0, 1, 3):
        before: list[object] = []
        with pytest.raises(InvalidEntry) as among_others:
            before.extend(decoder.decode([stored] * others + [damaged, stored]))
        assert str(among_others.value) == str(alone.value)
        found = decoder.decode([stored] * others + [damaged, stored])
        assert [next(found).version for _ in range(others)] == [2] * others, "those before it are found"


def test_marks_of_imports_are_looked_at() -> None:
    decoder = Decoder()
    stored = json.loads(b.entry_bytes(b.stream_of(1), 2, NOW))
    list(decoder.decode([canonical(stored)]))
    for mark in ({"at": "now", "source": "a"}, {"at": stored["recorded_at"]}, {}, None, 1):
        with pytest.raises(InvalidEntry):
            list(decoder.decode([canonical(stored | {"imported": mark})]))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "MOST_KINDS", 3)
    decoder = Decoder()
    for stored in entries(200):
        list(decoder.decode([stored]))
        assert max(map(len, (decoder._kinds, decoder._marks))) <= 3


def test_a_line_end_joins_or_parts_no_entries() -> None:
    decoder = Decoder()
    one, two = b.entry_bytes(b.stream_of(1), 2, NOW), b.entry_bytes(b.stream_of(1), 3, NOW)
    list(decoder.decode([one, two]))
    half = one.index(b'"event"')
    for page in ([one + b"\n" + two], [one + b"\n" + two, b""], [one[:half], one[half:]], [one + b"\n", two]):
        with pytest.raises(InvalidEntry):
            list(decoder.decode(page))
    spread = one.replace(b'{"data":', b'{"data":\n')
    for page in ([*spread.split(b"\n"), one + b"\n" + two], [spread, two]):
        with pytest.raises(InvalidEntry):
            list(decoder.decode(page))


@pytest.mark.parametrize(
    "time", ["2025-02-28T24:00:00.000000Z", "2025-02-28T23:59:60.000000Z", "2025-W40-3T10:00:00.0000Z"]
)
def test_a_time_is_one_of_the_calendar(time: str) -> None:
    decoder = Decoder()
    stored = b.entry_bytes(b.stream_of(1), 2, NOW)
    list(decoder.decode([stored]))
    now = json.loads(stored)["occurred_at"].encode()
    with pytest.raises(InvalidEntry):
        list(decoder.decode([stored.replace(now, time.encode())]))


@settings(max_examples=HISTORIES, deadline=None)
@forall(history=histories(), others=st.integers(0, 3))
def test_records_of_many_streams_are_those_of_each_alone(history: History, others: int) -> None:
    """Also of streams that repeat what the first one said, with uses and erasures among it."""
    catalogue = Catalogue(history.published)
    streams = [
        [encode_entry(structs.replace(entry, stream=b.stream_of(number))) for entry in history.entries]
        for number in range(others + 1)
    ]
    found = list(records_of(Decoder().decode([stored for stream in streams for stored in stream]), catalogue))
    assert found == [
        record_of(b.stream_of(number), map(decode_entry, stream), catalogue)
        for number, stream in enumerate(streams)
        if stream
    ]
