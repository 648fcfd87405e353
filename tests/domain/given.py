"""What the tests of the domain are given: terms, and streams of entries, in as few words as a case needs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import UNSET, structs

from ledger.domain.entry import Entry, Imported, make_entry
from ledger.domain.events import (
    Accepted,
    Cause,
    DataUsedForTraining,
    Event,
    RunStarted,
    SubjectErased,
    TermsShown,
    ToggleChanged,
)
from ledger.domain.names import run_stream, subject_stream
from ledger.domain.terms import Catalogue, Purpose, Retention, Terms, Toggle, parse_terms
from ledger.domain.times import format_time, parse_given_time

EXAMPLES = Path(__file__).parents[2] / "examples" / "terms"
SHIPPED = parse_terms((EXAMPLES / "2025-09-28.toml").read_text())
V1 = SHIPPED.version
TRAINING = "model-training"
STREAM = subject_stream(bytes(16))
NONCE = "0" * 32
MANIFEST = "0" * 64


def at(text: str) -> datetime:
    """A moment, short: `3`, `3 12:30` or `3 12:30:00.5` in September 2025 at ten o'clock, or in full with an offset."""
    if text.endswith("Z"):
        return parse_given_time(text)
    day, _, clock = text.partition(" ")
    return parse_given_time(f"2025-09-{int(day):02}T{_whole(clock or '10:00')}Z")


def _whole(clock: str) -> str:
    return clock if clock.count(":") == 2 else clock + ":00"


def terms(
    version: str = V1,
    *,
    purposes: dict[str, list[str]] | None = None,
    when_on: str = "P5Y",
    when_off: str = "P30D",
    **changes: Any,
) -> Terms:
    """The shipped terms with other settings; `purposes` gives each purpose its kinds."""
    kinds = purposes or {TRAINING: ["chat", "coding-session"]}
    return structs.replace(
        SHIPPED,
        version=version,
        purposes=[
            Purpose(id=name, wording=f"Use it for {name}", settings_wording=name, data=data, default="on")
            for name, data in kinds.items()
        ]
        if purposes
        else SHIPPED.purposes,
        retention=Retention(when_on=when_on, when_off=when_off),
        **changes,
    )


def shown(of: Terms = SHIPPED, *, plan: str = "pro") -> TermsShown:
    return TermsShown(
        terms=of.version,
        notice=of.notice_hash(),
        toggles={purpose.id: purpose.default for purpose in of.purposes},
        plan=plan,
        surface="pop-up",
        locale="en",
    )


def accepted(
    of: Terms = SHIPPED,
    *,
    touched: tuple[str, ...] = (),
    plan: str = "pro",
    toggles: dict[str, Toggle] | None = None,
) -> Accepted:
    return Accepted(
        terms=of.version,
        toggles=toggles or dict.fromkeys(of.purpose_ids, "on"),
        touched=list(touched),
        plan=plan,
        surface="pop-up",
    )


def toggled(to: Toggle, *, purpose: str = TRAINING, cause: Cause = "person", plan: str | None = None) -> ToggleChanged:
    return ToggleChanged(
        purpose=purpose,
        to=to,
        surface="privacy-settings",
        cause=cause,
        plan=UNSET if plan is None else plan,
    )


def used(
    collected: str,
    *,
    until: str | None = None,
    basis: int | None = None,
    attested: bool = False,
    kind: str = "chat",
    run: str = "r1",
    purpose: str = TRAINING,
) -> DataUsedForTraining:
    return DataUsedForTraining(
        run=run,
        purpose=purpose,
        items={kind: 1},
        collected_from=format_time(at(collected)),
        collected_until=format_time(at(until or collected)),
        manifest=MANIFEST,
        attested=attested,
        basis=UNSET if basis is None else basis,
    )


ERASED = SubjectErased(reason="request")


def run_started(started: str, *, recorded: str | None = None, run: str = "r1") -> Entry:
    """The `run-started` entry of a run."""
    return make_entry(
        RunStarted(purpose=TRAINING, kind="chat", started_at=format_time(at(started)), cutoff=0, input=[]),
        stream=run_stream(run),
        version=1,
        occurred_at=format_time(at(recorded or started)),
        recorded_at=format_time(at(recorded or started)),
        nonce=NONCE,
    )


Given = tuple[Event, str] | tuple[Event, str, str]


def stream(*events: Given) -> list[Entry]:
    """A subject's stream: each event with when it occurred, and when it was recorded where that is another time."""
    return [
        entry(event, version, at(times[0]), at(times[-1])) for version, (event, *times) in enumerate(events, start=1)
    ]


def entry(event: Event, version: int, occurred: datetime, recorded: datetime) -> Entry:
    return make_entry(
        event,
        stream=STREAM,
        version=version,
        occurred_at=format_time(occurred),
        recorded_at=format_time(recorded),
        nonce=NONCE,
    )


def catalogue(*published: Terms) -> Catalogue:
    return Catalogue(published or [SHIPPED])


Rule = Literal["future-data", "future-runs"]
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
IMPORTED = Imported(at="2025-09-20T10:00:00.000000Z", source="old system")
