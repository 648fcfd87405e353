"""Import lines, in as few words as a test needs, and what a ledger holds, by the people and not by their keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ledger.application import ConsentLedger
from ledger.domain.entry import Entry, decode_entry
from ledger.importing.events import Imported, import_events
from tests.builders import TERMS

PURPOSE = TERMS.purpose_ids[0]
Fields = dict[str, Any]


def line(event: str, subject: str | None, at: str, data: Fields, **more: Any) -> Fields:
    about = {} if subject is None else {"subject": subject}
    return {"event": event, **about, "occurred_at": f"2025-09-{at}Z", "data": data, **more}


def shown(subject: str, at: str = "01T10:00:00", **more: Any) -> Fields:
    data = {
        "terms": TERMS.version,
        "toggles": {PURPOSE: "on"},
        "plan": "pro",
        "surface": "simulated-pop-up",
        "locale": "en",
    }
    return line("terms-shown", subject, at, data, **more)


def accepted(subject: str, at: str = "01T10:01:00", to: str = "on", **more: Any) -> Fields:
    data = {"terms": TERMS.version, "toggles": {PURPOSE: to}, "touched": [], "plan": "pro", "surface": "pop-up"}
    return line("accepted", subject, at, data, **more)


def toggled(subject: str, at: str, to: str = "off", **more: Any) -> Fields:
    data = {"purpose": PURPOSE, "to": to, "surface": "settings", "cause": "person"}
    return line("toggle-changed", subject, at, data, **more)


def used(subject: str, at: str, run: str = "r0", data: Fields | None = None) -> Fields:
    used = {
        "run": run,
        "purpose": PURPOSE,
        "items": {"chat": 2},
        "collected_from": "2025-09-02T00:00:00Z",
        "collected_until": "2025-09-03T00:00:00+02:00",
        "manifest": "0" * 64,
    }
    return line("data-used-for-training", subject, at, used | (data or {}))


def run_started(run: str, at: str = "05T10:00:00", data: Fields | None = None, **more: Any) -> Fields:
    started = {"purpose": PURPOSE, "started_at": "2025-09-05T10:00:00Z"}
    return line("run-started", None, at, started | (data or {}), run=run, **more)


def write(path: Path, *lines: Fields | bytes) -> Path:
    path.write_bytes(b"".join(text if isinstance(text, bytes) else json.dumps(text).encode() + b"\n" for text in lines))
    return path


class Silent:
    """Nobody watches."""

    def now(self, what: str, total: int | None = None) -> None:
        pass

    def advance(self, by: int = 1) -> None:
        pass


def take(ledger: ConsentLedger, path: Path, *lines: Fields | bytes, source: str = "old system") -> Imported:
    """Imports these lines from a file at `path`, or the file that is there."""
    if lines:
        write(path, *lines)
    return import_events(ledger, path, source, Silent())


def rejects(path: Path) -> list[Fields]:
    file = path.with_name(path.name + ".rejects.jsonl")
    return [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def history(ledger: ConsentLedger, named: str) -> list[Entry]:
    return [entry for _, entry in ledger.entries_of(ledger.subject(named).stream or "")]


def state(ledger: ConsentLedger, named: list[str]) -> list[tuple[Any, ...]]:
    """The whole log without what chance and the clock put into it: keys of streams, nonces, times of import."""
    subjects = ledger.identities.find(named)
    people = {subject.stream: name for name, subject in subjects.items() if subject.stream}
    entries = [(position, decode_entry(bytes(stored))) for position, *_, stored in ledger.recorder.pages()]
    return [
        (
            position,
            people.get(entry.stream, entry.stream),
            entry.version,
            entry.data,
            entry.occurred_at if entry.imported else None,
            entry.recorded_at if entry.imported else None,
            entry.imported.recorded_at if entry.imported else None,
        )
        for position, entry in entries
    ]
