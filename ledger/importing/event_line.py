"""An import line: one event that happened elsewhere, as its source gives it (design, section 10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.domain.defaults import kind_meant, purpose_meant
from ledger.domain.entry import canonical, event_of
from ledger.domain.events import Accepted, DataUsedForTraining, RunStarted, SubjectEvent, TermsShown, ToggleChanged
from ledger.domain.names import Name, run_stream
from ledger.domain.recording import Request
from ledger.domain.terms import Catalogue
from ledger.domain.times import format_time, parse_given_time
from ledger.errors import InvalidInput
from ledger.importing.lines import RawLine, object_of
from ledger.store.identities import LONGEST_IDENTITY, parse_subject

#: A key may be an identity of the source's, and is no longer than one.
Key = Annotated[str, Meta(pattern=rf"\A[^\x00-\x1f]{{1,{LONGEST_IDENTITY}}}\Z")]

_IMPORTABLE = (TermsShown, Accepted, ToggleChanged, DataUsedForTraining, RunStarted)
_NOT_IMPORTED = {
    "terms-published": "publish terms with `consent terms publish`",
    "subject-erased": "erase a person with `consent erase`, which deletes what is erasable too",
    "run-finished": "it says that the gate recorded every use of a run, and only the gate can say so",
    "subject-map-published": "the log writes it itself",
}


class _Fields(Struct, frozen=True, forbid_unknown_fields=True):
    """What an import line may have. A field that does not apply is absent, never null."""

    event: str
    occurred_at: str
    data: dict[str, Any]
    subject: str | UnsetType = UNSET
    run: Name | UnsetType = UNSET
    recorded_at: str | UnsetType = UNSET
    key: Key | UnsetType = UNSET


class EventLine(Struct, frozen=True, gc=False):
    """One valid line. What it is about is `named` by its subject, or is the run of that stream."""

    raw: RawLine
    event: SubjectEvent | RunStarted
    occurred: datetime
    recorded: datetime
    #: Whether the line itself says when it was recorded.
    says_recorded: bool
    named: str | None
    run: str | None
    key: str | None
    #: The canonical JSON of the fields given.
    given: bytes

    @property
    def moment(self) -> tuple[datetime, str]:
        """When it was recorded, and of whom or what."""
        return self.recorded, self.named or self.run or ""

    @property
    def order(self) -> tuple[datetime, str, int]:
        """A subject's lines are taken as they were recorded, and those of one moment as they stand in the file."""
        return self.recorded, self.named or self.run or "", self.raw.number

    def request(self, source: str) -> Request:
        """What the line asks to record."""
        return Request(
            event=cast(SubjectEvent, self.event),
            occurred=self.occurred,
            recorded=self.recorded if self.says_recorded else None,
            source=source,
        )


def event_line(raw: RawLine, catalogue: Catalogue) -> EventLine:
    """The event of a line; `InvalidInput` says what is missing, unknown or wrong."""
    given = object_of(raw)
    try:
        fields = msgspec.convert(given, _Fields)
        event = _event_of(fields, catalogue)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"expected the fields of an import line, found: {error}") from None
    occurred = _time(fields.occurred_at, "occurred_at")
    recorded = occurred if fields.recorded_at is UNSET else _time(fields.recorded_at, "recorded_at")
    named, run = _about(fields, event)
    return EventLine(
        raw=raw,
        event=event,
        occurred=occurred,
        recorded=recorded,
        says_recorded=fields.recorded_at is not UNSET,
        named=named,
        run=run,
        key=None if fields.key is UNSET else fields.key,
        given=canonical(given),
    )


def _about(fields: _Fields, event: SubjectEvent | RunStarted) -> tuple[str | None, str | None]:
    """The subject's name, or the stream of the run."""
    if isinstance(event, RunStarted):
        if fields.run is UNSET or fields.subject is not UNSET:
            raise InvalidInput("expected `run`, and no `subject`, on a line of run-started")
        if fields.key is not UNSET:
            raise InvalidInput("expected no `key` on a line of run-started, found one; a run has its name for a key")
        return None, run_stream(fields.run)
    if fields.subject is UNSET or fields.run is not UNSET:
        raise InvalidInput(f"expected `subject`, and no `run` beside it, on a line of {fields.event}")
    parse_subject(fields.subject)
    return fields.subject, None


def _event_of(fields: _Fields, catalogue: Catalogue) -> SubjectEvent | RunStarted:
    event_class = event_of(fields.event)
    if event_class not in _IMPORTABLE:
        why = _NOT_IMPORTED.get(fields.event, f"one of {', '.join(_FILL_IN)} can be")
        raise InvalidInput(f"expected an event that can be imported, found {fields.event[:40]!r}; {why}")
    data = dict(fields.data)
    _FILL_IN[fields.event](data, catalogue)
    return cast(SubjectEvent | RunStarted, msgspec.convert(data, event_class))


# What a source may leave out or write in its own way, and the entry must have in one.


def _fill_in_shown(data: dict[str, Any], catalogue: Catalogue) -> None:
    if "notice" not in data:
        version = data.get("terms")
        terms = catalogue.get(version) if isinstance(version, str) else None
        if terms is None:
            raise InvalidInput(f"expected published terms, found version {version!r:.40}; publish it first")
        data["notice"] = terms.notice_hash()


def _fill_in_use(data: dict[str, Any], catalogue: Catalogue) -> None:  # noqa: ARG001 - of one form with the others
    if data.setdefault("attested", True) is not True:
        raise InvalidInput(
            "expected `attested` true, or left out: what the gate itself recorded cannot be imported, only reported"
        )
    _in_one_form(data, "collected_from", "collected_until")


def _fill_in_run(data: dict[str, Any], catalogue: Catalogue) -> None:
    data.setdefault("cutoff", 0)
    data.setdefault("input", [])
    purpose = data.get("purpose")
    if isinstance(purpose, str):
        data.setdefault("kind", kind_meant(catalogue, purpose_meant(catalogue, purpose), None))
    _in_one_form(data, "started_at")


def _nothing(data: dict[str, Any], catalogue: Catalogue) -> None:
    pass


_FILL_IN: dict[str, Callable[[dict[str, Any], Catalogue], None]] = {
    "terms-shown": _fill_in_shown,
    "accepted": _nothing,
    "toggle-changed": _nothing,
    "data-used-for-training": _fill_in_use,
    "run-started": _fill_in_run,
}


def _in_one_form(data: dict[str, Any], *names: str) -> None:
    for name in names:
        if isinstance(data.get(name), str):
            data[name] = format_time(_time(data[name], name))


def _time(text: str, name: str) -> datetime:
    try:
        return parse_given_time(text[:64])
    except InvalidInput as error:
        raise InvalidInput(f"`{name}`: {error}") from None
