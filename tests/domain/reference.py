"""Section 4 of the design once more, by brute force: written from its words alone, and as slow as they read.

It shares nothing with `ledger.domain` but the shapes of entries, terms and items: it derives no intervals, sorts
nothing ahead and keeps nothing between two questions. The laws hold the domain code against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.domain.eligibility import Item
from ledger.domain.entry import Entry
from ledger.domain.events import Accepted, DataUsedForTraining, SubjectErased, TermsShown, ToggleChanged
from ledger.domain.terms import Terms

FIVE_SECONDS = timedelta(seconds=5)


@dataclass(frozen=True)
class Answer:
    """What the reference says of an item: the fields of a verdict that section 4 defines."""

    reason: str
    basis: int | None = None
    quality: str | None = None
    terms: str | None = None
    keep_until: datetime | None = None


@dataclass(frozen=True)
class Said:
    """One decision on one purpose, as its entry says it."""

    version: int
    occurred: datetime
    recorded: datetime
    on: bool
    operated: bool
    at_accept: bool
    by_person: bool
    shown_before: bool
    terms: Terms | None

    @property
    def grant_start(self) -> datetime:
        return max(self.occurred, self.recorded - FIVE_SECONDS)

    @property
    def withdrawal_start(self) -> datetime:
        return min(self.occurred, self.recorded)

    @property
    def denied_default(self) -> bool:
        """No grant by one of the two last rules: its own terms were not shown, or an untouched On is refused."""
        if not self.at_accept:
            return False
        untouched_refused = not self.operated and self.terms is not None and self.terms.untouched_default == "refused"
        return not self.shown_before or untouched_refused


def decisions(entries: Sequence[Entry], published: Mapping[str, Terms], purpose: str) -> list[Said]:
    said = []
    for entry in entries:
        earlier = [other for other in entries if other.version < entry.version]
        match entry.data:
            case Accepted(terms=version, toggles=toggles, touched=touched) if purpose in toggles:
                said.append(
                    Said(
                        version=entry.version,
                        occurred=entry.occurred,
                        recorded=entry.recorded,
                        on=toggles[purpose] == "on",
                        operated=purpose in touched,
                        at_accept=True,
                        by_person=True,
                        shown_before=any(
                            isinstance(other.data, TermsShown) and other.data.terms == version for other in earlier
                        ),
                        terms=published[version],
                    )
                )
            case ToggleChanged(purpose=changed, to=to, cause=cause) if changed == purpose:
                accepted = [other.data.terms for other in earlier if isinstance(other.data, Accepted)]
                said.append(
                    Said(
                        version=entry.version,
                        occurred=entry.occurred,
                        recorded=entry.recorded,
                        on=to == "on",
                        operated=True,
                        at_accept=False,
                        by_person=cause == "person",
                        shown_before=True,
                        terms=published[accepted[-1]] if accepted else None,
                    )
                )
            case _:
                pass
    return said


def beats(grant: Said, withdrawal: Said) -> bool:
    recorded_after = grant.recorded > withdrawal.recorded or (
        grant.recorded == withdrawal.recorded and grant.version > withdrawal.version
    )
    return grant.occurred > withdrawal.occurred and recorded_after and (grant.operated or not withdrawal.operated)


def covers(grant: Said, withdrawals: Sequence[Said], c: datetime, until: datetime) -> bool:
    if grant.grant_start > c:
        return False
    return not any(withdrawal.withdrawal_start <= until and not beats(grant, withdrawal) for withdrawal in withdrawals)


def judge(
    entries: Sequence[Entry],
    published: Mapping[str, Terms],
    purpose: str,
    item: Item,
    run_started: datetime,
    now: datetime,
    *,
    erased_counts_until: datetime | None = None,
) -> Answer:
    """The verdict on one item; an erasure counts always, or, for a stored use, until the moment that is given."""
    c, s = item.collected, run_started
    if not entries:
        return Answer("unknown-subject")
    for entry in entries:
        if isinstance(entry.data, SubjectErased) and (
            erased_counts_until is None or entry.recorded <= erased_counts_until
        ):
            return Answer("erased")

    said = decisions(entries, published, purpose)
    withdrawals = [one for one in said if not one.on]
    grants = [one for one in said if one.on and one.by_person and not one.denied_default]
    denied = [one for one in said if one.on and one.by_person and one.denied_default]

    basis: Said | None = None
    for grant in grants:
        if covers(grant, withdrawals, c, c) and (
            basis is None
            or grant.grant_start > basis.grant_start
            or (grant.grant_start == basis.grant_start and grant.version > basis.version)
        ):
            basis = grant
    rules = None if basis is None else basis.terms
    keep_until = _keep_until(entries, published, withdrawals, basis, c)

    def answer(reason: str) -> Answer:
        if basis is None or rules is None:
            return Answer(reason, keep_until=keep_until)
        quality = "explicit" if basis.operated else "default-untouched"
        return Answer(reason, basis.version, quality, rules.version, keep_until)

    if item.exclude:
        return answer("item-excluded")
    if c > now + FIVE_SECONDS:
        return answer("collected-in-future")
    if not said:
        shown = any(isinstance(entry.data, TermsShown) for entry in entries)
        return answer("no-decision" if shown else "no-terms-shown")
    if basis is None:
        if any(covers(one, withdrawals, c, c) for one in denied):
            return answer("default-not-accepted")
        if any(grant.grant_start <= c for grant in grants):
            return answer("collected-while-off")
        if any(one.at_accept and one.withdrawal_start <= c for one in withdrawals):
            return answer("refused-at-accept")
        if any(one.withdrawal_start <= c for one in withdrawals):
            return answer("collected-while-off")
        return answer("collected-before-grant")

    assert rules is not None, "an On needs an Accepted before it, so a basis has terms"
    if _plan_of(entries, item) not in rules.plans:
        return answer("plan-not-covered")
    if not any(one.id == purpose and item.kind in one.data for one in rules.purposes):
        return answer("kind-not-covered")
    if rules.withdrawal == "future-runs" and not covers(basis, withdrawals, c, max(c, s)):
        return answer("withdrawn-before-run")
    if keep_until is not None and keep_until < s:
        return answer("retention-expired")
    return answer("granted")


def known_before(entries: Sequence[Entry], use: Entry) -> list[Entry]:
    """What a use is judged on as known: the entries before it, for an attested one those recorded by its time."""
    data: DataUsedForTraining = use.data
    return [
        entry
        for entry in entries
        if entry.version < use.version and (not data.attested or entry.recorded <= use.occurred)
    ]


def _plan_of(entries: Sequence[Entry], item: Item) -> str | None:
    if item.plan is not None:
        return item.plan
    plan, at = None, None
    for entry in entries:
        carried = entry.data.plan if isinstance(entry.data, TermsShown | Accepted | ToggleChanged) else None
        if isinstance(carried, str) and entry.recorded <= item.collected and (at is None or entry.recorded >= at):
            plan, at = carried, entry.recorded
    return plan


def _keep_until(
    entries: Sequence[Entry],
    published: Mapping[str, Terms],
    withdrawals: Sequence[Said],
    basis: Said | None,
    c: datetime,
) -> datetime | None:
    if basis is None or basis.terms is None:
        accepted = [entry.data.terms for entry in entries if isinstance(entry.data, Accepted)]
        shown = [entry.data.terms for entry in entries if isinstance(entry.data, TermsShown)]
        versions = accepted or shown
        return add(c, published[versions[-1]].retention.when_off) if versions else None
    until = add(c, basis.terms.retention.when_on)
    if basis.terms.withdrawal == "future-runs":
        after = [one.withdrawal_start for one in withdrawals if one.withdrawal_start > c and not beats(basis, one)]
        if after:
            until = min(until, add(min(after), basis.terms.retention.when_off))
    return until


def add(moment: datetime, duration: str) -> datetime:
    """`moment` and a duration, a step at a time; a day that the month lacks becomes its last."""
    count, unit = int(duration[1:-1]), duration[-1]
    if unit == "D":
        return moment + timedelta(days=count)
    if unit == "W":
        return moment + timedelta(days=7 * count)
    year, month = moment.year, moment.month
    for _ in range(count * (12 if unit == "Y" else 1)):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    day = moment.day
    while True:
        try:
            return moment.replace(year=year, month=month, day=day)
        except ValueError:
            day -= 1
