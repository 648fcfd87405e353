"""Appending from the event loop: reading and deciding in a thread, waiting for the commit in none.

So as many appends share a reading and a commit as there are requests, and not as there are threads
(docs/decisions/0004 and 0030).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eventsourcing.persistence import RecordConflictError

from ledger.application import MOST_ATTEMPTS, Asked, Begun, ConsentLedger, Recorded
from ledger.domain.entry import decode_entry, encode_entry
from ledger.domain.recording import Request
from ledger.errors import Unavailable
from ledger.receipts import Committed
from ledger.service.serving import Service
from ledger.store.recorder import AlreadyRecorded, OutOfTime
from ledger.store.writer import Append


@dataclass(frozen=True, slots=True)
class Appended:
    """An event that is in the log; `repeated` when it was there before."""

    committed: Committed
    repeated: bool


async def append(service: Service, named: str, request: Request, key: str | None, evidence: bytes | None) -> Appended:
    """Records one event as `ConsentLedger.record` does; it is committed when this returns."""
    ledger = service.ledger
    asked = Asked(named, request, key, evidence)
    begun = await service.together(_begin_all, asked)
    if begun is None:
        begun = await service.quick.run(ledger.begin, asked)
    if isinstance(begun, Recorded):
        return await service.quick.run(_before, ledger, begun.position)
    recording, entries = begun
    for _ in range(MOST_ATTEMPTS):
        stored = [encode_entry(entry) for entry in entries]
        to_store = Append(recording.stream, entries[0].version, stored, recording.keys, recording.evidence)
        try:
            position = ledger.recorder.position_of(await ledger.writer.append_async(to_store))
        except RecordConflictError:
            service.metrics.conflicts += 1
            now = ledger.clock.now()
        except OutOfTime as late:
            now = late.clock
        except AlreadyRecorded as before:
            return await service.quick.run(_before, ledger, before.position)
        else:
            service.metrics.appends[entries[0].event] += 1
            return Appended(Committed(position, entries[0], stored[0]), repeated=False)
        entries = await service.quick.run(ledger.entries_for, recording, now)
    raise Unavailable(f"expected to append within {MOST_ATTEMPTS} attempts, found a conflict each time; try again")


def _begin_all(service: Service, asked: Sequence[Asked]) -> Sequence[Begun | Exception | None]:
    return service.ledger.begin_all(asked)


def _before(ledger: ConsentLedger, position: int) -> Appended:
    return Appended(committed_at(ledger, position), repeated=True)


def committed_at(ledger: ConsentLedger, position: int) -> Committed:
    """The entry that is in the log at a position."""
    stored = bytes(ledger.recorder.page(position - 1, position)[0][-1])
    return Committed(position, decode_entry(stored), stored)
