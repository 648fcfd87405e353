"""Several sequencers at once, in threads and processes, while others append: one history, and complete maps."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from ledger.application import ConsentLedger
from ledger.domain.entry import decode_entry
from ledger.domain.events import SubjectMapPublished
from ledger.sequencer import sequence
from ledger.store.proofs import ProofTables, StoredCheckpoint
from tests import builders as b
from tests.sequencer.replay import assert_sound, outside

ROOT = Path(__file__).parents[2]
SECONDS = 120
WRITERS, APPENDS, PROCESSES, ROUNDS = 3, 25, 2, 8

SEQUENCER = f"""
import sys
from pathlib import Path
from ledger.application import open_ledger
from ledger.sequencer import sequence
from ledger.settings import Place
with open_ledger(Place(sys.argv[1], None, Path(sys.argv[2]))) as ledger:
    for _ in range({ROUNDS}):
        sequence(ledger)
"""


def test_sequencers_at_once_while_appends_go_on(ledger: ConsentLedger) -> None:
    place = ledger.place
    b.grant(ledger, *(f"person-{number}" for number in range(WRITERS)))
    #: Of each append its position, and the ledger's clock after it was acknowledged.
    acknowledged: list[tuple[int, datetime]] = []
    notes: list[bytes] = []
    written = threading.Event()

    def write(number: int) -> None:
        for turn in range(APPENDS):
            recorded = ledger.record(f"person-{number}", b.toggled("on" if turn % 2 else "off"))
            acknowledged.append((recorded.position, b.now_of(ledger)))

    def sign() -> list[StoredCheckpoint]:
        found = [sequence(ledger)]
        while not written.is_set():
            found.append(sequence(ledger))
            notes.extend(outside(place).values())
        return found

    processes = [
        subprocess.Popen([sys.executable, "-c", SEQUENCER, place.url or "", str(place.state)], cwd=ROOT)
        for _ in range(PROCESSES)
    ]
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        signing = [pool.submit(sign) for _ in range(2)]
        for writing in [pool.submit(write, number) for number in range(WRITERS)]:
            writing.result(SECONDS)
        for process in processes:
            assert process.wait(SECONDS) == 0
        written.set()
        answers = [checkpoint for one in signing for checkpoint in one.result(SECONDS)]
    sequence(ledger)

    checkpoints = assert_sound(place, notes)
    assert {one.size for one in answers} <= {one.size for one in checkpoints}
    assert len(checkpoints) > 3, "they hardly raced"
    assert len(acknowledged) == WRITERS * APPENDS
    assert_maps_are_complete(ledger, acknowledged)
    with b.admin(place) as admin:
        assert ProofTables(admin).tree_size() == len(b.whole_log(place))


def assert_maps_are_complete(ledger: ConsentLedger, acknowledged: list[tuple[int, datetime]]) -> None:
    """Every append that was acknowledged before the time that a map says is in it."""
    maps = [decode_entry(entry) for *_, entry in b.whole_log(ledger.place)]
    for one in maps:
        if isinstance(one.data, SubjectMapPublished):
            missing = [p for p, at in acknowledged if at < one.occurred and p > one.data.covers]
            assert not missing
