"""Decoding many entries: with the answers of `decode_entry`, what repeats decoded once, and the rest page by page.

Of an entry's parts `data` costs most, and thousands of people were shown the same and clicked the same. So it is read
in full where these bytes come for the first time, and known after that. All else of an entry is looked at each time,
but in one go for a page: its lines are cut into parts, the parts encoded again must be the same lines, and what
the alphabets ask of nonces, streams and times is asked of all of them together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ledger.domain.entry import LARGEST_ENTRY, Entry, decode_entry
from ledger.domain.events import Accepted, TermsShown, ToggleChanged
from ledger.domain.names import Positive
from ledger.errors import InvalidEntry

#: Entries that are looked at together: their bytes, parts and columns stay in a processor's cache.
PAGE = 500
#: Data and marks of imports that are remembered: some kilobytes each.
MOST_KINDS = 5_000
_REPEATED = (TermsShown, Accepted, ToggleChanged)

_HEX = b"0123456789abcdef"
#: Any time, its digits made zeros: what is left to be asked of digits is whether the calendar has them.
_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_SHAPE = b"0000-00-00T00:00:00.000000Z"
_FIRST = "1970"


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
    evidence: Raw | UnsetType = UNSET
    imported: Raw | UnsetType = UNSET
    nonce: str
    occurred_at: str
    recorded_at: str
    stream: str
    v: Literal[1]
    version: Positive


_decode_lines = msgspec.json.Decoder(_Parts).decode_lines
_encode_lines = msgspec.json.Encoder().encode_lines
_decode_moments = msgspec.json.Decoder(list[datetime]).decode


class Decoder:
    """Decodes the entries of one reading."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, bytes], Any] = {}
        self._marks: set[bytes] = set()

    def decode(self, entries: Sequence[bytes]) -> Iterator[Entry | Repeated]:
        """Each of some entries, or as much of it as is asked for in bulk; `InvalidEntry` where `decode_entry` says so,
        after the entries before it."""
        for first in range(0, len(entries), PAGE):
            page = entries[first : first + PAGE]
            try:
                found = self._together(page)
            except InvalidEntry:
                found = None
            yield from map(decode_entry, page) if found is None else found

    def _together(self, page: Sequence[bytes]) -> list[Entry | Repeated] | None:
        """The entries of a page; none, or `InvalidEntry`, where not all are well-formed."""
        parts = _cut(page)
        if not parts:
            return None
        # A column a field: what is asked of all of a column is asked once.
        occurred = _moments([one.occurred_at for one in parts])
        recorded = _moments([one.recorded_at for one in parts])
        if occurred is None or recorded is None or not _are_hex([one.nonce for one in parts], 32):
            return None
        kinds = self._kinds
        data: list[Any] = [kinds.get((one.event, bytes(one.data))) for one in parts]
        alone: dict[int, Entry] = {}
        for number in self._unknown(parts, data):
            data[number] = known = self._data_of(parts[number], page[number])
            if isinstance(known, Entry):
                alone[number] = known
        # An entry that was decoded alone may be of another stream than a subject's.
        if not _are_hex([one.stream for number, one in enumerate(parts) if number not in alone], 64):
            return None
        found: list[Entry | Repeated] = [
            Repeated(one.stream, one.version, one.event, when, known, one.imported, of)
            for one, when, known, of in zip(parts, occurred, recorded, data, strict=True)
        ]
        for number, entry in alone.items():
            found[number] = entry
        return found

    def _unknown(self, parts: list[_Parts], data: list[Any]) -> list[int]:
        """The entries of which something besides the page's columns is to be looked at."""
        marks = self._marks
        return [
            number
            for number, (one, known) in enumerate(zip(parts, data, strict=True))
            if known is None
            or one.evidence is not UNSET
            or (one.imported is not UNSET and bytes(one.imported) not in marks)
        ]

    def _data_of(self, parts: _Parts, stored: bytes) -> Any:
        """The data where they, and the mark, are known by now; else the entry, decoded alone."""
        data = self._kinds.get((parts.event, bytes(parts.data)))
        is_known = data is not None and (parts.imported is UNSET or bytes(parts.imported) in self._marks)
        if is_known and parts.evidence is UNSET:
            return data
        entry = decode_entry(stored)
        if isinstance(entry.data, _REPEATED):
            for known in (self._kinds, self._marks):
                if len(known) >= MOST_KINDS:
                    known.clear()
            self._kinds[parts.event, bytes(parts.data)] = entry.data
            if parts.imported is not UNSET:
                self._marks.add(bytes(parts.imported))
        return entry


def _cut(page: Sequence[bytes]) -> list[_Parts] | None:
    """The parts of each entry, if these bytes are what the parts make; what the parts are is not looked at yet."""
    lines = b"\n".join(page) + b"\n"
    try:
        parts = _decode_lines(lines)
        same = _encode_lines(parts) == lines
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    # With so many line ends there is none within an entry, so each is what its own parts make.
    is_whole = same and len(parts) == len(page) == lines.count(b"\n")
    return parts if is_whole and max(map(len, page), default=0) <= LARGEST_ENTRY else None


def _are_hex(texts: Sequence[str], length: int) -> bool:
    return set(map(len, texts)) <= {length} and not "".join(texts).encode().translate(None, _HEX)


def _moments(texts: Sequence[str]) -> list[datetime] | None:
    """The moments, if each text is as `parse_time` has it."""
    joined = '","'.join(texts).encode()
    if joined.translate(_DIGITS_AS_ZEROS) != b'","'.join([_SHAPE] * len(texts)) or min(texts, default=_FIRST) < _FIRST:
        return None
    try:
        return _decode_moments(b'["' + joined + b'"]')
    except msgspec.ValidationError:
        return None
