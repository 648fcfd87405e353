"""Server-sent events are read as the HTML standard says, however the bytes come in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.client.server_sent_events import LARGEST_EVENT, Event, events_of
from ledger.errors import Unavailable

TEXT = (
    b": a comment\n"
    b"event: row\nid: t:1\ndata: {1}\n\n"
    b"data\n\n"
    b"retry: 5\nevent: token\r\ndata: a\r\ndata:b\rdata:  c\r\r"
    b"id: t:2\n\n"
    b"event: lonely\n\n"
    b"data: last\xc3\xa9\n\n"
    b"event: begun\ndata: never ended\n"
)
EVENTS = [
    Event("row", b"{1}", "t:1"),
    Event("message", b"", None),
    Event("token", b"a\nb\n c", None),
    Event("message", b"last\xc3\xa9", None),
]


@given(st.lists(st.integers(0, len(TEXT))))
def test_however_it_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(TEXT)]
    chunks = [TEXT[start:end] for start, end in pairwise(edges)]
    assert list(events_of(chunks)) == EVENTS


def test_what_never_ends_is_given_up() -> None:
    chunk = b"x" * (1 << 20)
    taken = 0

    def endless(prefix: bytes) -> object:
        nonlocal taken
        while True:
            taken += 1
            yield prefix + chunk

    for prefix in (b"data: ", b"\ndata: "):
        taken = 0
        with pytest.raises(Unavailable, match=f"at most {LARGEST_EVENT} bytes"):
            list(events_of(endless(prefix)))  # type: ignore[arg-type]
        assert taken < 20
