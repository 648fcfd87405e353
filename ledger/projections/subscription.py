"""Subscribing to a projection: a snapshot, then its tail (design, section 7)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from psycopg import IsolationLevel
from psycopg.rows import dict_row

from ledger.application import ConsentLedger
from ledger.errors import InvalidInput, Refused, Unavailable
from ledger.projections.projection import Projection
from ledger.projections.runner import Runner
from ledger.projections.tables import PAGE, composed, unusable_as_error
from ledger.store.database import Connection, connect
from ledger.store.recorder import FOLLOW_SECONDS
from ledger.store.statements import statement

_TOKEN = re.compile(r"\A(?:(?P<ledger>[0-9a-f]{32}):)?(?P<position>0|[1-9][0-9]{0,15})\Z")

#: `snapshot`: forget all rows; whatever stands comes from here on. `changes`: rows follow, each over the one of the
#: same key. `nothing`: nothing changed.
Intent = Literal["nothing", "changes", "snapshot"]


def token_of(ledger_id: bytes, position: int) -> str:
    """A position that names its ledger; inverse of `parse_token`."""
    return f"{ledger_id.hex()}:{position}"


def parse_token(text: str, ledger_id: bytes) -> int:
    """The position of a token of this ledger, or a bare position; `Refused` where it is another ledger's."""
    found = _TOKEN.match(text)
    if not found:
        raise InvalidInput(f"expected a token like {token_of(ledger_id, 1)}, or a position, found {text[:80]!r}")
    if found["ledger"] not in (None, ledger_id.hex()):
        raise Refused(
            f"expected a token of this ledger, {ledger_id.hex()}, found one of {found['ledger']}; "
            "start over without it: positions of one ledger say nothing of another"
        )
    return int(found["position"])


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of their positions. Whoever took them in has every row up to `position` as it is there."""

    intent: Intent
    #: Where the subscriber stood before.
    after: int
    rows: list[dict[str, Any]]
    position: int
    #: Whether there was no more when it was read; else ask for the next page at once.
    complete: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a subscriber stands; without a position, before a snapshot."""

    after: int | None = None
    #: The rows that it has are those kept from here on; None before the first page.
    kept_from: int | None = None

    def starts_over(self, kept_from: int) -> bool:
        """Whether tables that are kept from there on have it read a snapshot."""
        if self.kept_from is not None:
            return kept_from != self.kept_from
        return self.after is None or self.after < kept_from


class Reader:
    """Reads a projection's pages over a connection that somebody else keeps; each is a consistent read of its own."""

    def __init__(self, connection: Connection, projection: Projection, name: str) -> None:
        self._connection = connection
        self._projection = projection
        self._name = name

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """A transaction that sees one moment, and writes nothing."""
        connection = self._connection
        connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
        try:
            with unusable_as_error(self._projection, self._name), connection.transaction():
                yield
        finally:
            if not connection.closed:
                connection.isolation_level = connection.read_only = None

    def standing(self) -> tuple[int, int]:
        """Where the tables stand, and from where on what changed is kept; at the beginning where there are none."""
        with unusable_as_error(self._projection, self._name):
            found = self._connection.execute(self._composed("select_position"), self._tables).fetchone()
        return found or (0, 0)

    def page(self, standing: Standing, limit: int) -> tuple[Page, Standing]:
        """What comes next, and where the subscriber stands after it."""
        while (read := self._read(standing, limit)) is None:
            pass
        return read

    def _read(self, standing: Standing, limit: int) -> tuple[Page, Standing] | None:
        """None where a rebuild swapped the tables in the middle of it."""
        with self._reading():
            position, kept_from = self.standing()
            starts_over = standing.starts_over(kept_from)
            after = 0 if starts_over else standing.after or 0
            cursor = self._connection.cursor(row_factory=dict_row)
            rows = cursor.execute(self._composed("select_changes"), {"after": after, "limit": limit}).fetchall()
            swapped = self._connection.execute(self._composed("select_swapped"), self._tables).fetchone()
            if swapped is None or swapped[0]:
                return None
        complete = len(rows) < limit
        reached = max(after, position) if complete else int(rows[-1]["position"])
        intent: Intent = "snapshot" if starts_over else "changes" if rows else "nothing"
        return Page(intent, after, rows, reached, complete), Standing(reached, kept_from)

    @property
    def _tables(self) -> dict[str, str]:
        return {"tables": self._projection.tables}

    def _composed(self, name: str) -> Any:
        return composed(name, self._projection, self._projection.tables)


def demand_reached(ledger: ConsentLedger, position: int) -> None:
    """`Refused` where the log has not come to a subscriber's position."""
    if position > (head := ledger.recorder.head()):
        raise Refused(
            f"expected a position that this ledger has reached, found {position}, while the log ends at {head}; "
            "start over without it: the ledger may have been restored from a backup"
        )


class Subscription:
    """One subscriber's way through a projection: from `after` on, or, where that is None, from a snapshot on.

    It holds no row back and no transaction open: each page is a read of its own. A row that changes meanwhile moves
    up, so it comes later; superseded states may be missed, the latest never. For one thread; a context manager.
    """

    def __init__(self, ledger: ConsentLedger, projection: Projection, after: int | None = None) -> None:
        self._name = ledger.place.name
        self._projection = projection
        self._ledger = ledger
        self._standing = Standing(after)
        if after is not None:
            demand_reached(ledger, after)
        self._runner = Runner(ledger.url, self._name)
        try:
            self.bring_up_to_date()  # and makes the tables where they are missing
            self._connection = connect(ledger.url, self._name, "consent_service")
        except BaseException:
            self._runner.close()
            raise
        self._reader = Reader(self._connection, projection, self._name)

    def token(self, position: int) -> str:
        """A position of a page, to be kept and given as `after` another time."""
        return token_of(self._ledger.identity.id, position)

    def bring_up_to_date(self) -> bool:
        """Applies one batch of the log to the projection; False once it was up to date for a moment."""
        return self._runner.advance(self._projection) == self._runner.batch

    def has_fallen_behind(self) -> bool:
        """Whether the log went on since the last page; asked over the subscription's own connection, so that a server
        which went away, and may come back as another, is noticed at once."""
        with unusable_as_error(self._projection, self._name):
            row = self._connection.execute(statement("select_head")).fetchone()
        after = self._standing.after
        return after is None or (row is not None and row[0] > after)

    def wait_for(self, position: int, timeout: float) -> None:
        """Returns once the projection is at least as fresh as `position`; `Unavailable` after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (reached := self._reached()) < position:
            if self.bring_up_to_date() or self._reached() >= position:
                continue
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"expected {self._projection.name} at position {position} within {timeout:g} s, "
                    f"found it at {reached}; ask again later"
                )
            time.sleep(FOLLOW_SECONDS)

    def next_page(self) -> Page:
        """What comes next; the position moves on with it."""
        page, self._standing = self._reader.page(self._standing, PAGE)
        return page

    def skip(self) -> Standing:
        """Goes on from where the tables stand now, for subscribers who read what is before that by themselves."""
        self._standing = Standing(*self._reader.standing())
        return self._standing

    def _reached(self) -> int:
        return self._reader.standing()[0]

    def close(self) -> None:
        self._connection.close()
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
