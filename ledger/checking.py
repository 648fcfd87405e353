"""May these items be used? Verdicts on people by their names, by the same rules as the gate's (design, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from ledger.application import ConsentLedger
from ledger.domain.as_of import History, as_of_position
from ledger.domain.consent import Consent, consent_of
from ledger.domain.eligibility import Item, Verdict, judge_with
from ledger.domain.times import format_time
from ledger.store.identities import Subject


@dataclass(frozen=True, slots=True)
class Question:
    """May an item of the person of this name be used for a purpose, by a run that starts then, or else now?"""

    named: str
    purpose: str
    item: Item
    run_started: datetime | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict, the position of the log that it was decided on, and the history, where the name leads to one."""

    verdict: Verdict
    position: int
    history: History | None = None


def check_all(ledger: ConsentLedger, questions: Sequence[Question]) -> list[Checked]:
    """The verdicts in the order of the questions, all on the log as it is at one position."""
    # Whoever is found was linked up to there, and whoever is not was not: entries that come after count for nobody.
    position, subjects = ledger.identities.find_at_head({question.named for question in questions})
    histories = _histories(ledger, subjects.values(), position)
    records = {stream: history.record for stream, history in histories.items()}

    @cache
    def consent(stream: str, purpose: str) -> Consent:
        return consent_of(records[stream], purpose)

    return [_check(question, subjects[question.named], histories, consent, position) for question in questions]


def _check(
    question: Question,
    subject: Subject,
    histories: dict[str, History],
    consent: Callable[[str, str], Consent],
    position: int,
) -> Checked:
    if subject.erased is not None and question.item.collected <= subject.erased:
        # Also of somebody who came back since: what was theirs before stays erased.
        return Checked(Verdict("erased", detail=f"erased {format_time(subject.erased)}"), position)
    history = histories.get(subject.stream or "")
    if history is None:
        return Checked(Verdict("unknown-subject"), position)
    started = history.moment if question.run_started is None else question.run_started
    verdict = judge_with(consent(history.stream, question.purpose), question.item, started, history.moment)
    return Checked(verdict, position, history)


def _histories(ledger: ConsentLedger, subjects: Iterable[Subject], position: int) -> dict[str, History]:
    """By stream, of those that have entries, each as it is up to the position and judged now."""
    found, terms = ledger.read({subject.stream for subject in subjects if subject.stream is not None}, position)
    now = ledger.clock.now()
    return {
        # Nothing is recorded ahead of the ledger's clock; ours, read a round trip ago, may lag behind another's append.
        stream: as_of_position(stream, entries, terms, position, max([now, *(one.entry.recorded for one in entries)]))
        for stream, entries in found.items()
        if entries
    }
