"""An entry: one event as stored, the bytes that are hashed (FORMATS.md section 1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal, Union

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ledger.domain import events as e
from ledger.domain.names import (
    LOG_STREAM,
    RUN_PREFIX,
    TERMS_STREAM,
    Free,
    Hex32,
    Hex64,
    Positive,
    StreamName,
    TimeText,
    is_subject_stream,
)
from ledger.domain.times import parse_time
from ledger.errors import InvalidEntry, InvalidInput

#: Its length in an entry bundle of tlog-tiles has 16 bits.
LARGEST_ENTRY = 65_535


class Imported(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mark of an import: when the ledger took it in, from where, and the source's own time where it was moved."""

    at: TimeText
    source: Free
    recorded_at: TimeText | UnsetType = UNSET


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="event"):
    """One event as stored. Times stay the text that is hashed; `parse_time` reads them."""

    v: Literal[1] = 1
    stream: StreamName
    version: Positive
    occurred_at: TimeText
    recorded_at: TimeText
    nonce: Hex32
    imported: Imported | UnsetType = UNSET
    evidence: Hex64 | UnsetType = UNSET
    data: Any

    stream_of: ClassVar[str]

    def __post_init__(self) -> None:
        parse_time(self.occurred_at)
        parse_time(self.recorded_at)
        if self.imported is not UNSET:
            parse_time(self.imported.at)
            if self.imported.recorded_at is not UNSET:
                parse_time(self.imported.recorded_at)
        if not _belongs(self.stream, self.stream_of):
            raise ValueError(f"expected the event in {self.stream_of}, found stream {self.stream!r}")

    @property
    def event(self) -> str:
        return topic_of(type(self.data))

    @property
    def occurred(self) -> datetime:
        return datetime.fromisoformat(self.occurred_at)

    @property
    def recorded(self) -> datetime:
        return datetime.fromisoformat(self.recorded_at)


def _belongs(stream: str, kind: str) -> bool:
    match kind:
        case "a subject's stream":
            return is_subject_stream(stream)
        case "a run's stream":
            return stream.startswith(RUN_PREFIX)
        case _:
            return stream == kind


class TermsPublishedEntry(Entry, frozen=True, kw_only=True, tag="terms-published"):
    stream_of = TERMS_STREAM
    data: e.TermsPublished


class TermsShownEntry(Entry, frozen=True, kw_only=True, tag="terms-shown"):
    stream_of = "a subject's stream"
    data: e.TermsShown


class AcceptedEntry(Entry, frozen=True, kw_only=True, tag="accepted"):
    stream_of = "a subject's stream"
    data: e.Accepted


class ToggleChangedEntry(Entry, frozen=True, kw_only=True, tag="toggle-changed"):
    stream_of = "a subject's stream"
    data: e.ToggleChanged


class DataUsedForTrainingEntry(Entry, frozen=True, kw_only=True, tag="data-used-for-training"):
    stream_of = "a subject's stream"
    data: e.DataUsedForTraining


class SubjectErasedEntry(Entry, frozen=True, kw_only=True, tag="subject-erased"):
    stream_of = "a subject's stream"
    data: e.SubjectErased


class RunStartedEntry(Entry, frozen=True, kw_only=True, tag="run-started"):
    stream_of = "a run's stream"
    data: e.RunStarted


class RunFinishedEntry(Entry, frozen=True, kw_only=True, tag="run-finished"):
    stream_of = "a run's stream"
    data: e.RunFinished


class SubjectMapPublishedEntry(Entry, frozen=True, kw_only=True, tag="subject-map-published"):
    stream_of = LOG_STREAM
    data: e.SubjectMapPublished


_ENTRY_OF: dict[type[e.Event], type[Entry]] = {
    e.TermsPublished: TermsPublishedEntry,
    e.TermsShown: TermsShownEntry,
    e.Accepted: AcceptedEntry,
    e.ToggleChanged: ToggleChangedEntry,
    e.DataUsedForTraining: DataUsedForTrainingEntry,
    e.SubjectErased: SubjectErasedEntry,
    e.RunStarted: RunStartedEntry,
    e.RunFinished: RunFinishedEntry,
    e.SubjectMapPublished: SubjectMapPublishedEntry,
}
_TOPIC_OF: dict[type[e.Event], str] = {
    event: str(entry_class.__struct_config__.tag) for event, entry_class in _ENTRY_OF.items()
}
_EVENT_OF: dict[str, type[e.Event]] = {topic: event for event, topic in _TOPIC_OF.items()}
TOPICS: frozenset[str] = frozenset(_EVENT_OF)

_encoder = msgspec.json.Encoder(order="sorted")
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Union[tuple(_ENTRY_OF.values())])  # noqa: UP007 - made here


def topic_of(event: type[e.Event]) -> str:
    return _TOPIC_OF[event]


def event_of(topic: str) -> type[e.Event] | None:
    """The class of the events of a topic; inverse of `topic_of`."""
    return _EVENT_OF.get(topic)


def canonical(value: Any) -> bytes:
    """Canonical JSON (RFC 8785) of what entries allow: no floats, integers below 2^53, ASCII field names."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        raise InvalidEntry("expected text in Unicode, found a lone surrogate; send valid UTF-8") from None


def make_entry(
    event: e.Event,
    *,
    stream: str,
    version: int,
    occurred_at: str,
    recorded_at: str,
    nonce: str,
    imported: Imported | UnsetType = UNSET,
    evidence: str | UnsetType = UNSET,
) -> Entry:
    """The entry that holds `event`; its alphabets and lengths are not checked before `encode_entry` does."""
    return _ENTRY_OF[type(event)](
        stream=stream,
        version=version,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        nonce=nonce,
        imported=imported,
        evidence=evidence,
        data=event,
    )


def encode_entry(entry: Entry) -> bytes:
    """The bytes to store and hash; inverse of `decode_entry`, which is asked, so nothing invalid is ever stored."""
    stored = canonical(entry)
    decode_entry(stored)
    return stored


def beginning_of_imported(topic: str, data: bytes, imported: bytes) -> str:
    """How the entry of an import begins, for `encode_imported`; `data` and `imported` are canonical JSON."""
    return f'{{"data":{data.decode()},"event":"{topic}","imported":{imported.decode()},"nonce":"'


def encode_imported(beginning: str, stream: str, version: int, occurred_at: str, recorded_at: str, nonce: str) -> bytes:
    """What `encode_entry` gives for an import, of parts that are known to be right, and as entries write them.

    It is for thousands of entries that differ in little; nothing is checked.
    """
    return (
        f'{beginning}{nonce}","occurred_at":"{occurred_at}","recorded_at":"{recorded_at}"'
        f',"stream":"{stream}","v":1,"version":{version}}}'
    ).encode()


def decode_entry(stored: bytes) -> Entry:
    """The entry of these bytes; `InvalidEntry` unless they are its one canonical form."""
    if not 1 <= len(stored) <= LARGEST_ENTRY:
        raise InvalidEntry(f"expected an entry of 1 to {LARGEST_ENTRY} bytes, found {len(stored)}")
    try:
        entry = _decoder.decode(stored)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidInput) as error:
        raise InvalidEntry(f"expected an entry of a known event, found: {error}") from None
    if _encoder.encode(entry) != stored:
        raise InvalidEntry("expected canonical JSON (RFC 8785), found other bytes for the same entry")
    return entry
