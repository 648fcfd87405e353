"""A recorded use, judged twice: as known when it was recorded, and in hindsight (design, section 4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from msgspec import UNSET

from ledger.domain.consent import Consent, consent_of, record_of
from ledger.domain.eligibility import Item, Reason, Verdict, erased_by, holds_at_run, judge_unerased, kinds_not_covered
from ledger.domain.entry import Entry
from ledger.domain.events import DataUsedForTraining, RunStarted
from ledger.domain.retention import keep_until, terms_of
from ledger.domain.terms import Catalogue
from ledger.domain.times import parse_time

#: A run recorded later than this after its start is backdated: more than a busy machine's delay.
BACKDATED = timedelta(seconds=60)
_GAP = "no grant covers all the time its items were collected in"


@dataclass(frozen=True, slots=True)
class JudgedUse:
    """The two verdicts on one use; they differ where a withdrawal arrived after it."""

    use: Entry
    known: Verdict
    hindsight: Verdict


def is_backdated(run: Entry) -> bool:
    """Whether a `run-started` entry was recorded more than a minute after the start it gives."""
    return run.recorded - parse_time(run.data.started_at) > BACKDATED


def judge_use(use: Entry, stream: Iterable[Entry], run: Entry, catalogue: Catalogue) -> JudgedUse:
    """Both verdicts on `use`, an entry of `stream` (the whole one, in order), in the run that `run` started."""
    consents = Consents(stream, catalogue)
    return JudgedUse(
        use=use,
        known=verdict_on(use, consents.known(use), run),
        hindsight=verdict_on(use, consents.hindsight(use), run),
    )


class Consents:
    """One person's consent as known by their uses, and in hindsight; uses that are of one purpose share it."""

    def __init__(self, stream: Iterable[Entry], catalogue: Catalogue) -> None:
        # Uses change no consent.
        self._deciding = [entry for entry in stream if not isinstance(entry.data, DataUsedForTraining)]
        self._catalogue = catalogue
        # As every ledger writes them; what is verified may be none.
        self._in_order = all(
            one.version < other.version and one.recorded <= other.recorded for one, other in pairwise(self._deciding)
        )
        #: How many entries made it, by its purpose and whether they are all. Of those as known the last will do, for
        #: one use after another knows more.
        self._made: dict[tuple[str, bool], tuple[int, Consent]] = {}

    def known(self, use: Entry) -> Consent:
        """By what was known when the use was recorded."""
        if not self._in_order:
            return self._make(use, [entry for entry in self._deciding if was_known(entry, use)])
        return self._of_first(bisect_left(self._deciding, True, key=lambda entry: not was_known(entry, use)), use)

    def hindsight(self, use: Entry) -> Consent:
        """By all entries there are."""
        return self._of_first(len(self._deciding), use)

    def _of_first(self, count: int, use: Entry) -> Consent:
        place = use.data.purpose, count == len(self._deciding)
        made = self._made.get(place)
        if made is None or made[0] != count:
            made = self._made[place] = count, self._make(use, self._deciding[:count])
        return made[1]

    def _make(self, use: Entry, entries: Sequence[Entry]) -> Consent:
        return consent_of(record_of(use.stream, entries, self._catalogue), use.data.purpose)


def was_known(entry: Entry, use: Entry) -> bool:
    """Whether `entry`, of the same stream, was there to be known when `use` was recorded."""
    return entry.version < use.version and (not use.data.attested or entry.recorded <= use.occurred)


def verdict_on(use: Entry, consent: Consent, run: Entry) -> Verdict:
    """One of the verdicts of `judge_use`, by the consent to its purpose that the known, or all, entries make."""
    data: DataUsedForTraining = use.data
    started: RunStarted = run.data
    run_started = parse_time(started.started_at)
    # An erasure after the run began does not undo what it used: it counts up to the later of the two.
    began = max(run_started, run.recorded)
    erased = consent.record.erased
    if erased is not None and erased <= began:
        return erased_by(erased)
    if data.basis is UNSET:
        return _without_basis(consent, data, run_started, began)
    return _judge_basis(consent, data, data.basis, run_started, began)


def _without_basis(
    consent: Consent, data: DataUsedForTraining, run_started: datetime, now: datetime, gap: str = _GAP
) -> Verdict:
    """A use without a grant of its own is as good as the worst item at its two ends.

    `gap` says what is wrong where each end is covered by another grant.
    """
    # Only the gate and `check` refuse items of the future: what is recorded as used was there.
    ends = [parse_time(data.collected_from), parse_time(data.collected_until)]
    now = max(now, ends[1])
    verdicts = [
        judge_unerased(consent, Item(collected, kind, plan=_any_plan(consent, collected)), run_started, now)
        for collected in ends
        for kind in sorted(data.items)
    ]
    verdict = next((verdict for verdict in verdicts if not verdict.permitted), verdicts[0])
    # It may be that no grant starts last for all its items; but one must reach over all of them.
    if verdict.permitted and not any(interval.covers(*ends) for interval in consent.intervals):
        # It was off in between, where items may hide.
        return Verdict("collected-while-off", detail=gap)
    return verdict


def _any_plan(consent: Consent, moment: datetime) -> str | None:
    """No use tells its items' plans: one that the grant covers is supposed, as the gate reported."""
    basis = consent.basis_at(moment)
    return terms_of(consent, basis).plans[0] if basis else None


def _judge_basis(
    consent: Consent, data: DataUsedForTraining, version: int, run_started: datetime, now: datetime
) -> Verdict:
    ends = [parse_time(data.collected_from), parse_time(data.collected_until)]
    basis = consent.interval_of(version)
    if basis is None or any(consent.basis_at(moment) != basis for moment in ends):
        # To name a basis does not make it one: of the grants that cover an item, the one that starts last is asked.
        other = f"version {version} is not the basis of the items"
        verdict = _without_basis(consent, data, run_started, now, gap=other)
        return replace(verdict, detail=other) if verdict.permitted else verdict
    terms = terms_of(consent, basis)
    kept = keep_until(consent, basis, ends[0])
    reason: Reason = "granted"
    detail = None
    if missing := kinds_not_covered(terms, data.purpose, sorted(data.items)):
        reason, detail = "kind-not-covered", ", ".join(missing)
    elif not holds_at_run(terms, basis, ends[1], run_started):
        reason = "withdrawn-before-run"
    elif kept is not None and kept < run_started:
        reason = "retention-expired"
    return Verdict(
        reason=reason,
        basis=version,
        quality=basis.grant.quality,
        terms=basis.grant.terms,
        keep_until=kept,
        detail=detail,
        rests_on=basis.rests_on,
    )
