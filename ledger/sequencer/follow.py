"""Sequencing on its own, every few seconds, and telling promises how long they may take (FORMATS.md section 7)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ledger.application import ConsentLedger
from ledger.errors import Unavailable
from ledger.sequencer.steps import turn
from ledger.store.database import connect
from ledger.store.proofs import FOLLOWED_DELAY, ProofTables, StoredCheckpoint

#: Until the next turn has begun, on a busy machine too; a follower that was killed is believed in so long.
GRACE_SECONDS = 20.0


def follow(
    ledger: ConsentLedger,
    every: float,
    stop: threading.Event,
    told: Callable[[StoredCheckpoint], object] = lambda _: None,
    trouble: Callable[[Unavailable], object] = lambda _: None,
) -> None:
    """Sequences `every` so many seconds until `stop` is set; `told` hears of each new checkpoint.

    A database that does not answer is `trouble`, and asked again; a log that must not be signed ends it, `Refused`.
    """
    newest: int | None = None
    try:
        while not stop.is_set():
            try:
                checkpoint = _one_turn(ledger, every)
                if checkpoint.size != newest:
                    newest = checkpoint.size
                    told(checkpoint)
            except Unavailable as error:
                trouble(error)
            stop.wait(every)
    finally:
        _stop_promising(ledger)


def _one_turn(ledger: ConsentLedger, every: float) -> StoredCheckpoint:
    begun = time.monotonic()
    with turn(ledger) as sequencer:
        checkpoint = sequencer.run()
        took = time.monotonic() - begun
        # What is recorded right after one turn fixed C waits for the rest of it, the pause, and a whole other one.
        keeps_up = 2 * took + every <= FOLLOWED_DELAY.total_seconds()
        sequencer.tables.follow_for(every + GRACE_SECONDS if keeps_up else None)
    return checkpoint


def _stop_promising(ledger: ConsentLedger) -> None:
    try:
        with connect(ledger.url, ledger.place.name, "consent_sequencer") as connection:
            ProofTables(connection).follow_for(None)
    except Unavailable:
        return  # what was said runs out by itself
