"""The fast way of reading entries says what `decode_entry` says, of whatever bytes."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given as hypothetically
from hypothesis import settings
from hypothesis import strategies as st
from msgspec import UNSET

from ledger.audit.reading import Read, Reader
from ledger.domain.entry import Entry, Imported, canonical, decode_entry, encode_entry, make_entry, topic_of
from ledger.domain.events import Event
from ledger.domain.names import subject_stream
from ledger.errors import InvalidEntry
from tests.domain import given

TIMES = st.sampled_from(
    [f"2025-0{month}-{day}T10:00:0{second}.000000Z" for month in (1, 2, 9) for day in (28, 30) for second in (1, 2)]
)
EVENTS: list[Event] = [
    given.shown(),
    given.shown(plan='a "quoted" plan'),
    given.shown(plan='},"nonce":"'),
    given.accepted(),
    given.toggled("off"),
    given.toggled("on", purpose="nonce"),
    given.used("3", basis=1),
    given.ERASED,
    given.SHIPPED,
]
SOURCES = st.sampled_from(["old system", 'a "quoted" one', "ünïcode", "back\\slash", "x" * 256, "x" * 257, ""])
IMPORTS = st.builds(Imported, at=TIMES, source=SOURCES, recorded_at=st.one_of(st.just(UNSET), TIMES))


@st.composite
def stored(draw: st.DrawFn) -> bytes:
    """Bytes like an entry's, some of which are none: with a day that no calendar has, or a letter changed."""
    entry = {
        "v": 1,
        "event": "",
        "stream": draw(st.sampled_from([subject_stream(bytes(16)), subject_stream(bytes(15) + b"\1"), "terms", "log"])),
        "version": draw(st.sampled_from([1, 2, 9, 10, 2**53 - 1, 2**53, 0])),
        "nonce": draw(st.sampled_from(["0" * 32, "f" * 32, "0" * 31])),
        "occurred_at": draw(TIMES),
        "recorded_at": draw(TIMES),
        "data": draw(st.sampled_from(EVENTS)),
    }
    if draw(st.booleans()):
        entry["imported"] = draw(IMPORTS)
    if draw(st.booleans()):
        entry["evidence"] = draw(st.sampled_from(["e" * 64, "E" * 64]))
    data: Any = entry["data"]
    entry["event"] = topic_of(type(data))
    text = canonical(entry)
    match draw(st.integers(0, 5)):
        case 0:
            place = draw(st.integers(0, len(text) - 1))
            letter = draw(st.sampled_from([*string.printable.encode(), 0xFF]))
            return text[:place] + bytes([letter]) + text[place + 1 :]
        case 1:
            place = draw(st.integers(0, len(text) - 1))
            return text[:place] + b" " + text[place:]
        case _:
            return text


def outcome(read: Any, entry: bytes) -> object:
    try:
        return read(entry)
    except InvalidEntry as error:
        return str(error)


def as_read(entry: bytes) -> Read:
    whole = decode_entry(entry)
    return Read(whole.data, whole.stream, whole.version, whole.occurred_at, whole.recorded_at, whole.imported)


@settings(max_examples=400, deadline=None)
@hypothetically(st.lists(stored(), min_size=1, max_size=12))
def test_it_reads_and_refuses_what_decoding_does(entries: list[bytes]) -> None:
    reader = Reader()
    for entry in entries:
        assert outcome(reader.read, entry) == outcome(as_read, entry)
        assert outcome(reader.entry, entry) == outcome(decode_entry, entry)


def test_what_was_met_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing here would say that the fast way is ever taken."""
    decoded = 0

    def counting(entry: bytes) -> Entry:
        nonlocal decoded
        decoded += 1
        return decode_entry(entry)

    monkeypatch.setattr("ledger.audit.reading.decode_entry", counting)
    reader = Reader()
    mark = Imported(at="2025-09-28T12:00:00.000000Z", source="old system")
    for number in range(1, 51):
        for imported, evidence in ((UNSET, UNSET), (mark, UNSET), (UNSET, "e" * 64), (mark, "e" * 64)):
            made = make_entry(
                given.shown(),
                stream=subject_stream(number.to_bytes(16, "big")),
                version=number,
                occurred_at="2025-09-28T12:00:00.000000Z",
                recorded_at="2025-09-28T12:00:00.000000Z",
                nonce=f"{number:032x}",
                imported=imported,
                evidence=evidence,
            )
            assert reader.entry(encode_entry(made)) == made
    assert decoded == 1


def test_more_first_parts_than_are_remembered_are_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.audit.reading.MOST_SEEN", 3)
    reader = Reader()
    for number in range(20):
        entry = encode_entry(
            make_entry(
                given.shown(plan=f"plan {number % 7}"),
                stream=given.STREAM,
                version=1,
                occurred_at="2025-09-28T12:00:00.000000Z",
                recorded_at="2025-09-28T12:00:00.000000Z",
                nonce=given.NONCE,
            )
        )
        assert reader.read(entry) == as_read(entry)
        assert reader.read(entry) == as_read(entry)
