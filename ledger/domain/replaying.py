"""Decoding entries one after another: with the answers of `decode_entry`, and what repeats decoded once.

Of an entry's parts `data` costs most, and thousands of people were shown the same and clicked the same. So it is read
in full where these bytes come for the first time, and known after that; all else of the entry is looked at each time.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ledger.domain.entry import LARGEST_ENTRY, Entry, decode_entry
from ledger.domain.events import Accepted, TermsShown, ToggleChanged
from ledger.domain.names import Hex32, Positive
from ledger.domain.times import TIME_PATTERN

#: Data and marks of imports that are remembered: some kilobytes each.
MOST_KINDS = 5_000
_REPEATED = (TermsShown, Accepted, ToggleChanged)
_is_time = re.compile(TIME_PATTERN).match
_is_subject = re.compile(r"\A[0-9a-f]{64}\Z").match
_when = datetime.fromisoformat


class Repeated(Struct, gc=False, frozen=True):
    """An entry whose data stood in another: as much of it as a fold, or a row, is made of."""

    stream: str
    version: int
    event: str
    occurred: datetime
    recorded: datetime
    imported: Raw | UnsetType
    data: Any


class _Parts(Struct, gc=False, kw_only=True, forbid_unknown_fields=True):
    """An entry cut into its parts; the fields in the order of canonical JSON."""

    data: Raw
    event: str
    imported: Raw | UnsetType = UNSET
    nonce: Hex32
    occurred_at: str
    recorded_at: str
    stream: str
    v: Literal[1]
    version: Positive


_decode = msgspec.json.Decoder(_Parts).decode
_encode = msgspec.json.Encoder().encode


class Decoder:
    """Decodes the entries of one reading."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, bytes], Any] = {}
        self._marks: set[bytes] = set()
        self._days: set[str] = set()
        self._stream = ""

    def decode(self, stored: bytes) -> Entry | Repeated:
        """The entry, or as much of it as is asked for in bulk; `InvalidEntry` where `decode_entry` says so."""
        try:
            parts = _decode(stored)
            data = self._kinds.get((parts.event, bytes(parts.data)))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return decode_entry(stored)
        if data is None or not self._is_well_formed(parts, stored):
            return self._with_care(stored, parts)
        return Repeated(
            parts.stream,
            parts.version,
            parts.event,
            _when(parts.occurred_at),
            _when(parts.recorded_at),
            parts.imported,
            data,
        )

    def _is_well_formed(self, parts: _Parts, stored: bytes) -> bool:
        """Whether all but the data, which are known, is as `decode_entry` has it."""
        if parts.stream != self._stream:
            if not _is_subject(parts.stream):
                return False
            self._stream = parts.stream
        return (
            (parts.imported is UNSET or bytes(parts.imported) in self._marks)
            and self._is_moment(parts.occurred_at)
            and self._is_moment(parts.recorded_at)
            and _encode(parts) == stored
            and len(stored) <= LARGEST_ENTRY
        )

    def _is_moment(self, text: str) -> bool:
        return _is_time(text) is not None and text[:10] in self._days

    def _with_care(self, stored: bytes, parts: _Parts) -> Entry:
        entry = decode_entry(stored)
        if isinstance(entry.data, _REPEATED):
            for known in (self._kinds, self._marks, self._days):
                if len(known) >= MOST_KINDS:
                    known.clear()
            self._kinds[parts.event, bytes(parts.data)] = entry.data
            self._days |= {entry.occurred_at[:10], entry.recorded_at[:10]}
            if parts.imported is not UNSET:
                self._marks.add(bytes(parts.imported))
        return entry
