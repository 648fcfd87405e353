"""Decoding entries fast: what was checked once of an event's data is not checked again for each that says the same.

An entry is its data and topic, then evidence and import mark, then nonce, times, stream and version (RFC 8785 sorts
the names so). People are shown the same few terms and answer in the same few ways, so the first part repeats, and the
rest is one regular expression. Whatever does not fit it, and every new first part, goes through `decode_entry`; that
both agree is held by a property test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from ledger.domain.entry import LARGEST_ENTRY, Entry, Imported, decode_entry, make_entry
from ledger.domain.events import Event

#: First parts that are remembered: more than one catalogue and its surfaces make, less than a store of 100 MB.
MOST_SEEN = 4_096
LONGEST_SEEN = 2_048

_TIME = r"(?:19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
#: From the end of the event's topic to the end of the entry, of a subject's stream. A source is plain ASCII here.
_REST = re.compile(
    r'(?:,"evidence":"([0-9a-f]{64})")?'
    rf'(?:,"imported":\{{"at":"({_TIME})"(?:,"recorded_at":"({_TIME})")?,"source":"([ !#-\[\]-~]{{1,256}})"\}})?'
    rf',"nonce":"([0-9a-f]{{32}})","occurred_at":"({_TIME})","recorded_at":"({_TIME})"'
    r',"stream":"([0-9a-f]{64})","v":1,"version":([1-9][0-9]{0,14})\}',
)
#: Its groups that are times.
_TIMES = (2, 3, 6, 7)
_NONCE = ',"nonce":"'
_IMPORTED = ',"imported":{"at":"'
_EVIDENCE = ',"evidence":"'
_EVIDENCE_LENGTH = len(_EVIDENCE) + 64 + 1


class Read(NamedTuple):
    """What an audit needs of an entry."""

    data: Event
    stream: str
    version: int
    occurred_at: str
    recorded_at: str
    imported: Imported | UnsetType


class Reader:
    """Reads entries, one after the other. `InvalidEntry` as `decode_entry` raises it."""

    def __init__(self) -> None:
        self._seen: dict[str, Event] = {}
        #: Days that are in the calendar.
        self._days: set[str] = set()

    def read(self, stored: bytes) -> Read:
        """The entry of these bytes, which are its one canonical form."""
        found = self._recognised(stored)
        if found is None:
            entry = decode_entry(stored)
            return Read(entry.data, entry.stream, entry.version, entry.occurred_at, entry.recorded_at, entry.imported)
        data, (_, at, own, source, _, occurred_at, recorded_at, stream, version) = found
        return Read(data, stream, int(version), occurred_at, recorded_at, _imported(at, own, source))

    def entry(self, stored: bytes) -> Entry:
        """The same as a whole."""
        found = self._recognised(stored)
        if found is None:
            return decode_entry(stored)
        data, (evidence, at, own, source, nonce, occurred_at, recorded_at, stream, version) = found
        return make_entry(
            data,
            stream=stream,
            version=int(version),
            occurred_at=occurred_at,
            recorded_at=recorded_at,
            nonce=nonce,
            imported=_imported(at, own, source),
            evidence=UNSET if evidence is None else evidence,
        )

    def _recognised(self, stored: bytes) -> tuple[Event, Sequence[Any]] | None:
        """Data and the groups of `_REST`; None where only `decode_entry` can tell."""
        try:
            text = stored.decode()
        except UnicodeDecodeError:
            return None
        start = text.rfind(_NONCE)
        if start > 0 and text[start - 1] == "}":
            start = text.rfind(_IMPORTED, 0, start)
        if start > _EVIDENCE_LENGTH and text.startswith(_EVIDENCE, start - _EVIDENCE_LENGTH):
            start -= _EVIDENCE_LENGTH
        rest = _REST.fullmatch(text, start) if start > 0 and len(stored) <= LARGEST_ENTRY else None
        if rest is None:
            return None
        days = self._days
        for day in rest.group(*_TIMES):
            if day is not None and day[:10] not in days:
                return self._met(stored, text[:start], rest)
        data = self._seen.get(text[:start])
        return self._met(stored, text[:start], rest) if data is None else (data, rest.groups())

    def _met(self, stored: bytes, first: str, rest: re.Match[str]) -> tuple[Event, Sequence[Any]]:
        """Of a first part, or of days, that were not met before: what they say, once `decode_entry` let them pass."""
        data: Event = decode_entry(stored).data
        if len(self._seen) >= MOST_SEEN or len(self._days) >= MOST_SEEN:
            self._seen.clear()
            self._days.clear()
        if len(first) <= LONGEST_SEEN:
            self._seen[first] = data
        self._days.update(moment[:10] for moment in rest.group(*_TIMES) if moment is not None)
        return data, rest.groups()


def _imported(at: str | None, own: str | None, source: str) -> Imported | UnsetType:
    if at is None:
        return UNSET
    return Imported(at=at, source=source, recorded_at=UNSET if own is None else own)
