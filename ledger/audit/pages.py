"""Entries read a page at a time, in columns: what repeats is known by its bytes, and the rest is checked all at once.

People are shown the same few terms and answer in the same few ways. All of an entry before its nonce (the data, the
topic, the mark of an import) then stood in one that was decoded strictly; all after it has its fixed place. One pass of
C over the joined ends of a page says whether they are right, where Python would look at each. That such an entry is one
to `decode_entry` too, and with these values, is held by a property test; every other entry is read by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from struct import Struct
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from ledger.audit.reading import LONGEST_SEEN, MOST_SEEN, Read
from ledger.domain.entry import Imported
from ledger.domain.events import Accepted, Event, TermsShown, ToggleChanged
from ledger.domain.times import parse_time
from ledger.errors import InvalidInput

_T = TypeVar("_T")
#: What repeats: of an event of any other kind no two say the same.
_REPEATED = (TermsShown, Accepted, ToggleChanged)
_NONCE = b',"nonce":"'
#: From the nonce to the version, where nothing but hex digits and times differs, and all has one length.
_NAMES = (_NONCE, b'","occurred_at":"', b'","recorded_at":"', b'","stream":"', b'","v":1,"version":')
_LENGTHS = (32, 27, 27, 64, 0)
_VALUES = Struct("".join(f"{len(name)}x{length}s" for name, length in zip(_NAMES, _LENGTHS, strict=True)))
#: The names with zeros in the place of values, and ones in the place of names.
_NAMED = b"".join(name + bytes(length) for name, length in zip(_NAMES, _LENGTHS, strict=True))
_MASK = bytes(255 if byte else 0 for byte in _NAMED)
_CLOCKS = re.compile(rb"(?:.{10}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z)*", re.DOTALL).fullmatch
_DAY = 10
_KEY = 32
_is_version = re.compile(rb"[1-9][0-9]{0,14}\}").fullmatch


class Kind(msgspec.Struct, frozen=True, eq=False, gc=False):
    """All of an entry before its nonce, which others share. Each is equal to itself alone, so that sets are fast."""

    number: int
    head: bytes
    data: Event
    imported: Imported | UnsetType
    #: Of an import when it was, as entries write it; nothing where it is none.
    at: bytes
    #: Whether the import moved the source's own time.
    moved: bool
    #: The terms that it names as shown or accepted.
    terms: str | None


class Columns(NamedTuple):
    """A page, one place an entry; beside those without a kind stands nothing yet."""

    kinds: list[Kind | None]
    nonces: list[bytes]
    occurred: list[bytes]
    recorded: list[bytes]
    keys: list[bytes]
    versions: list[int]

    def only(self, wanted: Sequence[bool]) -> Columns:
        """Without the entries that are not wanted."""
        kinds, nonces, occurred, recorded, keys, versions = (list(compress(column, wanted)) for column in self)
        return Columns(kinds, nonces, occurred, recorded, keys, versions)  # type: ignore[arg-type]


class Pages:
    """Reads pages, one after the other; `meet` is told of every entry that had to be read by itself."""

    def __init__(self, next_number: int) -> None:
        self._kinds: dict[bytes, Kind] = {}
        self._once: set[bytes] = set()
        self._days: set[bytes] = set()
        self.next_number = next_number
        #: The numbers and entries of kinds that were not known before, until somebody takes them away.
        self.new: list[tuple[int, bytes]] = []

    def read(self, stored: Sequence[bytes]) -> Columns:
        """What is known of these entries."""
        cuts = [entry.rfind(_NONCE) for entry in stored]
        known = self._kinds.get
        kinds = [known(entry[:cut]) for entry, cut in zip(stored, cuts, strict=True)]
        places = [place for place, kind in enumerate(kinds) if kind is not None]
        ends = [stored[place][cuts[place] : cuts[place] + _VALUES.size] for place in places]
        versions = [_version(stored[place][cuts[place] + _VALUES.size :]) for place in places]
        found = self._checked(ends) if places and all(versions) else None
        if found is None:
            # None is known, or one is wrong, and reading each by itself tells which.
            places, versions, found = [], [], ([], [], [], [])
            kinds = [None] * len(stored)
        nonces, occurred, recorded, keys = (_spread(column, places, len(stored), b"") for column in found)
        return Columns(kinds, nonces, occurred, recorded, keys, _spread(versions, places, len(stored), 0))

    def _checked(self, ends: Sequence[bytes]) -> tuple[list[bytes], list[bytes], list[bytes], list[bytes]] | None:
        """Nonces, times and stream keys of these ends; None where one of them is not as an entry has it."""
        joined = b"".join(ends)
        if set(map(len, ends)) != {_VALUES.size} or not _are_named(joined, len(ends)):
            return None
        nonces, occurred, recorded, streams, _ = zip(*_VALUES.iter_unpack(joined), strict=True)
        if not self._are_times(recorded) or (occurred != recorded and not self._are_times(occurred)):
            return None
        if _from_hex(nonces) is None or (keys := _from_hex(streams)) is None:
            return None
        cut = [keys[start : start + _KEY] for start in range(0, len(keys), _KEY)]
        return list(nonces), list(occurred), list(recorded), cut

    def _are_times(self, times: Sequence[bytes]) -> bool:
        return _CLOCKS(b"".join(times)) is not None and all(
            day in self._days or self._is_day(day) for day in {time[:_DAY] for time in times}
        )

    def _is_day(self, day: bytes) -> bool:
        """Whether the calendar has it."""
        try:
            parse_time(f"{day.decode()}T00:00:00.000000Z")
        except (UnicodeDecodeError, InvalidInput):
            return False
        if len(self._days) >= MOST_SEEN:
            self._days.clear()
        self._days.add(day)
        return True

    def meet(self, stored: bytes, read: Read) -> None:
        """An entry that is one: where it begins as another that was met, all that do are of one kind from now on."""
        head = stored[: stored.rfind(_NONCE)]
        # Evidence differs from entry to entry.
        if not isinstance(read.data, _REPEATED) or len(head) > LONGEST_SEEN or b',"evidence":"' in head:
            return
        if head not in self._once:
            if len(self._once) >= MOST_SEEN:
                self._once.clear()
            self._once.add(head)
            return
        if len(self._kinds) >= MOST_SEEN:
            self._kinds.clear()
        self._kinds[head] = kind_of(self.next_number, stored, read)
        self.new.append((self.next_number, stored))
        self.next_number += 1


def kind_of(number: int, stored: bytes, read: Read) -> Kind:
    """The kind of an entry."""
    mark = read.imported
    return Kind(
        number,
        stored[: stored.rfind(_NONCE)],
        read.data,
        mark,
        b"" if mark is UNSET else mark.at.encode(),
        mark is not UNSET and mark.recorded_at is not UNSET,
        None if isinstance(read.data, ToggleChanged) else read.data.terms,  # type: ignore[union-attr]
    )


def entry_of(kind: Kind, nonce: bytes, occurred: bytes, recorded: bytes, key: bytes, version: int) -> bytes:
    """The bytes of the entry that was read so."""
    values = (nonce, occurred, recorded, key.hex().encode(), b"%d}" % version)
    return kind.head + b"".join(part for pair in zip(_NAMES, values, strict=True) for part in pair)


@lru_cache(maxsize=MOST_SEEN)
def _version(text: bytes) -> int:
    """The version at the very end of an entry; 0 where it is none."""
    return int(text[:-1]) if _is_version(text) else 0


def _spread(column: list[_T], places: Sequence[int], size: int, nothing: _T) -> list[_T]:
    """The same values at these places of a longer column."""
    if len(column) == size:
        return column
    wide = [nothing] * size
    for place, value in zip(places, column, strict=True):
        wide[place] = value
    return wide


def _are_named(joined: bytes, count: int) -> bool:
    """Whether the names stand where they must: all of a page is one number, of which all but they are masked."""
    mask, named = _numbers(count)
    return int.from_bytes(joined, "big") & mask == named


@lru_cache(maxsize=16)
def _numbers(count: int) -> tuple[int, int]:
    return int.from_bytes(_MASK * count, "big"), int.from_bytes(_NAMED * count, "big")


def _from_hex(column: Sequence[bytes]) -> bytes | None:
    """The bytes of digits, which must be lower case."""
    text = b"".join(column)
    try:
        found = bytes.fromhex(text.decode())
    except ValueError:
        return None
    return found if found.hex().encode() == text else None
