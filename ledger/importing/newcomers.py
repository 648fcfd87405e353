"""People whom the ledger does not know yet: decided by what the domain said of others who stood where they stand.

Of somebody new nothing need be read: no entry, no key. And what `decide` says of a plain line depends on little: which
terms the person was shown, and which they accepted last. So the domain is asked once for each standing and kind of
line, and every other person in the same standing gets the same answer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct

from ledger.application import NONCE_BYTES
from ledger.domain.consent import Record, fold
from ledger.domain.entry import (
    Imported,
    beginning_of_imported,
    canonical,
    decode_entry,
    encode_imported,
    make_entry,
)
from ledger.domain.names import subject_stream
from ledger.domain.recording import Request, decide
from ledger.domain.terms import Catalogue
from ledger.domain.times import FIRST_MOMENT, format_time
from ledger.errors import Refused
from ledger.importing.lines import RawLine
from ledger.importing.plain import MOST_KINDS, Kind, PlainLine
from ledger.store.keys import Key, derived_key
from ledger.store.writer import Append

_NONCE_DIGITS = 2 * NONCE_BYTES
#: Nonces are drawn so many at a time.
NONCES = 1_000


class Newcomer(Struct, eq=False):
    """The lines about one new person, and what was decided on them; a share like those of other streams."""

    named: str
    new_id: bytes
    lines: list[PlainLine]
    stream: str = ""
    entries: list[bytes] = []
    keys: list[Key] = []
    repeated: int = 0
    rejected: list[tuple[RawLine, str]] = []
    is_lost: bool = False

    @property
    def append(self) -> Append | None:
        """What there is to store."""
        if self.is_lost or not self.entries:
            return None
        return Append(self.stream, 1, self.entries, self.keys)


@dataclass(slots=True, eq=False)
class _Standing:
    """What a decision on a plain line depends on, with a record that stands so, and the answers so far."""

    record: Record
    #: Why not, or the standing after it.
    answers: dict[Kind, str | _Standing] = field(default_factory=dict)


class Newcomers:
    """Decides on the new people of one source, under the terms that were published when it began."""

    def __init__(self, source: str, catalogue: Catalogue) -> None:
        self._source = source
        self._nobody = _Standing(Record("", catalogue))
        self._standings: dict[tuple[frozenset[str], str], _Standing] = {}
        #: How entries of each kind begin, of the batch under way.
        self._beginnings: dict[Kind, str] = {}
        self._nonces: list[str] = []
        self.read_clock(FIRST_MOMENT)

    def read_clock(self, now: datetime) -> None:
        """Takes the ledger's time for the next decisions."""
        self._now, self._at = now, format_time(now)
        self._mark = canonical(Imported(at=self._at, source=self._source))
        self._beginnings.clear()

    def decide(self, person: Newcomer) -> bool:
        """Decides the lines in their order; False where one says it was recorded after now, and nothing is decided."""
        if person.lines[-1].recorded_at > self._at:
            return False
        person.stream = subject_stream(person.new_id)
        standing = self._nobody
        known: set[bytes] = set()
        for line in person.lines:
            if line.given in known:
                person.repeated += 1
                continue
            answer = standing.answers.get(line.kind) or self._ask(standing, line.kind)
            if isinstance(answer, str):
                person.rejected.append((line.raw, answer))
                continue
            known.add(line.given)
            standing = answer
            number = len(person.entries)
            person.entries.append(
                encode_imported(
                    self._beginnings.get(line.kind) or self._beginning(line.kind),
                    person.stream,
                    number + 1,
                    line.occurred_at,
                    line.recorded_at,
                    self._nonce(),
                )
            )
            person.keys.append(derived_key(person.new_id, line.given, number))
        return True

    def _beginning(self, kind: Kind) -> str:
        """How the entries of a kind begin; one of them is read, so nothing invalid is ever stored."""
        beginning = beginning_of_imported(kind.topic, kind.data, self._mark)
        decode_entry(encode_imported(beginning, "0" * 64, 1, self._at, self._at, "0" * _NONCE_DIGITS))
        self._beginnings[kind] = beginning
        return beginning

    def _nonce(self) -> str:
        if not self._nonces:
            drawn = os.urandom(NONCE_BYTES * NONCES).hex()
            self._nonces = [drawn[at : at + _NONCE_DIGITS] for at in range(0, len(drawn), _NONCE_DIGITS)]
        return self._nonces.pop()

    def _ask(self, standing: _Standing, kind: Kind) -> str | _Standing:
        """The domain's answer, remembered."""
        now, at = self._now, self._at
        answer: str | _Standing
        try:
            (new,) = decide(standing.record, Request(kind.event, now, now, self._source), now)
        except Refused as error:
            answer = str(error)
        else:
            before = standing.record
            after = Record(
                before.stream,
                before.catalogue,
                shown=list(before.shown),
                terms_shown=set(before.terms_shown),
                accepted=list(before.accepted),
                decisions=list(before.decisions),
            )
            entry = make_entry(
                new.event, stream="0" * 64, version=before.version + 1, occurred_at=at, recorded_at=at, nonce="0" * 32
            )
            answer = self._standing(fold([entry], after))
        if len(standing.answers) >= MOST_KINDS:
            standing.answers.clear()
        standing.answers[kind] = answer
        return answer

    def _standing(self, record: Record) -> _Standing:
        shown = frozenset(record.terms_shown)
        accepted = record.accepted[-1][1].terms if record.accepted else ""
        return self._standings.setdefault((shown, accepted), _Standing(record))
