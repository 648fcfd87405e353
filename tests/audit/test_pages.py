"""What is read a page at a time is what `decode_entry` says, of whatever bytes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given as hypothetically
from hypothesis import settings
from hypothesis import strategies as st
from msgspec import UNSET

from ledger.audit.pages import Pages, entry_of
from ledger.audit.reading import Reader
from ledger.domain.entry import Entry, Imported, decode_entry, encode_entry, make_entry
from ledger.domain.names import stream_key, subject_stream
from ledger.errors import InvalidEntry
from tests.audit.test_reading import stored
from tests.domain import given

DAY = "2025-09-28"


def an_entry(number: int, *, at: str = f"{DAY}T12:00:00.000000Z", **more: object) -> bytes:
    """Somebody was shown the terms, or what is said else."""
    parts: dict[str, object] = {
        "event": given.shown(),
        "stream": subject_stream(number.to_bytes(16, "big")),
        "version": number,
        "occurred_at": at,
        "recorded_at": at,
        "nonce": f"{number:032x}",
    }
    event = more.pop("event", parts.pop("event"))
    return encode_entry(make_entry(event, **(parts | more)))  # type: ignore[arg-type]


def read(pages: Pages, entries: Sequence[bytes]) -> list[bool]:
    """Which of a page are known, once it is held that these are entries, and such ones; the others are met."""
    columns = pages.read(entries)
    rows = zip(entries, *columns, strict=True)
    for entry, kind, nonce, occurred, recorded, key, version in rows:
        if kind is None:
            continue
        whole = decode_entry(entry)
        assert (kind.data, kind.imported, whole.evidence) == (whole.data, whole.imported, UNSET)
        assert (nonce.decode(), key, version) == (whole.nonce, stream_key(whole.stream), whole.version)
        assert (occurred.decode(), recorded.decode()) == (whole.occurred_at, whole.recorded_at)
        assert entry_of(kind, nonce, occurred, recorded, key, version) == entry
        if whole.imported is not UNSET:
            assert (kind.at.decode(), kind.moved) == (whole.imported.at, whole.imported.recorded_at is not UNSET)
    for entry, kind in zip(entries, columns.kinds, strict=True):
        if kind is None and entry_or_none(entry) is not None:
            pages.meet(entry, Reader().read(entry))
    return [kind is not None for kind in columns.kinds]


def entry_or_none(entry: bytes) -> Entry | None:
    try:
        return decode_entry(entry)
    except InvalidEntry:
        return None


@settings(max_examples=300, deadline=None)
@hypothetically(st.lists(st.lists(stored(), min_size=1, max_size=5), min_size=1, max_size=8))
def test_what_is_known_is_an_entry_and_as_it_is_decoded(entries: list[list[bytes]]) -> None:
    pages = Pages(1)
    for page in entries:
        # Twice met, a beginning is known.
        for _ in range(3):
            read(pages, page)


MARKS = [UNSET, Imported(at=f"{DAY}T13:00:00.000000Z", source="old system")]


@pytest.mark.parametrize("imported", MARKS)
def test_what_begins_as_two_before_is_known(imported: object) -> None:
    pages = Pages(1)
    assert read(pages, [an_entry(number, imported=imported) for number in (1, 2)]) == [False, False]
    later = [
        an_entry(number, imported=imported, at=f"2025-10-0{number % 9 + 1}T23:59:59.999999Z") for number in (1, 99)
    ]
    assert read(pages, [later[0], an_entry(3, event=given.ERASED), later[1]]) == [True, False, True]
    assert [number for number, _ in pages.new] == [1]
    assert pages.next_number == 2


def test_evidence_and_uses_are_read_by_themselves() -> None:
    pages = Pages(1)
    for _ in range(4):
        assert read(pages, [an_entry(1, evidence="e" * 64), an_entry(2, event=given.used("3", basis=1))]) == [False] * 2


WRONG = {
    "another name": (b'"nonce"', b'"nonCe"'),
    "capital digits": (b"0001", b"000A"),
    "no digit": (b"0001", b"000g"),
    "a space": (b"0001", b"00 1"),
    "no hour": (b"T12:", b"T24:"),
    "no second": (b":00.000000Z", b":60.000000Z"),
    "no day": (b"2025-09-28T", b"2025-02-30T"),
    "before all times": (b"2025-09-28T", b"1969-09-28T"),
    "version 0": (b'"version":1}', b'"version":0}'),
    "a leading zero": (b'"version":1}', b'"version":01}'),
    "no end": (b'"version":1}', b'"version":1'),
    "more than an end": (b'"version":1}', b'"version":1}}'),
    "another format": (b'"v":1,', b'"v":2,'),
    "two line ends": (b"0001", b"0\n\n1"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_wrong_behind_a_known_beginning_is_not_known(wrong: tuple[bytes, bytes]) -> None:
    pages = Pages(1)
    read(pages, [an_entry(1), an_entry(2)])
    entry = an_entry(1)
    changed = entry[: entry.index(b',"nonce"')] + entry[entry.index(b',"nonce"') :].replace(*wrong)
    assert changed != entry
    assert entry_or_none(changed) is None
    assert not read(pages, [an_entry(3), changed])[1]
    # Of its page others may be read by themselves, and those of the next are known.
    assert read(pages, [an_entry(3), entry]) == [True, True]


def test_more_than_is_remembered_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.audit.pages.MOST_SEEN", 3)
    pages = Pages(1)
    for number in range(1, 40):
        at = f"20{number + 10}-01-01T00:00:00.000000Z"
        page = [an_entry(number, event=given.shown(plan=f"plan {number % 7}"), at=at)]
        for _ in range(3):
            read(pages, page)
        assert read(pages, page) == [True]
