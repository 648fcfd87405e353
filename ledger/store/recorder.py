"""eventsourcing's recorder over our log: appends by group commit, reads by keyset pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    RecordConflictError,
    StoredEvent,
    Subscription,
)
from psycopg import sql
from psycopg_pool import ConnectionPool

from ledger.domain.names import LARGEST_INTEGER
from ledger.errors import KeyReused
from ledger.store.ahead import read_ahead
from ledger.store.clock import LedgerClock
from ledger.store.database import Connection, unavailable_as_error
from ledger.store.evidence import Evidence
from ledger.store.keys import Key
from ledger.store.statements import statement
from ledger.store.writer import Append, Outcome, Writer

#: A page of the log: large enough that its round trip does not count, small enough to hold.
PAGE = 5_000
#: The same where the page is one value: its bytes, half a megabyte, stay in a processor's cache on both sides.
PAGE_OF_ENTRIES = 1_000
#: How long a follower sleeps when there is nothing new; a notification in every commit would cost appends far more.
FOLLOW_SECONDS = 0.1


#: What is stored of keys: key → (request, position).
KnownKeys = dict[bytes, tuple[bytes, int | None]]


class AlreadyRecorded(Exception):
    """The same request was recorded before; `position` is that of its first entry."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class OutOfTime(Exception):
    """The entry's time is not the ledger's, or it waited too long: decide again at `clock`, and no later."""

    def __init__(self, clock: datetime) -> None:
        super().__init__(clock)
        self.clock = clock


def key_reused() -> KeyReused:
    return KeyReused(
        "expected the same request as was recorded under this key, found another event, subject, data or time; "
        "use a key of its own"
    )


class LogRecorder(ApplicationRecorder):
    """The log, as eventsourcing sees it: an originator is a stream, a notification id a position."""

    def __init__(self, pool: ConnectionPool[Connection], writer: Writer, clock: LedgerClock, name: str) -> None:
        self._pool = pool
        self._writer = writer
        self._clock = clock
        self._name = name

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        keys: Sequence[Key] = (),
        evidence: Sequence[Evidence] = (),
        **kwargs: Any,  # noqa: ARG002 - the interface has it
    ) -> Sequence[int]:
        """Stores entries of one stream together; their positions. `RecordConflictError`: decide again."""
        if not stored_events:
            return []
        first = stored_events[0]
        append = Append(
            stream=str(first.originator_id),
            first_version=first.originator_version,
            entries=[event.state for event in stored_events],
            keys=keys,
            evidence=evidence,
        )
        position = self.position_of(self._writer.append(append))
        return range(position, position + len(stored_events))

    def insert_many(self, appends: Sequence[Append]) -> list[Outcome]:
        """Stores appends of different streams in one transaction; one outcome each, none fails another."""
        outcomes = self._writer.append_all(appends)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome.clock is not None:
                self._clock.read(outcome.clock)
        return [outcome for outcome in outcomes if isinstance(outcome, Outcome)]

    def position_of(self, outcome: Outcome) -> int:
        """Where the first entry lies, if it was stored; else the exception that says why it was not."""
        if outcome.clock is not None:
            self._clock.read(outcome.clock)
        match outcome.name:
            case "conflict":
                raise RecordConflictError
            case "key-reused":
                raise key_reused()
            case "out-of-time":
                raise OutOfTime(outcome.clock or self._clock.now())
            case "repeated":
                raise AlreadyRecorded(outcome.position or 0)
            case "stored":
                return outcome.position or 0

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        rows = self.versions(str(originator_id), gt or 0, _or_end(lte))
        events = [StoredEvent(stream, version, event, entry) for _, stream, version, event, entry in rows]
        return (events[::-1] if desc else events)[:limit]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = (start or 0) - (1 if inclusive_of_start else 0)
        return [
            Notification(stream, version, event, entry, id=position)
            for position, stream, version, event, entry in self.page(after, stop, topics or None, limit)
        ]

    def max_notification_id(self) -> int | None:
        return self.head() or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return LogSubscription(self, gt, topics)

    def head(self) -> int:
        """The highest position; whoever has read up to it has read all up to it."""
        return int(self._rows("select_head", {})[0][0])

    def page(
        self, after: int, until: int | None = None, events: Sequence[str] | None = None, limit: int = PAGE
    ) -> list[tuple[int, str, int, str, bytes]]:
        """The next entries after a position: (position, stream, version, event, stored bytes)."""
        topics = list(events) if events is not None else None
        return self._rows("select_log", {"after": after, "until": _or_end(until), "events": topics, "limit": limit})

    def pages(
        self, after: int = 0, until: int | None = None, events: Sequence[str] | None = None
    ) -> Iterator[tuple[int, str, int, str, bytes]]:
        """The log from `after` on, up to `until`, else to where it ends now; one page in memory."""
        stop = until if until is not None else self.head()
        while rows := self.page(after, stop, events):
            yield from rows
            after = rows[-1][0]

    def streams(self, streams: Sequence[str], until: int | None = None) -> list[tuple[int, str, int, str, bytes]]:
        """All entries of many streams up to a position, each stream whole and in order."""
        return self._rows("select_streams", {"streams": list(streams), "until": _or_end(until)})

    def versions(self, stream: str, after: int, until: int) -> list[tuple[int, str, int, str, bytes]]:
        """One stream's entries after a version, up to another, in order."""
        return self._rows("select_stream", {"stream": stream, "after": after, "until": until})

    def last_version(self, stream: str) -> int:
        """How many entries a stream has."""
        rows = self._rows("select_last_of_stream", {"stream": stream})
        return int(rows[0][0]) if rows else 0

    def streams_and_terms(self, streams: Sequence[str], known_terms: int, until: int) -> list[tuple[int, str, bytes]]:
        """All entries of many streams up to a position, and of the terms those after the first so many.

        Each stream whole and in order: (position, stream, stored bytes).
        """
        parameters = {"streams": list(streams), "known_terms": known_terms, "until": until}
        return self._rows("select_streams_and_terms", parameters)

    def selected(
        self,
        after: int,
        until: int,
        events: Sequence[str] | None = None,
        streams: Sequence[str] | None = None,
        recorded_from: datetime | None = None,
        recorded_until: datetime | None = None,
    ) -> list[tuple[int, bytes]]:
        """The next entries that an export selects, after a position: (position, stored bytes)."""
        return self._rows(
            "select_export",
            {
                "after": after,
                "until": until,
                "events": list(events) if events is not None else None,
                "streams": list(streams) if streams is not None else None,
                "recorded_from": recorded_from,
                "recorded_until": recorded_until,
                "limit": PAGE,
            },
        )

    def by_stream(self, until: int) -> Iterator[tuple[int, str, int, str, bytes]]:
        """The log up to a position, stream by stream in the order of their keys; two pages in memory."""
        for page in read_ahead(self._row_pages(until)):
            yield from page

    def _row_pages(self, until: int) -> Iterator[list[tuple[int, str, int, str, bytes]]]:
        stream, version = "", 0
        while rows := self._rows(
            "select_by_stream", {"stream": stream, "version": version, "until": until, "limit": PAGE}
        ):
            yield rows
            _, stream, version, *_ = rows[-1]

    def entries_by_stream(self, until: int) -> Iterator[list[bytes]]:
        """The entries alone up to a position, stream by stream in the order of their keys; two pages in memory."""
        return read_ahead(self._entry_pages(until))

    def _entry_pages(self, until: int) -> Iterator[list[bytes]]:
        stream, version = "", 0
        while True:
            parameters = {"stream": stream, "version": version, "until": until, "limit": PAGE_OF_ENTRIES}
            [(page, stream, version)] = self._rows("select_entries_by_stream", parameters)
            if page is None:
                return
            yield page

    def copy_streams(self, streams: Sequence[str], until: int) -> Iterator[bytes]:
        """Streams up to a position as CSV, for a bulk engine; nothing of it is held here."""
        query = sql.SQL(statement("copy_streams")).format(streams=list(streams), until=until)
        with (
            unavailable_as_error(self._name),
            self._pool.connection() as connection,
            connection.cursor().copy(query) as copy,
        ):
            for chunk in copy:
                yield bytes(chunk)

    def uses_of_run(self, run: str, after: int) -> Iterator[tuple[int, str, int, str, bytes]]:
        """Every use of a run that started at position `after`, as `page` gives them."""
        while rows := self._rows("select_uses_of_run", {"run": run, "after": after, "limit": PAGE}):
            yield from rows
            after = rows[-1][0]

    def known_keys(self, keys: Sequence[Key]) -> KnownKeys:
        """What is stored of `keys`."""
        rows = self._rows("select_keys", {"keys": [key.key for key in keys]})
        return {bytes(key): (bytes(request), position) for key, request, position in rows}

    def _rows(self, name: str, parameters: dict[str, Any]) -> list[Any]:
        with unavailable_as_error(self._name), self._pool.connection() as connection:
            rows: list[Any] = connection.cursor(binary=True).execute(statement(name), parameters).fetchall()
        return rows


def _or_end(until: int | None) -> int:
    """0 is before the first, and not "no end"."""
    return LARGEST_INTEGER if until is None else until


class LogSubscription(Subscription[LogRecorder]):
    """Follows the log by position: nothing is missed, for positions have no gaps, and nobody is notified."""

    def __init__(self, recorder: LogRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._page: list[Notification] = []
        self._stopped = threading.Event()

    def stop(self) -> None:
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        while not self._page:
            if self._stopped.is_set():
                raise StopIteration
            found = self._recorder.select_notifications(
                self._last_notification_id, PAGE, topics=self._topics, inclusive_of_start=False
            )
            self._page = list(found)[::-1]
            if not self._page:
                self._stopped.wait(FOLLOW_SECONDS)
        following = self._page.pop()
        self._last_notification_id = following.id
        return following
