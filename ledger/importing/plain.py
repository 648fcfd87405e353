"""The plain line: what almost every line of an import is, read in one step by what was read of another like it.

A line is plain when it says, about a person by their identity, something whose `data` an earlier line of the import had
byte for byte; so it is as valid as that one was, but for its times, and those are looked at. It has no key of its own.
Whatever is not plain is read by `event_line`, which alone says what is wrong with a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ledger.domain.entry import canonical, topic_of
from ledger.domain.events import Accepted, SubjectEvent, TermsShown, ToggleChanged
from ledger.domain.terms import Catalogue
from ledger.domain.times import TIME_PATTERN, format_time, parse_given_time, parse_time
from ledger.errors import InvalidInput
from ledger.importing.event_line import EventLine, event_line
from ledger.importing.lines import RawLine, object_of
from ledger.store.identities import LONGEST_IDENTITY, OTHER_NAMES, is_identity

#: Uses are each of their own kind, and decided on more than what came before them in few words.
_PLAIN = (TermsShown, Accepted, ToggleChanged)
#: Kinds of data that are remembered: plans, surfaces and languages multiply, and yet are few.
MOST_KINDS = 5_000
#: Days that are known to be in the calendar: some hundred years.
MOST_DAYS = 40_000

_is_exact = re.compile(TIME_PATTERN).match

# How canonical JSON writes a plain line's last fields: times as entries write them, and an identity without escapes.
_LAST_FIELDS = b',"occurred_at":"'
_TIME = TIME_PATTERN.removeprefix(r"\A").removesuffix(r"\Z")
_last_fields = re.compile(
    rf'({_TIME})"(?:,"recorded_at":"({_TIME})")?,"subject":"'
    rf'((?!{"|".join(OTHER_NAMES)})[ !#-\[\]-~]{{1,{LONGEST_IDENTITY}}})"\}}'
).fullmatch


class _Given(Struct, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A line with its data as they stand; the fields in the order of canonical JSON."""

    data: Raw
    event: str
    occurred_at: str
    recorded_at: str | UnsetType = UNSET
    subject: str


_decode = msgspec.json.Decoder(_Given).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What lines with the same data have in common: the event, its entry's data, and the data as the line has them."""

    event: SubjectEvent
    topic: str
    data: bytes
    given: Raw


class PlainLine(Struct, frozen=True, gc=False):
    """One plain line. Its times are as entries write them, so they sort as they follow each other."""

    raw: RawLine
    kind: Kind
    occurred_at: str
    recorded_at: str
    named: str
    #: The canonical JSON of the fields given.
    given: bytes


class Reader:
    """Reads the lines of one import."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._kinds: dict[tuple[str, bytes], Kind | None] = {}
        #: The kinds of canonical lines, by what such a line begins with.
        self._beginnings: dict[bytes, Kind] = {}
        self._looked_at = 0
        self._days: set[str] = set()

    def line(self, raw: RawLine) -> PlainLine | EventLine:
        """The line; `InvalidInput` says what is missing, unknown or wrong."""
        return self.known(raw) or self._plain(raw) or event_line(raw, self.catalogue)

    def known(self, raw: RawLine) -> PlainLine | None:
        """A plain line in canonical JSON whose beginning another line had: nothing of it need be parsed.

        Where the beginning is byte for byte that of a right line, and the rest can be nothing but the last fields, it
        is the same line with other times and another identity. None of another line; or it says what is wrong with it.
        """
        beginning, _, rest = raw.text.rpartition(_LAST_FIELDS)
        kind = self._beginnings.get(beginning)
        if kind is None:
            return self._look_at(beginning, rest, raw)
        found = _last_fields(rest.decode("ascii", "replace"))
        if found is None:
            return None
        occurred, recorded, named = found.groups()
        if occurred[:10] not in self._days or (recorded is not None and recorded[:10] not in self._days):
            return None
        return PlainLine(raw, kind, occurred, recorded or occurred, named, raw.text)

    def _look_at(self, beginning: bytes, rest: bytes, raw: RawLine) -> PlainLine | None:
        """The first line of a beginning, read field by field; not of more than are remembered."""
        if self._looked_at >= MOST_KINDS or not _last_fields(rest.decode("ascii", "replace")):
            return None
        self._looked_at += 1
        line = self._plain(raw)
        if line is not None and line.given == raw.text:
            self._beginnings[beginning] = line.kind
        return line

    def careful(self, line: PlainLine | EventLine) -> EventLine:
        """The same line, read field by field."""
        return line if isinstance(line, EventLine) else event_line(line.raw, self.catalogue)

    def exact(self, text: str) -> str:
        """A given time as entries write it."""
        if not _is_exact(text):
            return format_time(parse_given_time(text[:64]))
        if text[:10] not in self._days:
            parse_time(text)
            if len(self._days) >= MOST_DAYS:
                self._days.clear()
            self._days.add(text[:10])
        return text

    def _plain(self, raw: RawLine) -> PlainLine | None:
        try:
            found = _decode(raw.text)
            kind = self._kind(found.event, bytes(found.data), raw)
            if kind is None or not is_identity(found.subject):
                return None
            occurred = self.exact(found.occurred_at)
            recorded = occurred if found.recorded_at is UNSET else self.exact(found.recorded_at)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, InvalidInput):
            return None
        found.data = kind.given
        given = _encode(found)
        if given != raw.text:
            # In another order, with spaces or escapes; or with a name twice, of which the decoder keeps the last.
            object_of(raw)
        return PlainLine(raw, kind, occurred, recorded, found.subject, given)

    def _kind(self, event: str, data: bytes, raw: RawLine) -> Kind | None:
        """The kind of these data, of which the first line is read with all care; None where it is not plain."""
        try:
            return self._kinds[event, data]
        except KeyError:
            pass
        first = event_line(raw, self.catalogue)
        kind = None
        if isinstance(first.event, _PLAIN):
            kind = Kind(
                event=first.event,
                topic=topic_of(type(first.event)),
                data=canonical(first.event),
                given=Raw(canonical(object_of(raw)["data"])),
            )
        if len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        self._kinds[event, data] = kind
        return kind
