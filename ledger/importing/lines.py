"""The lines of a JSON Lines file: cut, numbered, and read as strict JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from ledger.errors import InvalidInput

#: An entry has at most 65,535 bytes, and JSON may write one byte as six: no line that means an entry is longer
#: than this by much. It is what one line may cost in memory.
LONGEST_LINE = 256 * 1024
#: Of a longer line so much is shown: enough to find it again.
SHOWN_OF_LONGER = 4 * 1024

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class RawLine(Struct, frozen=True, gc=False):
    """One line as it stands in the file, from 1; of a longer one than allowed its beginning, and `length` in bytes."""

    number: int
    text: bytes
    length: int

    @property
    def is_too_long(self) -> bool:
        return self.length > LONGEST_LINE


def lines_of(file: BinaryIO) -> Iterator[RawLine]:
    """All lines but blank ones; never more of the file in memory than one line may have."""
    number = 0
    while text := file.readline(LONGEST_LINE + 2):
        number += 1
        length = len(text)
        if length <= LONGEST_LINE and text.endswith(b"}\n"):  # as almost every line
            yield RawLine(number, text[:-1], length - 1)
            continue
        if not text.endswith(b"\n") and length > LONGEST_LINE:
            while rest := file.readline(LONGEST_LINE):
                length += len(rest)
                if rest.endswith(b"\n"):
                    break
        line = text.rstrip(b"\r\n")
        if len(line) > LONGEST_LINE:
            yield RawLine(number, line[:SHOWN_OF_LONGER], max(length, len(line)))
        elif line.strip(b" \t\r"):
            yield RawLine(number, line, len(line))


def object_of(line: RawLine) -> dict[str, Any]:
    """The JSON object of a line; `InvalidInput` says why it is none."""
    if line.is_too_long:
        raise InvalidInput(f"expected a line of at most {LONGEST_LINE} bytes, found {line.length}")
    try:
        found = _decode(line.text)
        if _encode(found) != line.text and _encode(found) != msgspec.json.format(line.text, indent=-1):
            # Escapes or repeated names, of which the decoder keeps the last: only a slower parser can tell.
            json.loads(line.text, object_pairs_hook=_without_repeats)
    except RecursionError:
        raise InvalidInput("expected an object of a few levels, found JSON nested too deeply") from None
    except UnicodeError:
        raise InvalidInput("expected UTF-8, found other bytes") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(f"expected one JSON object a line, found: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput("expected one JSON object a line, found another value")
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"expected each name of an object once, found {repeated[:40]!r} twice")
