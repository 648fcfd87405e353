"""Subscribing to a projection: a snapshot, then its tail (design, section 7)."""

from __future__ import annotations

import re
import time
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
from ledger.store.database import connect
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


class Subscription:
    """One subscriber's way through a projection: from `after` on, or, where that is None, from a snapshot on.

    It holds no row back and no transaction open: each page is a read of its own. A row that changes meanwhile moves
    up, so it comes later; superseded states may be missed, the latest never. For one thread; a context manager.
    """

    def __init__(self, ledger: ConsentLedger, projection: Projection, after: int | None = None) -> None:
        self._name = ledger.place.name
        self._projection = projection
        self._ledger = ledger
        self._after = after
        #: The rows that were handed out are those kept from here on; None before the first page.
        self._kept_from: int | None = None
        if after is not None and after > ledger.recorder.head():
            raise Refused(
                f"expected a position that this ledger has reached, found {after}, while the log ends at "
                f"{ledger.recorder.head()}; start over without it: the ledger may have been restored from a backup"
            )
        self._runner = Runner(ledger.url, self._name)
        try:
            self.bring_up_to_date()  # and makes the tables where they are missing
            self._connection = connect(ledger.url, self._name, "consent_service")
        except BaseException:
            self._runner.close()
            raise
        self._connection.isolation_level = IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True

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
        return self._after is None or (row is not None and row[0] > self._after)

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
        with unusable_as_error(self._projection, self._name):
            while (page := self._read()) is None:
                pass
        return page

    def _read(self) -> Page | None:
        """One consistent read; None where a rebuild swapped the tables in the middle of it."""
        with self._connection.transaction():
            position, kept_from = self._standing()
            starts_over = self._starts_over(kept_from)
            after = 0 if starts_over else self._after or 0
            cursor = self._connection.cursor(row_factory=dict_row)
            rows = cursor.execute(self._composed("select_changes"), {"after": after, "limit": PAGE}).fetchall()
            swapped = self._connection.execute(self._composed("select_swapped"), self._tables).fetchone()
            if swapped is None or swapped[0]:
                return None
        complete = len(rows) < PAGE
        self._kept_from = kept_from
        self._after = max(after, position) if complete else int(rows[-1]["position"])
        intent: Intent = "snapshot" if starts_over else "changes" if rows else "nothing"
        return Page(intent, after, rows, self._after, complete)

    def _starts_over(self, kept_from: int) -> bool:
        if self._kept_from is not None:
            return kept_from != self._kept_from
        return self._after is None or self._after < kept_from

    def _reached(self) -> int:
        with unusable_as_error(self._projection, self._name):
            return self._standing()[0]

    def _standing(self) -> tuple[int, int]:
        """Where the tables stand, and from where on what changed is kept; at the beginning where there are none."""
        found = self._connection.execute(self._composed("select_position"), self._tables).fetchone()
        return found or (0, 0)

    @property
    def _tables(self) -> dict[str, str]:
        return {"tables": self._projection.tables}

    def _composed(self, name: str) -> Any:
        return composed(name, self._projection, self._projection.tables)

    def close(self) -> None:
        self._connection.close()
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
