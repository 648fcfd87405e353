"""Server-sent events out of the bytes of a stream, as the HTML standard reads them (section 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from ledger.errors import Unavailable

#: The row of a person with 100,000 decisions; a line that never ends must not fill the memory.
LARGEST_EVENT = 16 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Event(Struct, frozen=True):
    """One event; `id` is its own, and None where it brought none."""

    event: str
    data: bytes
    id: str | None


def events_of(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The events; what was begun when the stream ends is dropped, as the standard demands."""
    name, data, size, given_id = "message", list[bytes](), 0, None
    for line in _lines(chunks):
        if not line:
            if data:
                yield Event(name, b"\n".join(data), given_id)
            name, data, size, given_id = "message", [], 0, None
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"event":
                name = value.decode("utf-8", "replace")
            case b"data":
                data.append(value)
                size += len(value) + 1
                if size > LARGEST_EVENT:
                    raise _too_large()
            case b"id":
                given_id = value.decode("utf-8", "replace")
            case _:
                pass  # a comment, `retry`, and what later standards may bring


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends; a lone CR at the end of a chunk waits for the next one, which may begin with its LF."""
    waiting = list[bytes]()
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size > LARGEST_EVENT:
            raise _too_large()
        if b"\n" not in chunk and b"\r" not in chunk and not waiting[0].endswith(b"\r"):
            continue
        text = b"".join(waiting)
        held = b"\r" if text.endswith(b"\r") else b""
        *lines, rest = _LINE_END.split(text.removesuffix(b"\r") if held else text)
        yield from lines
        waiting = [rest + held] if rest or held else []
        size = len(rest) + len(held)


def _too_large() -> Unavailable:
    return Unavailable(
        f"expected an event of at most {LARGEST_EVENT} bytes, found a larger one; it is not the ledger's"
    )
