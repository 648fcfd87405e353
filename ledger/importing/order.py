"""In which order the lines of a file are taken: person by person, and each person's as they were recorded.

So a stream is read, linked and appended to once, and whoever is there after a killed import is there whole. The people
follow each other by a digest that nobody can compute who has not the file: the log's positions must not say where in an
alphabet a name stands. Where a person may have several names in one file, by a subject id or a stream key, all lines
are taken as they were recorded instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ledger.errors import InvalidInput
from ledger.importing.lines import RawLine
from ledger.importing.plain import Reader
from ledger.store.identities import OTHER_NAMES

#: So much of a file's beginning makes the order its own.
SALT_BYTES = 64 * 1024
#: Digits, for what is sorted has no newline: of the digest, and of the line's number.
_WHO_BYTES = 32
_TIME_BYTES = len("2025-09-28T00:00:00.000000Z")
_NUMBER_BYTES = 15
_PLACE_BYTES = _WHO_BYTES + _TIME_BYTES
_KEY_BYTES = _PLACE_BYTES + _NUMBER_BYTES


class _Peeked(Struct, gc=False):
    """What the order goes by; whether all the rest is right is seen when the line's turn has come."""

    occurred_at: str
    recorded_at: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    run: str | UnsetType = UNSET


_peek = msgspec.json.Decoder(_Peeked).decode


class NamedOtherwise(Exception):
    """A line names a person by something else than the identity."""


class Order:
    """Lines as bytes that sort in the order they are taken in, and those again as lines."""

    def __init__(self, reader: Reader, beginning: bytes, by_person: bool) -> None:
        self._reader = reader
        self._salted = hashlib.sha256(beginning)
        self._by_person = by_person
        self._together = _WHO_BYTES if by_person else _PLACE_BYTES

    def placed(self, raw: RawLine) -> bytes:
        """A line with its place; `InvalidInput` says why it can have none."""
        known = None if raw.is_too_long else self._reader.known(raw)
        named, recorded = (known.named, known.recorded_at) if known is not None else self._peeked(raw)
        salted = self._salted.copy()
        salted.update(named.encode())
        who = salted.hexdigest()[:_WHO_BYTES]
        place = who + recorded if self._by_person else recorded + who
        return (place + str(raw.number).zfill(_NUMBER_BYTES)).encode() + raw.text

    def _peeked(self, raw: RawLine) -> tuple[str, str]:
        """Of whom or what a line is, and when it was recorded."""
        try:
            if raw.is_too_long:
                raise InvalidInput("it was cut")
            found = _peek(raw.text)
            given = found.occurred_at if found.recorded_at is UNSET else found.recorded_at
            named = found.run if found.subject is UNSET else found.subject
            if named is UNSET:
                raise InvalidInput("it names nobody")
            recorded = self._reader.exact(given)
            named.encode()
        except (msgspec.MsgspecError, UnicodeError, RecursionError, InvalidInput) as error:
            self._reader.line(raw)  # says it as it is said of every line
            raise InvalidInput(f"expected an import line, found: {error}") from None
        if self._by_person and named.startswith(OTHER_NAMES):
            raise NamedOtherwise
        return named, recorded

    def batches(self, placed: Iterable[bytes], most_lines: int, most_bytes: int, most: int) -> Iterator[list[bytes]]:
        """Batches of about so many lines or bytes; what belongs together stays so, unless it is more than `most`."""
        batch: list[bytes] = []
        size, last, together = 0, b"", self._together
        for line in placed:
            if (len(batch) >= most_lines or size >= most_bytes) and (line[:together] != last or len(batch) >= most):
                yield self._in_time(batch)
                batch, size = [], 0
            batch.append(line)
            size += len(line)
            last = line[:together]
        if batch:
            yield self._in_time(batch)

    def _in_time(self, batch: list[bytes]) -> list[bytes]:
        """Within a batch nobody's lines are missing, so all can be taken as they were recorded."""
        if self._by_person:
            batch.sort(key=lambda line: line[_WHO_BYTES:_KEY_BYTES])
        return batch


def raw_of(placed: bytes) -> RawLine:
    """The line that was placed; inverse of `Order.placed`."""
    text = placed[_KEY_BYTES:]
    return RawLine(int(placed[_PLACE_BYTES:_KEY_BYTES]), text, len(text))
