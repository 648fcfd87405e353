"""Decoding entries fast: what was checked once of an event's data is not checked again for each that says the same.

An entry is its data and topic, then evidence and import mark, then nonce, times, stream and version (RFC 8785 sorts
the names so). People are shown the same few terms and answer in the same few ways, so the first part repeats, and the
rest is one regular expression. Whatever does not fit it, and every new first part, goes through `decode_entry`; that
both agree is held by a property test.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from ledger.domain.entry import LARGEST_ENTRY, Imported, decode_entry
from ledger.domain.events import Event

#: First parts that are remembered: more than one catalogue and its surfaces make, less than a store of 100 MB.
MOST_SEEN = 4_096
LONGEST_SEEN = 2_048

_TIME = r"(?:19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
#: From the end of the event's topic to the end of the entry, of a subject's stream. A source is plain ASCII here.
_REST = re.compile(
    r'(?:,"evidence":"[0-9a-f]{64}")?'
    rf'(?:,"imported":\{{"at":"({_TIME})"(?:,"recorded_at":"({_TIME})")?,"source":"([ !#-\[\]-~]{{1,256}})"\}})?'
    rf',"nonce":"[0-9a-f]{{32}}","occurred_at":"({_TIME})","recorded_at":"({_TIME})"'
    r',"stream":"([0-9a-f]{64})","v":1,"version":([1-9][0-9]{0,14})\}',
)
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
        try:
            text = stored.decode()
        except UnicodeDecodeError:
            return self._decoded(stored)
        start = text.rfind(_NONCE)
        if start > 0 and text[start - 1] == "}":
            start = text.rfind(_IMPORTED, 0, start)
        if start > _EVIDENCE_LENGTH and text.startswith(_EVIDENCE, start - _EVIDENCE_LENGTH):
            start -= _EVIDENCE_LENGTH
        if start < 1 or len(stored) > LARGEST_ENTRY:
            return self._decoded(stored)
        rest = _REST.fullmatch(text, start)
        if rest is None:
            return self._decoded(stored)
        first = text[:start]
        data = self._seen.get(first)
        if data is None:
            read = self._decoded(stored)
            self._remember(first, read.data)
            return read
        at, own, source, occurred_at, recorded_at, stream, version = rest.groups()
        days = self._days
        if occurred_at[:10] not in days or recorded_at[:10] not in days:
            return self._decoded(stored)
        imported: Imported | UnsetType = UNSET
        if at is not None:
            if at[:10] not in days or (own is not None and own[:10] not in days):
                return self._decoded(stored)
            imported = Imported(at=at, source=source, recorded_at=UNSET if own is None else own)
        return Read(data, stream, int(version), occurred_at, recorded_at, imported)

    def _decoded(self, stored: bytes) -> Read:
        entry = decode_entry(stored)
        imported = entry.imported
        read = Read(entry.data, entry.stream, entry.version, entry.occurred_at, entry.recorded_at, imported)
        self._days |= {read.occurred_at[:10], read.recorded_at[:10]}
        if imported is not UNSET:
            self._days.add(imported.at[:10])
            if imported.recorded_at is not UNSET:
                self._days.add(imported.recorded_at[:10])
        if len(self._days) > MOST_SEEN:
            self._days.clear()
        return read

    def _remember(self, first: str, data: Event) -> None:
        if len(first) > LONGEST_SEEN:
            return
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen[first] = data
