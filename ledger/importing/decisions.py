"""Deciding batches of import lines: each line in its order, and the database asked once a batch, not once a line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ledger.application import ConsentLedger, check_return, position_before, request_bytes
from ledger.domain.consent import Record
from ledger.domain.entry import decode_entry
from ledger.domain.events import RunStarted
from ledger.domain.names import subject_stream
from ledger.domain.recording import Request, decide, stamped
from ledger.domain.runs import RunRecord, decide_start
from ledger.errors import InvalidInput, Refused
from ledger.importing.event_line import EventLine
from ledger.importing.newcomers import Newcomer, Newcomers
from ledger.importing.plain import PlainLine, Reader
from ledger.importing.shares import Placed, Share, Turn
from ledger.store.identities import Subject, new_subject_ids
from ledger.store.keys import Key, keys_of

Line = PlainLine | EventLine
_Known = dict[bytes, tuple[bytes, int | None]]
#: Where a request of this batch stands that is not stored yet.
_NO_POSITION_YET = 0


class Decisions:
    """Decides the lines of one source, under the terms that were published when it began."""

    def __init__(self, ledger: ConsentLedger, source: str, reader: Reader) -> None:
        self._ledger = ledger
        self._source = source
        self._catalogue = reader.catalogue
        self._reader = reader
        self._new = Newcomers(source, reader.catalogue)
        #: Whether people are looked up before they are held to be new: not while nobody was known.
        self._looks_first = True

    def shares_of(self, lines: Sequence[Line], again: bool = False) -> list[Newcomer | Share]:
        """The lines by what they are about, however it is named, in the order of each one's first line.

        Of people who are new and have plain lines alone the lines are decided, too; `again`: somebody was not new.
        """
        subjects: dict[str, Subject] = {}
        looks_first = self._looks_first or again
        if looks_first:
            subjects = self._ledger.identities.find({line.named for line in lines if line.named is not None})
        newcomers = self._newcomers(lines, subjects)
        if not looks_first:
            subjects = self._ledger.identities.find(
                {line.named for line in lines if line.named is not None and line.named not in newcomers}
            )
        self._looks_first = again or any(subject.stream is not None for subject in subjects.values())
        shares: dict[str, Newcomer | Share] = {}
        for line in lines:
            named = line.named or ""
            newcomer = newcomers.get(named)
            if newcomer is not None:
                shares[newcomer.stream] = newcomer
                continue
            subject = None if line.named is None else subjects[line.named]
            new_id = None
            if subject is not None and subject.stream is None:
                (new_id,) = new_subject_ids(1)
                subject = Subject(subject.named, subject.identity, new_id, subject_stream(new_id), subject.erased)
                subjects[subject.named] = subject
            careful = self._reader.careful(line)
            stream = (careful.run if subject is None else subject.stream) or ""
            if stream not in shares:
                empty = RunRecord(stream) if subject is None else Record(stream, self._catalogue)
                shares[stream] = Share(stream, empty, new_id)
            share = shares[stream]
            assert isinstance(share, Share)  # noqa: S101 - a newcomer's stream is of a new id
            share.turns.append(Turn(careful, subject))
        return list(shares.values())

    def _newcomers(self, lines: Sequence[Line], subjects: Mapping[str, Subject]) -> dict[str, Newcomer]:
        """Those of whom nothing but plain lines is known, with what was decided on them."""
        self._new.read_clock(self._ledger.clock.now())
        people: dict[str, list[PlainLine]] = {}
        others: set[str | None] = set()
        for line in lines:
            if isinstance(line, PlainLine):
                people.setdefault(line.named, []).append(line)
            else:
                others.add(line.named)
        new = [
            (named, of_one)
            for named, of_one in people.items()
            if named not in others and ((subject := subjects.get(named)) is None or _is_new(subject))
        ]
        decided: dict[str, Newcomer] = {}
        for (named, of_one), new_id in zip(new, new_subject_ids(len(new)), strict=True):
            person = Newcomer(named, new_id, of_one)
            if self._new.decide(person):
                decided[named] = person
        return decided

    def decide(self, shares: Sequence[Share], stored: Mapping[str, Share]) -> None:
        """Decides every line of `shares`; `stored` are the last ones, by stream, on whose records it can go on."""
        now = self._ledger.clock.now()
        known = self._look_up([turn for share in shares for turn in share.turns])
        entries = self._read(shares, stored)
        for share in shares:
            if share.stream in entries:
                share.begin(entries[share.stream], self._source)
            elif share.stream in stored:
                share.go_on(stored[share.stream])
            for turn in share.turns:
                try:
                    self._take(share, turn, known, now)
                except (Refused, InvalidInput) as error:
                    share.rejected.append((turn.line.raw, str(error)))

    def link(self, shares: Sequence[Share]) -> None:
        """Makes subjects of those who are new, and of whom there is something to store."""
        new = {
            share.named: (share, share.first_recorded, share.new_id)
            for share in shares
            if share.new_id is not None and share.first_recorded is not None
        }
        if not new:
            return
        linked = self._ledger.identities.link(
            [(named, recorded) for named, (_, recorded, _) in new.items()], [new_id for _, _, new_id in new.values()]
        )
        for named, (share, _, new_id) in new.items():
            share.is_lost = linked.get(named) != new_id

    def link_new(self, newcomers: Sequence[Newcomer]) -> None:
        """The same of people who were held to be new; who is not is looked up when their lines are decided again."""
        new = [person for person in newcomers if person.entries]
        if not new:
            return
        known = self._ledger.identities.link_new([person.named for person in new], [person.new_id for person in new])
        for person in new:
            person.is_lost = person.named in known

    def _keys(self, turn: Turn) -> list[Key]:
        """A line without a key has its own digest for one: what says the same is the same."""
        line, subject = turn.line, turn.subject
        if subject is None or subject.subject_id is None:
            return []
        if line.key is None:
            return keys_of(subject.subject_id, hashlib.sha256(line.given).hexdigest(), line.given, secret=None)
        return keys_of(subject.subject_id, line.key, request_bytes(line.request(self._source)), self._ledger.secret)

    def _look_up(self, turns: Sequence[Turn]) -> _Known:
        for turn in turns:
            turn.keys = self._keys(turn)
        keys = [key for turn in turns for key in turn.keys]
        known: _Known = self._ledger.recorder.known_keys(keys) if keys else {}
        for turn in turns:
            turn.place = next((at for key in turn.keys if (at := known.get(key.key, (b"", None))[1]) is not None), None)
        return known

    def _read(self, shares: Sequence[Share], stored: Mapping[str, Share]) -> dict[str, list[Placed]]:
        """The entries of the streams that must be read, with their positions."""
        entries: dict[str, list[Placed]] = {
            share.stream: [] for share in shares if share.needs_entries(is_known=share.stream in stored)
        }
        rows = self._ledger.recorder.streams(list(entries)) if entries else []
        for position, stream, _, _, entry in rows:
            entries[stream].append((position, decode_entry(bytes(entry))))
        return entries

    def _take(self, share: Share, turn: Turn, known: _Known, now: datetime) -> None:
        """Decides one line; raises why not."""
        line, record = turn.line, share.record
        if isinstance(record, RunRecord):
            self._take_start(share, record, line, now)
            return
        subject = turn.subject
        assert subject is not None  # noqa: S101 - who has no run is a person
        request = line.request(self._source)
        if position_before(turn.keys, known) is not None:
            share.repeated += 1
            return
        if subject.erased is not None:
            # As long as their stream is empty nobody is back.
            check_return(subject if record.version else replace(subject, stream=None), request, line.recorded)
        if not turn.keys:
            raise Refused("expected a person whose id is known, found a stream key alone; name them by identity")
        if record.version == 0 and subject.identity is None:
            raise Refused("expected a person in the ledger, found nobody of that id; name them by identity")
        events = decide(record, request, now)
        if (before := share.before(turn, self._source, self._catalogue)) is not None:
            # An earlier run stored what comes after it. What was no when its turn came stays no, or an import that
            # was killed and run again would end in another state than one that was not.
            decide(before, request, now)
        entries = self._ledger.to_entries(record.stream, record.version, events)
        share.add(line, entries, turn.keys)
        known.update((key.key, (key.request, None if key.fence else _NO_POSITION_YET)) for key in turn.keys)

    def _take_start(self, share: Share, record: RunRecord, line: EventLine, now: datetime) -> None:
        """A run that happened elsewhere: its name is its key, and as nobody acts it occurs when it is recorded."""
        assert isinstance(line.event, RunStarted)  # noqa: S101 - what else is read into a run
        starts = decide_start(record, line.event, now)
        if not starts:
            share.repeated += 1
            return
        request = Request(line.event, line.recorded, line.recorded, self._source)  # type: ignore[arg-type]
        events = [stamped(start, request, record.recorded, now) for start in starts]
        share.add(line, self._ledger.to_entries(record.stream, record.version, events), ())


def _is_new(subject: Subject) -> bool:
    return subject.stream is None and subject.erased is None
