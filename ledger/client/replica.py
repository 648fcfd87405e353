"""May I use this? Answered from memory, as of a moment that is known, or not at all (design, section 7)."""

from __future__ import annotations

import math
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import Self

from msgspec import Struct, structs

from ledger.client.feed import Changes, Feed
from ledger.domain.consent import Quality
from ledger.domain.eligibility import Item, Reason
from ledger.domain.spans import PurposeSpans, Span, Standing, judge_standing
from ledger.errors import InvalidInput, Stale, Unavailable
from ledger.projections.verdict_spans import standing_in

#: How long ago the ledger may have been asked last where the caller does not say: some missed heartbeats.
STALEST_SECONDS = 10.0
#: Between a break and asking the feed again.
RETRY_SECONDS = 1.0
#: How long a thread that is to stop may take: as long as an attempt to connect, and a little.
CLOSE_SECONDS = 15.0
#: Histories that are held once for everybody who has the same; a bound, for long ones are nobody else's.
MOST_SHARED = 50_000


class State(Enum):
    """READY: it answers. STALE: it is behind, or has no snapshot yet, and goes on trying. FAILED: it never will."""

    READY = "ready"
    STALE = "stale"
    FAILED = "failed"


class Answer(Struct, frozen=True, gc=False):
    """A verdict; as a truth value, whether it permits. `position`: all entries up to it were known."""

    reason: Reason
    basis: int | None
    quality: Quality | None
    terms: str | None
    keep_until: datetime | None
    position: int

    @property
    def permitted(self) -> bool:
        return self.reason == "granted"

    def __bool__(self) -> bool:
        return self.reason == "granted"


class _Held(Struct, frozen=True):
    """What is answered from; another one takes its place, so that a reader needs no lock."""

    #: None before the first snapshot, and once it failed.
    standings: dict[str, Standing] | None
    position: int
    #: By the monotonic clock: nothing is missing of what was in the log then.
    as_of: float


class Replica:
    """Everybody's consent in memory, kept up to date by a thread of its own; for any number of asking threads.

    A context manager, or `start` and `close`. Whoever was neither shown nor asked anything is unknown to it, also
    where somebody else reported a use of theirs: refused either way.
    """

    def __init__(self, feed: Feed, stalest: float = STALEST_SECONDS) -> None:
        """`stalest`: how many seconds it may be behind where `may_use` is not told."""
        self._feed = feed
        self._stalest = stalest
        self._held = _Held(None, 0, -math.inf)
        #: A snapshot that is not complete; what is held is answered from until it is.
        self._filling: dict[str, Standing] | None = None
        self._token: str | None = None
        self._shared: dict[tuple[Span, ...], tuple[Span, ...]] = {}
        self._failure: str | None = None
        self._trouble: str | None = None
        self._moved = threading.Condition()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="consent-replica", daemon=True)

    # Asking.

    def may_use(
        self,
        stream: str,
        purpose: str,
        item: Item,
        *,
        run_started: datetime | None = None,
        now: datetime | None = None,
        stalest: float | None = None,
    ) -> Answer:
        """May `item` of the person with this stream key (hex) be used? The verdict that the ledger itself would give.

        `now` is this machine's time unless given, and the run starts then unless told otherwise. `Stale` where it is
        more than `stalest` seconds behind or has no snapshot yet, `Unavailable` where it failed: both mean no.
        """
        held = self._held
        standings = held.standings
        allowed = self._stalest if stalest is None else stalest
        # Written so that a bound which is no number allows nothing.
        if standings is None or not time.monotonic() - held.as_of <= allowed:
            raise self._no_answer(held, allowed)
        if now is None:
            now = datetime.now(UTC)
        reason, span, keep_until = judge_standing(
            standings.get(stream), purpose, item, now if run_started is None else run_started, now
        )
        return Answer(reason, span.basis, span.quality, span.terms, keep_until, held.position)

    @property
    def state(self) -> State:
        if self._failure is not None:
            return State.FAILED
        held = self._held
        is_ready = held.standings is not None and time.monotonic() - held.as_of <= self._stalest
        return State.READY if is_ready else State.STALE

    @property
    def staleness(self) -> float:
        """Seconds since the moment up to which nothing is missing; infinite where there is none."""
        return time.monotonic() - self._held.as_of

    @property
    def position(self) -> int:
        """The position up to which nothing is missing."""
        return self._held.position

    @property
    def trouble(self) -> str | None:
        """Why it failed, or could not ask the last time; one sentence."""
        return self._failure or self._trouble

    def wait_for(self, position: int, timeout: float) -> None:
        """Returns once there is a snapshot that holds all up to `position`; `Stale` after `timeout` seconds."""

        def is_there() -> bool:
            held = self._held
            return self._failure is not None or (held.standings is not None and held.position >= position)

        with self._moved:
            came = self._moved.wait_for(is_there, timeout)
        if self._failure is not None:
            raise self._no_answer(self._held, math.inf)
        if not came:
            raise Stale(
                f"expected the replica at position {position} within {timeout:g} s, found it at "
                f"{self._held.position}{self._because()}; ask again later"
            )

    def _no_answer(self, held: _Held, allowed: float) -> Unavailable:
        if self._failure is not None:
            return Unavailable(f"expected a replica that can answer, found one that failed: {self._failure}")
        if held.standings is None:
            return Stale(f"expected a replica with a snapshot, found none yet{self._because()}; wait for one")
        return Stale(
            f"expected a replica at most {allowed:g} s behind, found it {time.monotonic() - held.as_of:.1f} s behind"
            f"{self._because()}; ask again later, or ask the ledger itself"
        )

    def _because(self) -> str:
        return "" if self._trouble is None else f" ({self._trouble})"

    # Following.

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stops following; what is held goes stale. A thread that waits for a server gone silent is left behind."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def take_in(self, changes: Changes) -> None:
        """The next of the feed's; for one thread, which is the replica's own once it was started."""
        if changes.intent == "snapshot":
            self._filling = {}
        standings = self._held.standings if self._filling is None else self._filling
        if standings is None:
            raise InvalidInput(f"expected a feed to begin with a snapshot, found {changes.intent}")
        for row in changes.rows:
            standings[row["stream"]] = self._with_shared(standing_in(row))
        self._token = changes.token
        self._trouble = None
        if changes.complete:
            with self._moved:
                self._held = _Held(standings, changes.position, changes.as_of)
                self._filling = None
                self._moved.notify_all()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                with closing(self._feed.changes(self._token, self._stopped)) as following:
                    for changes in following:
                        self.take_in(changes)
            except Unavailable as error:
                self._trouble = str(error)
            except Exception as error:
                # Whatever it is, nothing may be answered after it that is not known to be so.
                self._fail(str(error) or type(error).__name__)
                return
            if self._filling is not None:
                # A snapshot is taken whole, or begun again.
                self._filling, self._token = None, None
            self._stopped.wait(RETRY_SECONDS)

    def _fail(self, reason: str) -> None:
        with self._moved:
            self._failure = reason
            self._held = structs.replace(self._held, standings=None, as_of=-math.inf)
            self._filling = None
            self._moved.notify_all()

    def _with_shared(self, standing: Standing) -> Standing:
        """The same, with the spans of whoever has the same: only the times at which they start are each one's own."""
        return structs.replace(standing, purposes=tuple(self._shared_spans(one) for one in standing.purposes))

    def _shared_spans(self, one: PurposeSpans) -> PurposeSpans:
        if any(span.ends is not None for span in one.spans):
            return one
        if len(self._shared) >= MOST_SHARED:
            self._shared.clear()
        return PurposeSpans(sys.intern(one.purpose), one.starts, self._shared.setdefault(one.spans, one.spans))
