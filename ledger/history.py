"""The log as it was: one person's history as of some time, and every recorded use under other rules (section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from ledger.application import ConsentLedger
from ledger.domain import consent
from ledger.domain.as_of import History, Placed, as_of_moment, as_of_position
from ledger.domain.consent import Record
from ledger.domain.eligibility import Verdict
from ledger.domain.entry import Entry, decode_entry, topic_of
from ledger.domain.events import DataUsedForTraining
from ledger.domain.names import TERMS_STREAM, is_subject_stream, run_stream
from ledger.domain.replaying import Decoder
from ledger.domain.runs import RunRecord, fold_run
from ledger.domain.terms import Catalogue, Terms
from ledger.domain.times import format_time
from ledger.domain.uses import Consents, verdict_on
from ledger.errors import InvalidInput, Unavailable, UnknownSubject

#: Runs whose start is remembered while many uses are judged; each is a small entry, and a log has few of them.
MOST_RUNS = 1_024

_USE = topic_of(DataUsedForTraining)


@dataclass(frozen=True, slots=True)
class AsOf:
    """How much of the log is looked at: entries recorded by `moment`, or the first `position`, else all there is."""

    moment: datetime | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class ComparedUse:
    """A recorded use judged as known, under the published rules and under others; no verdict without its run."""

    placed: Placed
    published: Verdict | None
    other: Verdict | None

    @property
    def differs(self) -> bool:
        return self.published is not None and self.other is not None and self.published.reason != self.other.reason


def history_of(ledger: ConsentLedger, stream: str, as_of: AsOf) -> History:
    """One person's history; `UnknownSubject` where nothing was recorded about them by then."""
    until = until_of(ledger, as_of)
    rows = _placed(ledger.recorder.streams([stream, TERMS_STREAM], until))
    entries = [placed for placed in rows if placed.entry.stream == stream]
    terms = [placed for placed in rows if placed.entry.stream == TERMS_STREAM]
    moment = _judged_at(ledger, as_of, until)
    if as_of == AsOf():
        # Nothing is recorded ahead of the ledger's clock; ours, read a round trip ago, may lag behind another's append.
        moment = max([moment, *(placed.entry.recorded for placed in entries)])
    history = _history(stream, entries, terms, as_of, until, moment)
    if not entries:
        raise UnknownSubject("expected a person in the ledger, found nothing recorded about them; check the name")
    if not history.entries:
        raise UnknownSubject(
            f"expected something recorded about the person by {format_time(history.moment)}, found their first entry "
            f"recorded {entries[0].entry.recorded_at}; ask as of a later time"
        )
    return history


def until_of(ledger: ConsentLedger, as_of: AsOf) -> int:
    """The last position to look at; `InvalidInput` beyond the log's end."""
    head = ledger.recorder.head()
    if as_of.position is not None and as_of.position > head:
        raise InvalidInput(
            f"expected a position of the log, which ends at {head}, found {as_of.position}; ask for an earlier one"
        )
    return head if as_of.position is None else as_of.position


def _judged_at(ledger: ConsentLedger, as_of: AsOf, until: int) -> datetime:
    if as_of.moment is not None:
        return as_of.moment
    return ledger.clock.now() if as_of.position is None else _recorded_at(ledger, until)


def _history(
    stream: str, entries: Sequence[Placed], terms: Sequence[Placed], as_of: AsOf, until: int, moment: datetime
) -> History:
    taken = as_of_position if as_of.moment is None else as_of_moment
    return taken(stream, entries, terms, until, moment)


def _recorded_at(ledger: ConsentLedger, position: int) -> datetime:
    rows = ledger.recorder.page(position - 1, position)
    if not rows:
        raise Unavailable(f"expected an entry at position {position}, found a gap in the log; run `consent doctor`")
    return decode_entry(bytes(rows[0][4])).recorded


def log_of(ledger: ConsentLedger, as_of: AsOf) -> Iterator[Placed]:
    """The whole log in the order of its positions, one page in memory."""
    for position, _, _, _, stored in ledger.recorder.pages(0, until_of(ledger, as_of)):
        placed = Placed(position, decode_entry(bytes(stored)))
        if as_of.moment is None or placed.entry.recorded <= as_of.moment:
            yield placed


def records_of(ledger: ConsentLedger, position: int | None = None) -> Iterator[Record]:
    """What each subject's stream says as of a position, in the order of the keys, under the terms published by then.

    In memory are two pages and one record.
    """
    until = until_of(ledger, AsOf(position=position))
    terms = _placed(ledger.recorder.streams([TERMS_STREAM], until))
    catalogue = Catalogue(placed.entry.data for placed in terms)
    pages = ledger.recorder.entries_by_stream(until)
    entries = chain.from_iterable(map(Decoder().decode, pages))
    return (record for record in consent.records_of(entries, catalogue) if is_subject_stream(record.stream))


def compare_uses(
    ledger: ConsentLedger, rules: Terms, stream: str | None, as_of: AsOf, watch: Callable[[int], None]
) -> Iterator[ComparedUse]:
    """Every recorded use of one person, or of all in key order, under the published rules and under `rules`.

    `watch` is told how many entries were read. In memory are a page, and the stream whose uses are judged.
    """
    until = until_of(ledger, as_of)
    moment = _judged_at(ledger, as_of, until)
    terms = _placed(ledger.recorder.streams([TERMS_STREAM], until))

    @lru_cache(maxsize=MOST_RUNS)
    def started(run: str) -> Entry | None:
        name = run_stream(run)
        known = _history(name, _placed(ledger.recorder.streams([name], until)), (), as_of, until, moment)
        return fold_run((placed.entry for placed in known.entries), RunRecord(stream=name)).started

    rows = ledger.recorder.streams([stream], until) if stream is not None else ledger.recorder.by_stream(until)
    for name, group in groupby(rows, key=itemgetter(1)):
        stored = list(group)
        watch(len(stored))
        if any(event == _USE for _, _, _, event, _ in stored):
            yield from _compare(_history(name, _placed(stored), terms, as_of, until, moment), rules, started)


def _compare(history: History, rules: Terms, started: Callable[[str], Entry | None]) -> Iterator[ComparedUse]:
    published = history.catalogue
    stream = [placed.entry for placed in history.entries]
    either = [Consents(stream, catalogue) for catalogue in (published, published.with_rules_of(rules))]
    for placed in history.entries:
        if placed.entry.event != _USE:
            continue
        run = started(placed.entry.data.run)
        if run is None:
            yield ComparedUse(placed, None, None)
            continue
        known, other = (verdict_on(placed.entry, consents.known(placed.entry), run) for consents in either)
        yield ComparedUse(placed, known, other)


def _placed(rows: Sequence[tuple[int, Any, Any, Any, bytes]]) -> list[Placed]:
    return [Placed(position, decode_entry(bytes(stored))) for position, _, _, _, stored in rows]
