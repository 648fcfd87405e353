"""Every use of one person's data judged again, from the entries that a bundle proves alone (FORMATS.md section 8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from msgspec import UNSET

from ledger.domain.as_of import Placed
from ledger.domain.consent import Consent, GrantedInterval
from ledger.domain.eligibility import Verdict, holds_at_run
from ledger.domain.entry import Entry, Imported
from ledger.domain.events import Accepted, DataUsedForTraining, RunStarted, TermsShown
from ledger.domain.retention import terms_of
from ledger.domain.terms import Catalogue
from ledger.domain.times import parse_time
from ledger.domain.uses import Consents, JudgedUse, is_backdated, verdict_on
from ledger.errors import NotVerified

#: What an audit reports apart (design, section 4, "As known, and in hindsight").
Kind = Literal["violation-known", "violation-in-hindsight"]


@dataclass(frozen=True, slots=True)
class Violation:
    """Why a use lies outside what was allowed: already when it was recorded, or only by what arrived after it."""

    kind: Kind
    why: str


@dataclass(frozen=True, slots=True)
class UseJudged:
    """One use with its two verdicts; without a run that came before it there is none to give."""

    placed: Placed
    judged: JudgedUse | None
    violations: tuple[Violation, ...]
    #: The run's start, where the log has it before the use.
    run: Entry | None
    #: Where the grant came from that the use rests on, if not from the person: such a use is never called proven.
    imported: Imported | None

    @property
    def data(self) -> DataUsedForTraining:
        data: DataUsedForTraining = self.placed.entry.data
        return data

    @property
    def backdated(self) -> bool:
        """Whether the run was recorded more than a minute after the start it gives."""
        return self.run is not None and is_backdated(self.run)


def catalogue_of(terms: Sequence[Placed]) -> Catalogue:
    """The published terms; `NotVerified` where a version was published twice, with which rules could be exchanged."""
    published: dict[str, int] = {}
    for placed in terms:
        before = published.setdefault(placed.entry.data.version, placed.position)
        if before != placed.position:
            raise NotVerified(
                f"expected each version of the terms published once, found {placed.entry.data.version} at the "
                f"positions {before} and {placed.position}"
            )
    return Catalogue(placed.entry.data for placed in terms)


def demand_published(history: Iterable[Placed], terms: Sequence[Placed]) -> None:
    """`NotVerified` unless all terms that a history was shown or accepted were published before it did, by position."""
    published = {placed.entry.data.version: placed.position for placed in terms}
    for placed in history:
        if not isinstance(placed.entry.data, TermsShown | Accepted):
            continue
        version = placed.entry.data.terms
        if published.get(version, placed.position) >= placed.position:
            raise NotVerified(
                f"expected terms {version} published before {placed.entry.event} at position {placed.position} "
                "names them, found that they were not"
            )


def judge_uses(
    history: Sequence[Placed], runs: Mapping[str, Sequence[Placed]], catalogue: Catalogue
) -> list[UseJudged]:
    """Every use of a complete history, judged with the terms and the streams of the runs (by their ids) it names."""
    consents = Consents((placed.entry for placed in history), catalogue)
    marks = _marks(history)
    return [
        _judge(placed, runs.get(placed.entry.data.run, ()), consents, marks)
        for placed in history
        if isinstance(placed.entry.data, DataUsedForTraining)
    ]


def _marks(history: Sequence[Placed]) -> dict[int | None, Imported]:
    """Of what was imported, the mark by its version."""
    # Backwards: of two entries of one version, which no ledger writes, the first counts.
    deciding = {
        placed.entry.version: placed.entry.imported
        for placed in reversed(history)
        if not isinstance(placed.entry.data, DataUsedForTraining)
    }
    return {version: mark for version, mark in deciding.items() if mark is not UNSET}


def _judge(
    placed: Placed, run: Sequence[Placed], consents: Consents, marks: Mapping[int | None, Imported]
) -> UseJudged:
    use: DataUsedForTraining = placed.entry.data
    started = next(
        (one.entry for one in run if one.position < placed.position and isinstance(one.entry.data, RunStarted)), None
    )
    if started is None:
        fault = Violation("violation-known", f"no run {use.run} was started before it")
        return UseJudged(placed, None, (fault,), None, None)
    known, hindsight = consents.known(placed.entry), consents.hindsight(placed.entry)
    verdict = verdict_on(placed.entry, known, started)
    judged = JudgedUse(
        use=placed.entry,
        known=verdict,
        # Mostly nothing arrived later, and the one verdict is the other.
        hindsight=verdict if hindsight is known else verdict_on(placed.entry, hindsight, started),
    )
    # The grant that permits it, or else the one that it names.
    basis = judged.known.basis or judged.hindsight.basis or (None if use.basis is UNSET else use.basis)
    violations = tuple(_violations(judged, known, hindsight, started.data))
    return UseJudged(placed, judged, violations, started, marks.get(basis))


def _violations(judged: JudgedUse, known: Consent, hindsight: Consent, run: RunStarted) -> Iterator[Violation]:
    use: DataUsedForTraining = judged.use.data
    if run.purpose != use.purpose:
        yield Violation("violation-known", f"run {use.run} was started for {run.purpose}, and not for {use.purpose}")
    fault = _fault(judged.use, judged.known, known, run)
    if fault is not None:
        yield Violation("violation-known", fault)
    if hindsight is not known:
        fault = _fault(judged.use, judged.hindsight, hindsight, run)
    if fault is not None:
        yield Violation("violation-in-hindsight", fault)


def _fault(use: Entry, verdict: Verdict, consent: Consent, run: RunStarted) -> str | None:
    return _fault_of_basis(use, consent, run) if verdict.permitted else reason_of(verdict)


def reason_of(verdict: Verdict) -> str:
    """A verdict's reason with its detail."""
    return verdict.reason if verdict.detail is None else f"{verdict.reason}: {verdict.detail}"


def _fault_of_basis(entry: Entry, consent: Consent, run: RunStarted) -> str | None:
    """What is wrong with the grant that a use names, where some grant permits what it used."""
    use: DataUsedForTraining = entry.data
    if use.basis is UNSET:
        return None
    ends = [parse_time(use.collected_from), parse_time(use.collected_until)]
    named = consent.interval_of(use.basis)
    if named is None or use.basis >= entry.version:
        return f"it names version {use.basis} as its basis, which is no grant of {use.purpose} before it"
    if not all(_covers(consent, named, end, parse_time(run.started_at)) for end in ends):
        return f"it names version {use.basis} as its basis, a grant that does not cover its items"
    return None


def _covers(consent: Consent, basis: GrantedInterval, collected: datetime, run_started: datetime) -> bool:
    return basis.covers(collected, collected) and holds_at_run(terms_of(consent, basis), basis, collected, run_started)
