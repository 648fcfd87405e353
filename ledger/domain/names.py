"""The alphabets and lengths of names, and the names and keys of streams (FORMATS.md sections 1 and 3)."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from msgspec import Meta

from ledger.domain.times import TIME_PATTERN

NAME_PATTERN = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z"
#: No control characters: a name must survive any line-based format.
FREE_PATTERN = r"\A[^\x00-\x1f]{1,256}\Z"
HEX32_PATTERN = r"\A[0-9a-f]{32}\Z"
HEX64_PATTERN = r"\A[0-9a-f]{64}\Z"
STREAM_PATTERN = r"\A(?:[0-9a-f]{64}|terms|log|run/[A-Za-z0-9][A-Za-z0-9._-]{0,127})\Z"

#: Purposes, kinds and plans of one version of the terms; a person reads them all.
MOST_NAMES = 64
#: Integers of canonical JSON stay exact in every reader (RFC 8785, section 3.2.2.3).
LARGEST_INTEGER = 2**53 - 1

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Free = Annotated[str, Meta(pattern=FREE_PATTERN)]
Text = Annotated[str, Meta(min_length=1)]
Hex32 = Annotated[str, Meta(pattern=HEX32_PATTERN)]
Hex64 = Annotated[str, Meta(pattern=HEX64_PATTERN)]
StreamName = Annotated[str, Meta(pattern=STREAM_PATTERN)]
TimeText = Annotated[str, Meta(pattern=TIME_PATTERN)]
Natural = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
Positive = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]

TERMS_STREAM = "terms"
LOG_STREAM = "log"
RUN_PREFIX = "run/"
SUBJECT_ID_BYTES = 16

_NAME = re.compile(NAME_PATTERN)
_FREE = re.compile(FREE_PATTERN)
_SUBJECT_STREAM = re.compile(HEX64_PATTERN)


def is_name(text: str) -> bool:
    """Whether `text` may be a run id, a purpose id, a kind or a version of terms."""
    return _NAME.match(text) is not None


def is_free(text: str) -> bool:
    """Whether `text` may be a free string of an event, such as a plan or a reason."""
    return _FREE.match(text) is not None and not any("\ud800" <= character <= "\udfff" for character in text)


def is_subject_stream(stream: str) -> bool:
    return _SUBJECT_STREAM.match(stream) is not None


def run_stream(run: str) -> str:
    return RUN_PREFIX + run


def subject_stream(subject_id: bytes) -> str:
    """The stream of a subject: its stream key K in hex."""
    if len(subject_id) != SUBJECT_ID_BYTES:
        raise ValueError(f"a subject id has {SUBJECT_ID_BYTES} bytes, found {len(subject_id)}")
    return hashlib.sha256(b"consent-ledger/v1/subject\n" + subject_id).hexdigest()


def stream_key(stream: str) -> bytes:
    """The stream key K, 32 bytes, of any stream by its name in an entry."""
    if is_subject_stream(stream):
        return bytes.fromhex(stream)
    return hashlib.sha256(b"consent-ledger/v1/name\n" + stream.encode()).digest()
