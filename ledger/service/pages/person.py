"""The person behind a session: their history, or a part of it, as long as they are not erased."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.application import ConsentLedger
from ledger.domain.as_of import History, Placed
from ledger.domain.consent import Record
from ledger.domain.entry import decode_entry, topic_of
from ledger.domain.events import SubjectErased
from ledger.errors import Refused, UnknownSubject
from ledger.history import AsOf, history_of
from ledger.service.pages.sessions import Session, no_session
from ledger.store.identities import Subject

_ERASED = topic_of(SubjectErased)


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of them now; nobody who was never shown anything has a history."""

    subject: Subject
    history: History | None
    record: Record | None


def person_of(ledger: ConsentLedger, session: Session) -> Person:
    """Who the session is about; `Problem` where they were erased since it began, also where they came back after."""
    subject = _subject_of(ledger, session)
    if subject.stream is None:
        return Person(subject, None, None)
    try:
        history = history_of(ledger, subject.stream, AsOf())
    except UnknownSubject:
        return Person(subject, None, None)
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


def part_of(ledger: ConsentLedger, session: Session, until: int, count: int) -> tuple[list[Placed], int]:
    """The last `count` entries up to a version, and how many entries there are; no more than these is read."""
    subject = _subject_of(ledger, session)
    total = 0 if subject.stream is None else ledger.recorder.last_version(subject.stream)
    if subject.stream is None or total == 0:
        raise no_session()
    *_, (_, _, _, event, _) = ledger.recorder.versions(subject.stream, total - 1, total)
    if event == _ERASED:  # after which there is no other
        raise no_session()
    rows = ledger.recorder.versions(subject.stream, max(0, until - count), until)
    return [Placed(position, decode_entry(bytes(stored))) for position, *_, stored in rows], total


def _subject_of(ledger: ConsentLedger, session: Session) -> Subject:
    """`Problem` where the identity was erased since the session began."""
    named = session.subject
    subject = ledger.identities.find([named])[named]
    if subject.erased is not None and subject.erased >= session.since:
        raise no_session()
    return subject


def plan_of(session: Session, person: Person) -> str:
    """The plan that the terms are shown for: what the product said, else what it said last."""
    plan = session.opened.plan
    if plan is None and person.record is not None and person.history is not None:
        plan = person.record.plan_at(person.history.moment)
    if plan is None:
        raise Refused("expected the plan that the terms are shown for, found none; open the page from the product")
    return plan
