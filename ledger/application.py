"""The use cases, over eventsourcing's Application: read a record, decide, append, and decide again on a conflict."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar, TypeVarTuple, cast

from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, RecordConflictError
from msgspec import Struct

from ledger.domain.as_of import Placed
from ledger.domain.consent import Record, record_of
from ledger.domain.entry import Entry, canonical, decode_entry, encode_entry, make_entry, topic_of
from ledger.domain.events import Event, RunFinished, RunStarted, SubjectErased, TermsShown
from ledger.domain.names import LARGEST_INTEGER, TERMS_STREAM, run_stream
from ledger.domain.publication import decide_publication
from ledger.domain.recording import NewEvent, Request, decide, happening_now
from ledger.domain.runs import RunRecord, decide_finish, decide_start, fold_run
from ledger.domain.terms import Catalogue, Terms
from ledger.domain.times import format_time
from ledger.errors import ConsentLedgerError, Refused, Unavailable, UnknownSubject
from ledger.errors import SubjectErased as AlreadyErased
from ledger.settings import Place
from ledger.store import schema
from ledger.store.clock import LedgerClock
from ledger.store.codec import EntryMapper
from ledger.store.database import Connection, connect, open_pool, unavailable_as_error
from ledger.store.erasure import append_and_forget
from ledger.store.evidence import Evidence, new_evidence
from ledger.store.identities import Identities, Subject
from ledger.store.infrastructure import Infrastructure
from ledger.store.keys import Key, fence_of, keys_of
from ledger.store.recorder import AlreadyRecorded, KnownKeys, LogRecorder, OutOfTime, key_reused
from ledger.store.secret import read_secret
from ledger.store.statements import statement
from ledger.store.writer import Append, Writer

#: Each lost attempt means that another caller's append to the same stream was stored; so many in a row means
#: that something appends to it in a loop.
MOST_ATTEMPTS = 1_000
NONCE_BYTES = 16

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a request stands in the log; `repeated` when it was there before."""

    position: int
    stream: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One event to record about the person of this name; with the same `key` again, it is the same event."""

    named: str
    request: Request
    key: str | None = None
    evidence: bytes | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A request on its way into the log: on whose stream, under which keys, with what behind it."""

    stream: str
    subject: Subject
    request: Request
    keys: Sequence[Key]
    evidence: Sequence[Evidence]


#: A request with the entries that it adds to its stream as it stands; or where it was recorded before.
Begun = tuple[Recording, list[Entry]] | Recorded


class ConsentLedger(Application[str]):
    """One ledger: everything that may be asked of it. Safe for many threads; use it as a context manager."""

    recorder: LogRecorder

    def __init__(self, url: str, place: Place) -> None:
        self.place = place
        self.url = url
        with connect(url, place.name, "consent_service") as connection:
            self.identity = schema.identity(connection, place.name)
        self.secret = read_secret(place.state, self.identity.id)
        self._pool = open_pool(url, place.name, "consent_service")
        self.clock = LedgerClock(self._ask_clock)
        self.writer = Writer(lambda: connect(url, place.name, "consent_service"))
        self.identities = Identities(self._pool, self.secret, place.name)
        #: The terms as they were read last, from the first on.
        self._published: Sequence[Placed] = ()
        super().__init__()

    # What eventsourcing asks an application to be made of.

    def construct_factory(self, env: Any) -> Infrastructure:  # noqa: ARG002 - nothing comes from the environment
        recorder = LogRecorder(self._pool, self.writer, self.clock, self.place.name)
        return Infrastructure(recorder)

    def construct_mapper(self) -> Mapper[str]:
        return EntryMapper()

    def close(self) -> None:
        super().close()
        self.writer.close()
        self._pool.close()

    def _ask_clock(self) -> datetime:
        with self.connection() as connection:
            row = connection.execute(statement("clock")).fetchone()
        assert row is not None  # noqa: S101 - a function of one value
        return cast(datetime, row[0])

    # Reading.

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """One of the readers' connections, in the service's role, each statement a transaction of its own."""
        with unavailable_as_error(self.place.name), self._pool.connection() as connection:
            yield connection

    def catalogue(self) -> Catalogue:
        """All terms published so far."""
        return _catalogue_of(self.read([])[1])

    def known_catalogue(self) -> Catalogue:
        """The terms as they were read last: others may have been published since, and none of these is gone."""
        return _catalogue_of(self._published)

    def terms(self, version: str | None) -> Terms:
        """Published terms by their version, else those published last."""
        published = self.catalogue().all()
        found = [terms for terms in published if version is None or terms.version == version]
        if not found:
            raise Refused(
                f"expected published terms{f' {version}' if version else ''}, found "
                f"{', '.join(terms.version for terms in published) or 'none'}; see `consent terms publish`"
            )
        return found[-1]

    def read(
        self, streams: Collection[str], until: int = LARGEST_INTEGER
    ) -> tuple[dict[str, list[Placed]], Sequence[Placed]]:
        """The entries of streams up to a position, and the terms; those that were read before are not read again.

        Of the terms there may be more than up to the position: nothing is ever published twice, or changed.
        """
        published = self._published
        found: dict[str, list[Placed]] = {stream: [] for stream in streams}
        terms = list(published)
        for position, stream, stored in self.recorder.streams_and_terms(list(found), len(published), until):
            (terms if stream == TERMS_STREAM else found[stream]).append(Placed(position, decode_entry(bytes(stored))))
        if len(terms) > len(published):
            self._published = terms
        return found, terms

    def record_of(self, stream: str) -> Record:
        """What a subject's stream says now."""
        return self.records_of([stream])[stream]

    def records_of(self, streams: Collection[str]) -> dict[str, Record]:
        """What subjects' streams say now."""
        found, terms = self.read(streams)
        catalogue = _catalogue_of(terms)
        return {
            stream: record_of(stream, (placed.entry for placed in entries), catalogue)
            for stream, entries in found.items()
        }

    def run_of(self, run: str) -> RunRecord:
        """What a run's stream says now."""
        stream = run_stream(run)
        return self._project(stream, lambda entries: fold_run(entries, RunRecord(stream=stream)))

    def _project(self, stream: str, fold: Callable[[Iterable[Entry]], T]) -> T:
        """The repository's functional fold; without a cache it always begins at the first entry."""

        def project(_: Any, entries: Iterable[Any]) -> Any:
            return fold(entries)

        return cast(T, self.repository.get(stream, projector_func=project))

    def entries_of(self, stream: str) -> list[tuple[int, Entry]]:
        """A stream's entries with their positions, from the first."""
        return [(position, decode_entry(bytes(stored))) for position, *_, stored in self.recorder.streams([stream])]

    def subject(self, named: str) -> Subject:
        """The subject of this name; `UnknownSubject` where there is none."""
        subject = self.identities.find([named])[named]
        if subject.stream is None:
            if subject.erased is not None:
                raise AlreadyErased(f"expected a person in the ledger, found one erased {format_time(subject.erased)}")
            raise UnknownSubject("expected a person in the ledger, found nobody of that name; check its spelling")
        return subject

    # Recording.

    def publish(self, terms: Terms) -> int | None:
        """Publishes terms; the position, or None where they were published before."""

        def decide_again(now: datetime) -> list[Entry]:
            # One reading for both: what is decided on, and the version that is expected.
            entries = [entry for _, entry in self.entries_of(TERMS_STREAM)]
            events = decide_publication(Catalogue(entry.data for entry in entries), terms)
            last = entries[-1].recorded if entries else None
            return self.to_entries(TERMS_STREAM, len(entries), [happening_now(e, last, now) for e in events])

        return self.append(decide_again)

    def record(self, named: str, request: Request, key: str | None = None, evidence: bytes | None = None) -> Recorded:
        """Records one event about the person of this name; with the same `key` again, it is the same event."""
        recording = self._prepare(Asked(named, request, key, evidence))
        if isinstance(recording, Recorded):
            return recording
        stream = recording.stream
        try:
            position = self.append(lambda now: self.entries_for(recording, now), recording.keys, recording.evidence)
        except AlreadyRecorded as before:
            return Recorded(before.position, stream, repeated=True)
        return Recorded(position or 0, stream)

    def begin(self, asked: Asked) -> Begun:
        """All of `record` that comes before the append."""
        recording = self._prepare(asked)
        if isinstance(recording, Recorded):
            return recording
        return recording, self.entries_for(recording, self.clock.now())

    def begin_all(self, asked: Sequence[Asked]) -> list[Begun | ConsentLedgerError | None]:
        """`begin` for many, which read together; or why not. None: somebody new, who is to be begun alone."""
        subjects = self.identities.find({one.named for one in asked})
        recordings = [
            None if subjects[one.named].stream is None else or_why_not(self._recording, one, subjects[one.named])
            for one in asked
        ]
        to_begin = [recording for recording in recordings if isinstance(recording, Recording)]
        known = self._known([key for recording in to_begin for key in recording.keys])
        records = self.records_of({recording.stream for recording in to_begin})
        now = self.clock.now()
        return [
            or_why_not(self._begun, one, known, records[one.stream], now) if isinstance(one, Recording) else one
            for one in recordings
        ]

    def _begun(self, recording: Recording, known: KnownKeys, record: Record, now: datetime) -> Begun:
        if (position := position_before(recording.keys, known)) is not None:
            return Recorded(position, recording.stream, repeated=True)
        return recording, self._entries(recording, record, now)

    def _prepare(self, asked: Asked) -> Recording | Recorded:
        recording = self._recording(asked, self.identities.find([asked.named])[asked.named])
        if (position := position_before(recording.keys, self._known(recording.keys))) is not None:
            return Recorded(position, recording.stream, repeated=True)
        return recording

    def _recording(self, asked: Asked, subject: Subject) -> Recording:
        """The request on its subject's stream; whoever is new is linked to one."""
        request = asked.request
        check_return(subject, request, self._recorded(request))
        proof = [] if asked.evidence is None else [new_evidence(asked.evidence)]
        if proof:
            request = replace(request, evidence=proof[0].digest.hex())
        if subject.stream is None:
            if asked.key is not None:
                fences = [fence_of(b"", asked.key, self.secret)]
                position_before(fences, self._known(fences))
            subject = self._new_subject(subject, request)
        return Recording(cast(str, subject.stream), subject, request, self.keys(subject, request, asked.key), proof)

    def entries_for(self, recording: Recording, now: datetime) -> list[Entry]:
        """The entries that a request adds to its stream as it stands; to be asked again after a conflict."""
        return self._entries(recording, self.record_of(recording.stream), now)

    def _entries(self, recording: Recording, record: Record, now: datetime) -> list[Entry]:
        if record.version == 0 and recording.subject.identity is None:
            raise UnknownSubject("expected a person in the ledger, found nobody of that id; name them by identity")
        return self.to_entries(recording.stream, record.version, self.decide(record, recording.request, now))

    def decide(self, record: Record, request: Request, now: datetime) -> list[NewEvent]:
        """The domain's decision; asked again with a fresh catalogue before a refusal counts."""
        try:
            return decide(record, request, now)
        except Refused:
            known = len(record.catalogue.all())
            record.catalogue = self.catalogue()
            if len(record.catalogue.all()) == known:
                raise
            return decide(record, request, now)

    def keys(self, subject: Subject, request: Request, key: str | None) -> list[Key]:
        """The idempotency rows of a request with a caller's key."""
        if key is None:
            return []
        if subject.subject_id is None:
            raise Refused(
                "expected a person whose id the ledger still knows, found a stream key alone; a key cannot be kept"
            )
        return keys_of(subject.subject_id, key, request_bytes(request), self.secret)

    def _known(self, keys: Sequence[Key]) -> KnownKeys:
        return self.recorder.known_keys(keys) if keys else {}

    def _new_subject(self, subject: Subject, request: Request) -> Subject:
        """A subject for an identity that has none; nobody who was erased comes back but by a new showing."""
        identity = subject.identity
        assert identity is not None  # noqa: S101 - an id and a stream key name their stream themselves
        self.decide(Record(stream="", catalogue=self.known_catalogue()), request, self.clock.now())
        linked = self.identities.link([(identity, self._recorded(request))])
        if identity not in linked:
            raise AlreadyErased("expected a person who is not erased, found one erased just now")
        return self.identities.find([subject.named])[subject.named]

    def _recorded(self, request: Request) -> datetime:
        """When the system of record took the request down: now, or for an import when its source says."""
        return (request.recorded or request.occurred if request.source else None) or self.clock.now()

    def start_run(self, run: str, start: RunStarted) -> Entry:
        """Starts a run, or finds it started just so; its `run-started` entry."""
        return cast(Entry, self._go_on(run, lambda record, now: decide_start(record, start, now)).started)

    def finish_run(self, run: str, finish: RunFinished) -> Entry:
        """Finishes a run, or finds it finished; its `run-finished` entry."""
        return cast(Entry, self._go_on(run, lambda record, _: decide_finish(record, finish)).finished)

    def _go_on(self, run: str, decide_on: Callable[[RunRecord, datetime], Sequence[Event]]) -> RunRecord:
        """Appends what is decided on a run; its record after that."""

        def decide_again(now: datetime) -> list[Entry]:
            record = self.run_of(run)
            events = [happening_now(event, record.recorded, now) for event in decide_on(record, now)]
            return self.to_entries(record.stream, record.version, events)

        self.append(decide_again)
        return self.run_of(run)

    def erase(self, named: str, reason: str) -> Recorded:
        """Erases a person: the links and evidence are gone, and the log says that they are."""
        subject = self.subject(named)
        stream = cast(str, subject.stream)
        request = Request(SubjectErased(reason=reason))
        with connect(self.url, self.place.name, "consent_service") as connection:
            # Asked anew: whatever was recorded by now, anywhere, is to count as recorded before.
            now = self._ask_clock()
            for _ in range(MOST_ATTEMPTS):
                record = self.record_of(stream)
                if record.version == 0 and subject.identity is None:
                    raise UnknownSubject("expected a person in the ledger, found nobody of that id")
                entries = self.to_entries(stream, record.version, self.decide(record, request, now))
                stored = [encode_entry(entry) for entry in entries]
                try:
                    outcome = append_and_forget(connection, Append(stream, record.version + 1, stored))
                    return Recorded(self.recorder.position_of(outcome), stream)
                except RecordConflictError:
                    now = self.clock.now()
                except OutOfTime as late:
                    now = late.clock
        raise _too_many_attempts()

    # Appending.

    def append(
        self,
        decide_again: Callable[[datetime], list[Entry]],
        keys: Sequence[Key] = (),
        evidence: Sequence[Evidence] = (),
    ) -> int | None:
        """Appends what `decide_again(now)` says, asking it anew after each conflict; None where it says nothing."""
        now = self.clock.now()
        for _ in range(MOST_ATTEMPTS):
            entries = decide_again(now)
            if not entries:
                return None
            try:
                events = cast(Sequence[DomainEventProtocol[str]], entries)
                recordings = self.events.put(events, keys=keys, evidence=evidence)
                return recordings[0].notification.id
            except RecordConflictError:
                now = self.clock.now()
            except OutOfTime as late:
                now = late.clock
        raise _too_many_attempts()

    def to_entries(self, stream: str, version: int, events: Iterable[NewEvent]) -> list[Entry]:
        """The entries for `events` after `version` of `stream`."""
        return [
            make_entry(
                new.event,
                stream=stream,
                version=version + number,
                occurred_at=new.occurred_at,
                recorded_at=new.recorded_at,
                nonce=os.urandom(NONCE_BYTES).hex(),
                imported=new.imported,
                evidence=new.evidence,
            )
            for number, new in enumerate(events, 1)
        ]


def _catalogue_of(terms: Iterable[Placed]) -> Catalogue:
    return Catalogue(placed.entry.data for placed in terms)


def or_why_not(work: Callable[[*Ts], T], *arguments: *Ts) -> T | ConsentLedgerError:
    """What `work` answers, or its refusal, which is one's alone of many."""
    try:
        return work(*arguments)
    except ConsentLedgerError as error:
        return error


def position_before(keys: Sequence[Key], known: KnownKeys) -> int | None:
    """The position that `known` has for `keys`, if any; `KeyReused` where one of them stands for another request."""
    position: int | None = None
    for key in keys:
        request, found = known.get(key.key, (key.request, None))
        if request != key.request:
            raise key_reused()
        position = position if found is None else found
    return position


def check_return(subject: Subject, request: Request, recorded: datetime) -> None:
    """Refuses what was recorded before an erasure; after it, only a new showing makes a new subject."""
    if subject.erased is None:
        return
    is_back = subject.stream is not None
    if recorded <= subject.erased or not (is_back or isinstance(request.event, TermsShown)):
        raise AlreadyErased(
            f"expected a person who is not erased, found one erased {format_time(subject.erased)}; "
            "only a showing of terms recorded later begins anew"
        )


def request_bytes(request: Request) -> bytes:
    """What makes a request the same again: the event, its data, and the times that were given."""
    return canonical(
        {
            "event": topic_of(type(request.event)),
            "data": cast(Struct, request.event),
            "occurred_at": format_time(request.occurred) if request.occurred else "",
            "recorded_at": format_time(request.recorded) if request.recorded else "",
        }
    )


@contextmanager
def open_ledger(place: Place) -> Iterator[ConsentLedger]:
    """The ledger at `place`, its embedded server started if need be; `LedgerMissing` where there is none."""
    from ledger.store.location import served

    with served(place) as url, ConsentLedger(url, place) as ledger:
        ledger.catalogue()
        yield ledger


def _too_many_attempts() -> Unavailable:
    return Unavailable(f"expected to append within {MOST_ATTEMPTS} attempts, found a conflict each time; try again")
