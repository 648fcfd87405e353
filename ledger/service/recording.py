"""Recording over HTTP: one event about one person, once for each key, answered with a receipt."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Response
from fastapi import Request as HttpRequest
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.application import or_why_not
from ledger.domain import events
from ledger.domain.names import MOST_NAMES, Free, Hex64, Name, Positive
from ledger.domain.recording import Request
from ledger.domain.terms import Toggles
from ledger.domain.times import format_time, parse_given_time
from ledger.errors import ConsentLedgerError, Refused
from ledger.proof.promise import Receipt
from ledger.receipts import Committed, promise_with
from ledger.service.appending import Appended, append, committed_at
from ledger.service.bodies import body_of
from ledger.service.forms import Moment, Subject, json_answer, moment_of
from ledger.service.openapi import Answer, Operation, described
from ledger.service.problems import Problem, problem_of
from ledger.service.scopes import Scope
from ledger.service.serving import Service, TheService, demand, may, only, service_of
from ledger.service.tokens import Caller
from ledger.store.evidence import LARGEST_EVIDENCE
from ledger.store.proofs import ProofTables

router = APIRouter()

KEY_HEADER = "Idempotency-Key"
#: Printable, and without spaces, which proxies may take off its ends.
KEY_PATTERN = r"\A[\x21-\x7e]{1,256}\Z"
_KEY = re.compile(KEY_PATTERN)

KEY_PARAMETER = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "The same request with this key is one event, however often it is sent; another with it is refused.",
    "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{1,256}$", "minLength": 1, "maxLength": 256},
}


class AcceptedData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accept was clicked; `toggles` as they stood then, `touched` those that the person operated."""

    terms: Name
    toggles: Toggles
    touched: Annotated[list[Name], Meta(max_length=MOST_NAMES)]
    plan: Free
    surface: Free


class UseData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A use that happened outside the gate, as it is reported; `basis` where the reporter knows the grant."""

    run: Name
    purpose: Name
    items: Annotated[dict[Name, Positive], Meta(min_length=1, max_length=MOST_NAMES)]
    collected_from: Moment
    collected_until: Moment
    manifest: Hex64
    basis: Positive | UnsetType = UNSET


class _Recorded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="event"):
    subject: Subject
    #: When the person acted; left out, now.
    occurred_at: Moment | UnsetType = UNSET
    evidence: (
        Annotated[
            str,
            Meta(
                max_length=LARGEST_EVIDENCE,
                description="Erasable material behind the event, of which the log holds a salted digest alone.",
            ),
        ]
        | UnsetType
    ) = UNSET


class RecordTermsShown(_Recorded, frozen=True, kw_only=True, tag="terms-shown"):
    """A person saw the terms; `notice` is the digest that `GET /v1/terms` gives of the wording."""

    data: events.TermsShown


class RecordAccepted(_Recorded, frozen=True, kw_only=True, tag="accepted"):
    """A person accepted the terms."""

    data: AcceptedData


class RecordToggleChanged(_Recorded, frozen=True, kw_only=True, tag="toggle-changed"):
    """A toggle was set in the settings; scope `record:causes` where not by the person."""

    data: events.ToggleChanged


class RecordUse(_Recorded, frozen=True, kw_only=True, tag="data-used-for-training"):
    """A use outside the gate; scope `record:uses`. It is stored whatever the verdict."""

    data: UseData


RecordEvent = RecordTermsShown | RecordAccepted | RecordToggleChanged | RecordUse


_let_in = may("record", "record:causes", "record:uses")
_asked: Callable[[HttpRequest], Awaitable[RecordEvent]] = body_of(RecordEvent)  # type: ignore[arg-type]


class EraseSubject(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to erase, and why: the reason stays in the log, so it names nobody."""

    subject: Subject
    reason: Free


class ReceiptTold(Struct, frozen=True, kw_only=True):
    """What the person keeps: the entry, and a signed promise that a checkpoint covers it. `consent verify` takes it."""

    entry: msgspec.Raw
    promise: str
    v: Literal[1]


class RecordedTold(Struct, frozen=True, kw_only=True):
    """Where the event lies. `repeated`: it was there before. Where there is no receipt, `no_receipt` says why."""

    position: int
    stream: str
    version: int
    event: str
    recorded_at: str
    repeated: bool
    receipt: ReceiptTold | None
    no_receipt: str | None


_EXAMPLES: Mapping[str, Any] = {
    "shown": {
        "event": "terms-shown",
        "subject": "alice@example.org",
        "data": {
            "terms": "2025-09-28",
            "notice": "4c863debc1790b38fd7d43c83d9f6b9d3ce9e1b8a7d3e0ec1b1d8d8ae3fca81e",
            "toggles": {"model-training": "on"},
            "plan": "pro",
            "surface": "pop-up",
            "locale": "en",
        },
    },
    "accepted": {
        "event": "accepted",
        "subject": "alice@example.org",
        "data": {
            "terms": "2025-09-28",
            "toggles": {"model-training": "on"},
            "touched": [],
            "plan": "pro",
            "surface": "pop-up",
        },
    },
    "turned off": {
        "event": "toggle-changed",
        "subject": "alice@example.org",
        "occurred_at": "2026-01-10T20:15:00Z",
        "data": {"purpose": "model-training", "to": "off", "surface": "privacy-settings", "cause": "person"},
    },
    "used": {
        "event": "data-used-for-training",
        "subject": "alice@example.org",
        "data": {
            "run": "spring",
            "purpose": "model-training",
            "items": {"chat": 2},
            "collected_from": "2025-10-01T08:00:00Z",
            "collected_until": "2025-11-20T15:45:00Z",
            "manifest": "5bafcb7bbd22abf40457f0f8e5be2400b6cf924b3e45abbea064366d25cc29a5",
        },
    },
}
_RECORDED_EXAMPLE = {
    "position": 12,
    "stream": "5bafcb7bbd22abf40457f0f8e5be2400b6cf924b3e45abbea064366d25cc29a5",
    "version": 5,
    "event": "toggle-changed",
    "recorded_at": "2026-01-10T20:15:00.104512Z",
    "repeated": False,
    "receipt": None,
    "no_receipt": "expected a key that signs receipts, found none, so there is no promise",
}


@router.post("/v1/events")
@described(
    Operation(
        "recordEvent",
        {
            201: Answer("Recorded, and committed", RecordedTold, example=_RECORDED_EXAMPLE),
            200: Answer(
                "Recorded before, under this key", RecordedTold, example=_RECORDED_EXAMPLE | {"repeated": True}
            ),
        },
        scopes=("record", "record:causes", "record:uses"),
        body=RecordEvent,
        examples=_EXAMPLES,
        problems=(404, 409),
        parameters=(KEY_PARAMETER,),
    )
)
async def record_event(http: HttpRequest) -> Response:
    """Record one event about one person.

    The ledger's clock says when it is recorded. What must come before it (publication, notice, Accept) must be in the
    log; an Off can always be recorded.
    """
    # Called here, as in `check`: to have the framework call them costs more than all that they do.
    caller = await _let_in(http)
    asked = await _asked(http)
    service = service_of(http)
    demand(caller, _scope_of(asked))
    key = _key_of(http)
    try:
        request = Request(_event_of(asked), moment_of(asked.occurred_at))
    except ValueError as error:  # what the fields say of each other
        raise Refused(str(error)) from None
    appended = await append(service, asked.subject, request, key, _evidence_of(asked))
    return json_answer(await _told(service, appended), 200 if appended.repeated else 201)


@router.post("/v1/erasures")
@described(
    Operation(
        "eraseSubject",
        {
            201: Answer(
                "Erased",
                RecordedTold,
                example=_RECORDED_EXAMPLE | {"event": "subject-erased"},
            )
        },
        scopes=("erase",),
        body=EraseSubject,
        examples={"asked": {"subject": "bob@example.org", "reason": "asked by mail"}},
        problems=(404, 409),
    )
)
async def erase_subject(
    _: Annotated[Caller, Depends(may("erase"))],
    service: TheService,
    asked: Annotated[EraseSubject, Depends(body_of(EraseSubject))],
) -> Response:
    """Erase a person: the links to their identity and the evidence go, the log and its proofs stay."""
    appended = await service.quick.run(_erase, service, asked)
    service.metrics.appends["subject-erased"] += 1
    return json_answer(await _told(service, appended), 201)


def _erase(service: Service, asked: EraseSubject) -> Appended:
    ledger = service.ledger
    position = ledger.erase(asked.subject, asked.reason).position
    return Appended(committed_at(ledger, position), repeated=False)


def _scope_of(asked: RecordEvent) -> Scope:
    match asked:
        case RecordUse():
            return "record:uses"
        case RecordToggleChanged(data=events.ToggleChanged(cause=cause)) if cause != "person":
            return "record:causes"
        case _:
            return "record"


def _event_of(asked: RecordEvent) -> events.SubjectEvent:
    """The event as the domain has it; ValueError where its fields contradict each other."""
    match asked:
        case RecordAccepted(data=data):
            return events.Accepted(
                terms=data.terms,
                toggles=data.toggles,
                touched=sorted(set(data.touched)),
                plan=data.plan,
                surface=data.surface,
            )
        case RecordUse(data=data):
            return events.DataUsedForTraining(
                run=data.run,
                purpose=data.purpose,
                items=data.items,
                collected_from=format_time(parse_given_time(data.collected_from)),
                collected_until=format_time(parse_given_time(data.collected_until)),
                manifest=data.manifest,
                attested=True,
                basis=data.basis,
            )
        case RecordTermsShown(data=shown):
            return shown
        case RecordToggleChanged(data=changed):
            return changed


def _key_of(http: HttpRequest) -> str | None:
    key = only(http, KEY_HEADER)
    if key is not None and not _KEY.match(key):
        raise Problem(422, "invalid", f"expected 1 to 256 visible ASCII characters as {KEY_HEADER}, found others")
    return key


def _evidence_of(asked: RecordEvent) -> bytes | None:
    return None if isinstance(asked.evidence, UnsetType) else asked.evidence.encode()


async def _told(service: Service, appended: Appended) -> RecordedTold:
    """Where it lies, and the receipt; what is recorded stays so where none can be given."""
    position, entry, _ = appended.committed
    receipt, no_receipt = None, None
    try:
        promised = await service.together(_promise_all, appended.committed)
        receipt = ReceiptTold(entry=msgspec.Raw(promised.entry), promise=promised.promise, v=1)
    except ConsentLedgerError as error:
        no_receipt = problem_of(error).detail
    return RecordedTold(
        position=position,
        stream=entry.stream,
        version=entry.version,
        event=entry.event,
        recorded_at=entry.recorded_at,
        repeated=appended.repeated,
        receipt=receipt,
        no_receipt=no_receipt,
    )


def _promise_all(service: Service, committed: Sequence[Committed]) -> list[Receipt | ConsentLedgerError]:
    ledger = service.ledger
    with ledger.connection() as connection:
        promising = ProofTables(connection).promising()
    origin, now = ledger.identity.origin, ledger.clock.now()
    return [or_why_not(promise_with, service.receipts_key, origin, promising, one, now) for one in committed]
