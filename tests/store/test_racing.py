"""Many threads in many processes on the same subjects: nothing lost, nothing doubled, everyone told the truth."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ledger.application import ConsentLedger, open_ledger
from ledger.domain.entry import decode_entry
from ledger.settings import Place
from ledger.store.database import connect
from ledger.store.writer import Writer
from tests import builders as b
from tests.store.racer import SUBJECTS, person

ROOT = Path(__file__).parents[2]
PROCESSES, THREADS, REQUESTS = 4, 64, 4
#: Until a test gives up; none needs a tenth of it.
SECONDS = 200

Log = list[tuple[int, str, int, bytes]]
Told = dict[str, Any]


def people(place: Place) -> None:
    with open_ledger(place) as ledger:
        b.grant(ledger, *(person(number) for number in range(SUBJECTS)))


def start(place: Place, process: int, threads: int, requests: int) -> subprocess.Popen[str]:
    arguments = [place.url or "", str(place.state), str(process), str(threads), str(requests)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.racer", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(output: str) -> list[Told]:
    """What the callers were told; of a process that was killed the last line may be cut off, and counts as not told."""
    return [json.loads(line) for line in output.splitlines() if line.endswith("}")]


def marks(log: Log) -> dict[str, list[int]]:
    """The positions of every marked entry."""
    found = defaultdict(list)
    for position, _, _, stored in log:
        entry = decode_entry(stored)
        if entry.event == "toggle-changed":
            found[entry.data.surface].append(position)
    return found


def assert_told_the_truth(told: list[Told], log: Log) -> None:
    stored = marks(log)
    for answer in told:
        if answer["told"] in ("stored", "repeated"):
            position, stream, _, entry = log[answer["position"] - 1]
            assert (position, stream) == (answer["position"], answer["stream"])
            assert decode_entry(entry).data.surface == answer["mark"]
        else:
            assert answer["mark"] not in stored, answer
    assert all(len(positions) == 1 for positions in stored.values()), "doubled"


def test_64_threads_in_4_processes(ledger_place: Place) -> None:
    people(ledger_place)
    racers = [start(ledger_place, number, THREADS, REQUESTS) for number in range(PROCESSES)]
    seen = follow_while_running(ledger_place, racers)
    told: list[Told] = []
    for racer, output in zip(racers, seen.outputs, strict=True):
        assert racer.returncode == 0, seen.complaints
        told += answers(output)

    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    assert seen.positions == list(range(1, len(log) + 1)), "a reader that follows missed some"
    assert_told_the_truth(told, log)
    assert sorted(marks(log)) == sorted(answer["mark"] for answer in told if answer["told"] == "stored")
    counted = {name: sum(answer["told"] == name for answer in told) for name in {answer["told"] for answer in told}}
    # One turn in five each: the same key and request four times over, and one key for four requests.
    assert counted["repeated"] == 3 * len(marked(told, "stored", "shared-")) == 3 * len(marked(told, "", "shared-")) / 4
    assert counted["key-reused"] >= 3 * THREADS * REQUESTS // 5 - 3
    assert counted["refused"] > 0
    assert counted["conflict"] > 0
    assert_keys_lead_to_one_entry_each(ledger_place, len(marked(told, "stored", "shared-")))


def marked(told: list[Told], name: str, prefix: str) -> list[Told]:
    return [answer for answer in told if answer["mark"].startswith(prefix) and (not name or answer["told"] == name)]


def assert_keys_lead_to_one_entry_each(place: Place, at_least: int) -> None:
    with b.admin(place) as admin:
        row = admin.execute("SELECT count(position), count(DISTINCT position) FROM ledger.idempotency_key").fetchone()
    assert row is not None
    assert row[0] == row[1] >= at_least


class Seen:
    """What a follower saw while the racers ran, and what they said."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.outputs: list[str] = []
        self.complaints: list[str] = []


def follow_while_running(place: Place, racers: list[subprocess.Popen[str]]) -> Seen:
    seen = Seen()
    with open_ledger(place) as ledger, ledger.recorder.subscribe() as subscription:

        def follow() -> None:
            seen.positions.extend(notification.id for notification in subscription)

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        with ThreadPoolExecutor(len(racers)) as pool:
            for output, complaint in pool.map(lambda racer: racer.communicate(timeout=SECONDS), racers):
                seen.outputs.append(output)
                seen.complaints.append(complaint)
        head, deadline = ledger.recorder.head(), time.monotonic() + 10
        while len(seen.positions) < head and time.monotonic() < deadline:
            time.sleep(0.01)
        subscription.stop()
        follower.join(10)
    return seen


def test_processes_killed_in_the_middle(ledger_place: Place) -> None:
    """What was acknowledged is stored, of every append all or nothing, and whoever comes next just goes on."""
    people(ledger_place)
    dice = random.Random(2)
    told: list[Told] = []
    for round_ in range(3):
        racers = [start(ledger_place, 2 * round_ + number, 8, 1_000_000) for number in range(2)]
        outputs = [""] * 2

        def read(number: int, racer: subprocess.Popen[str]) -> None:
            assert racer.stdout is not None
            outputs[number] = racer.stdout.read()  # noqa: B023 - joined before the next round

        readers = [threading.Thread(target=read, args=pair) for pair in enumerate(racers)]
        for reader in readers:
            reader.start()
        before = len(b.whole_log(ledger_place))
        while len(b.whole_log(ledger_place)) < before + 20:
            assert all(racer.poll() is None for racer in racers), "a racer ended by itself"
            time.sleep(0.02)
        time.sleep(dice.random() / 3)
        for racer in racers:
            racer.send_signal(signal.SIGKILL)
        for racer, reader in zip(racers, readers, strict=True):
            racer.communicate()
            reader.join(SECONDS)
        told += [answer for output in outputs for answer in answers(output)]

    log = settled_log(ledger_place)
    b.assert_whole(log)
    assert_told_the_truth(told, log)
    assert len(marked(told, "stored", "")) > 30
    assert_pairs_are_whole(log)


def settled_log(place: Place) -> Log:
    """The log once no killed process's server process works any more."""
    busy = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with b.admin(place) as admin:
        deadline = time.monotonic() + 20
        while admin.execute(busy).fetchone() is not None:
            assert time.monotonic() < deadline, "a killed process's connection stayed"
            time.sleep(0.02)
    return b.whole_log(place)


def assert_pairs_are_whole(log: Log) -> None:
    """Appends of two entries (racer.append_two) lie side by side."""
    stored = marks(log)
    firsts = [mark for mark in stored if mark.count("-") == 3 and mark.endswith("-0") and "shared" not in mark]
    assert firsts
    for mark in firsts:
        assert stored[f"{mark[:-1]}1"] == [stored[mark][0] + 1]
    assert len([mark for mark in stored if mark.count("-") == 3 and "shared" not in mark]) == 2 * len(firsts)


def test_a_reader_that_follows_misses_nothing(ledger: ConsentLedger, ledger_place: Place) -> None:
    """Eight writers with a connection each, as processes have, and a reader that is behind and ahead by turns."""
    done = threading.Event()
    seen: list[int] = []

    def write(number: int) -> None:
        writer = Writer(lambda: connect(ledger_place.url or "", "the ledger", "consent_service"))
        for turn in range(60):
            nonce = 1_000 * number + turn
            # Of some only the first is stored: what is refused must leave no gap.
            append = b.append_of(b.stream_of(nonce), 1 + (turn % 5 == 4), now, count=1 + turn % 3, nonce=nonce * 4)
            assert writer.append(append).name == ("conflict" if turn % 5 == 4 else "stored")
        writer.close()

    def follow() -> None:
        while not done.is_set() or ledger.recorder.head() > len(seen):
            page = ledger.recorder.page(len(seen), limit=1 + len(seen) % 50)
            seen.extend(position for position, *_ in page)

    now = b.now_of(ledger)
    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(write, number) for number in range(8)]:
            future.result(SECONDS)
    done.set()
    follower.join(20)
    log = b.whole_log(ledger_place)
    assert seen == list(range(1, len(log) + 1))
    b.assert_whole(log)
