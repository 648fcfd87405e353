"""The person behind a session: their history, as long as they are not erased."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.application import ConsentLedger
from ledger.domain.as_of import History
from ledger.domain.consent import Record
from ledger.errors import Refused
from ledger.history import AsOf, history_of
from ledger.service.pages.sessions import Session, no_session
from ledger.store.identities import Subject


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of them now; nobody who was never shown anything has a history."""

    subject: Subject
    history: History | None
    record: Record | None


def person_of(ledger: ConsentLedger, session: Session) -> Person:
    """Who the session is about; `Problem` where they were erased since it began, also where they came back after."""
    named = session.subject
    subject = ledger.identities.find([named])[named]
    if subject.erased is not None and subject.erased >= session.since:
        raise no_session()
    if subject.stream is None or not ledger.entries_of(subject.stream):
        return Person(subject, None, None)
    history = history_of(ledger, subject.stream, AsOf())
    record = history.record
    if record.erased is not None:
        raise no_session()
    return Person(subject, history, record)


def known(ledger: ConsentLedger, session: Session) -> tuple[Subject, History, Record]:
    """The same of somebody about whom something is recorded."""
    person = person_of(ledger, session)
    if person.history is None or person.record is None:
        raise no_session()
    return person.subject, person.history, person.record


def plan_of(session: Session, person: Person) -> str:
    """The plan that the terms are shown for: what the product said, else what it said last."""
    plan = session.opened.plan
    if plan is None and person.record is not None and person.history is not None:
        plan = person.record.plan_at(person.history.moment)
    if plan is None:
        raise Refused("expected the plan that the terms are shown for, found none; open the page from the product")
    return plan
