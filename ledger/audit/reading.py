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

from ledger.domain.entry import LARGEST_ENTRY, Entry, Imported, decode_entry, make_entry, topic_of
from ledger.domain.events import DataUsedForTraining, Event

#: First parts that are remembered: more than one catalogue and its surfaces make, less than a store of 100 MB.
MOST_SEEN = 4_096
LONGEST_SEEN = 2_048

_CLOCK = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
#: From the end of the event's topic to the end of the entry, of a subject's stream. A source is plain ASCII here; what
#: stands for a day or for hex digits may be anything, and is looked at after it.
_REST = re.compile(
    r'(?:,"evidence":"([0-9a-f]{64})")?'
    rf'(?:,"imported":\{{"at":"(.{{10}}{_CLOCK})"(?:,"recorded_at":"(.{{10}}{_CLOCK})")?'
    r',"source":"([ !#-\[\]-~]{1,256})"\})?'
    rf',"nonce":"(.{{32}})","occurred_at":"(.{{10}}{_CLOCK})","recorded_at":"(.{{10}}{_CLOCK})"'
    r',"stream":"(.{64})","v":1,"version":([1-9][0-9]{0,14})\}',
    re.DOTALL,
)
#: Its groups that are times.
_TIMES = (1, 2, 5, 6)
_NONCE = ',"nonce":"'
_IMPORTED = ',"imported":{"at":"'
_EVIDENCE = ',"evidence":"'
_USED = f'"event":"{topic_of(DataUsedForTraining)}"'
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
        imported = UNSET if at is None else _imported(at, own, source)
        return Read(data, stream, int(version), occurred_at, recorded_at, imported)

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
            imported=UNSET if at is None else _imported(at, own, source),
            evidence=UNSET if evidence is None else evidence,
        )

    def _recognised(self, stored: bytes) -> tuple[Event, Sequence[Any]] | None:
        """Data and the groups of `_REST`; None where only `decode_entry` can tell."""
        try:
            text = stored.decode()
        except UnicodeDecodeError:
            return None
        if _USED in text:
            # No two uses say the same.
            return None
        start = text.rfind(_NONCE)
        if start > 0 and text[start - 1] == "}":
            start = text.rfind(_IMPORTED, 0, start)
        if start > _EVIDENCE_LENGTH and text.startswith(_EVIDENCE, start - _EVIDENCE_LENGTH):
            start -= _EVIDENCE_LENGTH
        rest = _REST.fullmatch(text, start) if start > 0 and len(stored) <= LARGEST_ENTRY else None
        if rest is None:
            return None
        groups = rest.groups()
        _, at, own, _, nonce, occurred_at, recorded_at, stream, _ = groups
        if not (_is_hex(nonce) and _is_hex(stream)):
            return None
        data = self._seen.get(text[:start])
        days = self._days
        if (
            data is None
            or recorded_at[:10] not in days
            or occurred_at[:10] not in days
            or (at is not None and (at[:10] not in days or (own is not None and own[:10] not in days)))
        ):
            return self._met(stored, text[:start], groups), groups
        return data, groups

    def _met(self, stored: bytes, first: str, groups: Sequence[Any]) -> Event:
        """The data of a first part, or beside days, that were not met before, once `decode_entry` let them pass."""
        data: Event = decode_entry(stored).data
        if len(self._seen) >= MOST_SEEN or len(self._days) >= MOST_SEEN:
            self._seen.clear()
            self._days.clear()
        if len(first) <= LONGEST_SEEN:
            self._seen[first] = data
        self._days.update(groups[place][:10] for place in _TIMES if groups[place] is not None)
        return data


def _is_hex(text: str) -> bool:
    """Whether it is lower-case hex, of an even number of digits."""
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False


def _imported(at: str, own: str | None, source: str) -> Imported:
    return Imported(at=at, source=source, recorded_at=UNSET if own is None else own)
