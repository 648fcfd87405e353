"""Appending from the event loop: reading and deciding in a thread, waiting for the commit in none.

So as many appends share a commit as there are requests, and not as there are threads (docs/decisions/0004).
"""

from __future__ import annotations

from dataclasses import dataclass

from eventsourcing.persistence import RecordConflictError

from ledger.application import MOST_ATTEMPTS, ConsentLedger, Recorded, Recording
from ledger.domain.entry import Entry, encode_entry
from ledger.domain.recording import Request
from ledger.errors import Unavailable
from ledger.service.serving import Service
from ledger.store.recorder import AlreadyRecorded, OutOfTime
from ledger.store.writer import Append


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an event lies, and its entry's bytes; `repeated` when it was there before."""

    position: int
    stored: bytes
    repeated: bool


async def append(service: Service, named: str, request: Request, key: str | None, evidence: bytes | None) -> Appended:
    """Records one event as `ConsentLedger.record` does; it is committed when this returns."""
    ledger = service.ledger
    recording, entries = await service.quick.run(_begin, ledger, named, request, key, evidence)
    if isinstance(recording, Recorded):
        return await service.quick.run(_before, ledger, recording.position)
    for _ in range(MOST_ATTEMPTS):
        stored = [encode_entry(entry) for entry in entries]
        asked = Append(recording.stream, entries[0].version, stored, recording.keys, recording.evidence)
        try:
            position = ledger.recorder.position_of(await ledger.writer.append_async(asked))
        except RecordConflictError:
            service.metrics.conflicts += 1
            now = ledger.clock.now()
        except OutOfTime as late:
            now = late.clock
        except AlreadyRecorded as before:
            return await service.quick.run(_before, ledger, before.position)
        else:
            service.metrics.appends[entries[0].event] += 1
            return Appended(position, stored[0], repeated=False)
        entries = await service.quick.run(ledger.entries_for, recording, now)
    raise Unavailable(f"expected to append within {MOST_ATTEMPTS} attempts, found a conflict each time; try again")


def _begin(
    ledger: ConsentLedger, named: str, request: Request, key: str | None, evidence: bytes | None
) -> tuple[Recording | Recorded, list[Entry]]:
    recording = ledger.prepare(named, request, key, evidence)
    if isinstance(recording, Recorded):
        return recording, []
    return recording, ledger.entries_for(recording, ledger.clock.now())


def _before(ledger: ConsentLedger, position: int) -> Appended:
    return Appended(position, bytes(ledger.recorder.page(position - 1, position)[0][-1]), repeated=True)
