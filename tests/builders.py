"""Requests and ledgers' contents for tests above the domain, in as few words as a test needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import psycopg

from ledger.application import ConsentLedger
from ledger.domain.entry import encode_entry, make_entry
from ledger.domain.events import Event
from ledger.domain.names import subject_stream
from ledger.domain.recording import Request
from ledger.domain.terms import Terms, Toggle
from ledger.domain.times import format_time
from ledger.settings import Place
from ledger.store.writer import Append
from tests.domain import given

TERMS = given.SHIPPED


def shown(of: Terms = TERMS, **times: Any) -> Request:
    """The pop-up was shown."""
    return Request(given.shown(of), **times)


def accepted(of: Terms = TERMS, *, to: Toggle = "on", touched: bool = False, **times: Any) -> Request:
    """Accept was clicked, with every toggle at `to`."""
    event = given.accepted(
        of,
        toggles=dict.fromkeys(of.purpose_ids, to),
        touched=tuple(sorted(of.purpose_ids)) if touched else (),
    )
    return Request(event, **times)


def toggled(to: Toggle, **times: Any) -> Request:
    """The toggle was set in the settings."""
    return Request(given.toggled(to), **times)


def grant(ledger: ConsentLedger, *named: str) -> None:
    """Publishes the shipped terms; each of these people is shown them and accepts."""
    ledger.publish(TERMS)
    for name in named:
        ledger.record(name, shown())
        ledger.record(name, accepted())


def stream_of(number: int) -> str:
    """A stream that nobody is linked to."""
    return subject_stream(number.to_bytes(16, "big"))


#: Numbers of streams whose keys begin with the same 16 bits: found by trying, so that all lie in one bucket of the map.
CROWD = (
    *(1981, 48182, 48332, 64899, 72259, 83700, 179052, 190113, 193958, 208734, 225456, 233404, 236213, 245507, 283690),
    *(287387, 300345, 310005, 324850, 498270, 510681, 566681, 594340, 595941, 613969, 645384),
)


def append_to(ledger: ConsentLedger, versions: dict[str, int], streams: Iterable[str]) -> None:
    """One more entry on each of these streams, at whose last versions `versions` is kept."""
    now = now_of(ledger)
    for stream in streams:
        versions[stream] = versions.get(stream, 0) + 1
        ledger.recorder.insert_many([append_of(stream, versions[stream], now, nonce=versions[stream])])


def entry_bytes(stream: str, version: int, recorded: datetime, event: Event | None = None, nonce: int = 0) -> bytes:
    """An entry as stored, for tests below the application."""
    return encode_entry(
        make_entry(
            event or given.shown(),
            stream=stream,
            version=version,
            occurred_at=format_time(recorded),
            recorded_at=format_time(recorded),
            nonce=f"{nonce:032x}",
        )
    )


def append_of(stream: str, version: int, recorded: datetime, count: int = 1, **more: Any) -> Append:
    """`count` entries from `version` on."""
    nonce = more.pop("nonce", 0)
    entries = [entry_bytes(stream, version + number, recorded, nonce=nonce) for number in range(count)]
    return Append(stream, version, entries, **more)


def admin(place: Place) -> psycopg.Connection[Any]:
    """A connection of the owner's, who may everything that the database itself does not refuse."""
    return psycopg.connect(place.url or "", autocommit=True)


def now_of(ledger: ConsentLedger, ahead: float = 0.0) -> datetime:
    """The ledger's clock, asked anew, and some seconds."""
    with ledger._pool.connection() as connection:
        row = connection.execute("SELECT ledger.clock()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment + timedelta(seconds=ahead)


def whole_log(place: Place) -> list[tuple[int, str, int, bytes]]:
    """All rows of the log, as the owner reads them: (position, stream, version, entry)."""
    with admin(place) as connection:
        rows = connection.execute("SELECT position, stream, version, entry FROM ledger.log_entry ORDER BY position")
        return [(position, stream, version, bytes(entry)) for position, stream, version, entry in rows]


def assert_whole(log: list[tuple[int, str, int, bytes]]) -> None:
    """Positions are 1 … n without gaps, each stream's versions 1 … m in their order, and no entry stands twice."""
    assert [position for position, *_ in log] == list(range(1, len(log) + 1))
    versions: dict[str, int] = {}
    for _, stream, version, _ in log:
        versions[stream] = versions.get(stream, 0) + 1
        assert version == versions[stream]
    assert len({entry for *_, entry in log}) == len(log)
