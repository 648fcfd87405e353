"""Arrays as PostgreSQL takes them in binary, made at one go: each element by itself costs more than it carries."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper

_BOOLEAN, _BYTES, _INTEGER, _TEXT = 16, 17, 23, 25  # the types' numbers, the same in every PostgreSQL
_INT = struct.Struct("!i")
_EMPTY = struct.Struct("!iii")
_ONE_DIMENSION = struct.Struct("!iiiii")


class Array:
    """One array of one dimension, without nulls; the statement says by a cast of what."""

    def __init__(self, of: int, count: int, elements: bytes) -> None:
        # The numbers of dimensions and of nulls, the type, and of each dimension the length and where it counts from.
        header = _ONE_DIMENSION.pack(1, 0, of, count, 1) if count else _EMPTY.pack(0, 0, of)
        self.dumped = header + elements


class _ArrayDumper(Dumper):
    format = pq.Format.BINARY

    def dump(self, obj: Array) -> bytes:
        return obj.dumped


def register(context: AdaptContext) -> None:
    """Lets a connection send arrays."""
    context.adapters.register_dumper(Array, _ArrayDumper)


def of_bytes(values: Sequence[bytes]) -> Array:
    """A `bytea[]`."""
    return Array(_BYTES, len(values), _elements(values))


def of_texts(values: Sequence[str]) -> Array:
    """A `text[]`."""
    return Array(_TEXT, len(values), _elements([value.encode() for value in values]))


def of_integers(values: Sequence[int]) -> Array:
    """An `integer[]`."""
    return Array(_INTEGER, len(values), _of_width(_INT.size, map(_INT.pack, values)))


def of_booleans(values: Sequence[bool]) -> Array:
    """A `boolean[]`."""
    return Array(_BOOLEAN, len(values), _of_width(1, [b"\1" if value else b"\0" for value in values]))


def _elements(values: Sequence[bytes]) -> bytes:
    lengths = set(map(len, values))
    if len(lengths) == 1 and 0 not in lengths:  # digests and ids
        return _of_width(lengths.pop(), values)
    length = _INT.pack
    return b"".join([part for value in values for part in (length(len(value)), value)])


def _of_width(width: int, elements: Iterable[bytes]) -> bytes:
    length = _INT.pack(width)
    joined = length.join(elements)
    return length + joined if joined else b""
