"""Group commit: one transaction for all that wait, an answer of their own for each, and nobody waits for ever."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from ledger.application import ConsentLedger, open_ledger
from ledger.errors import Unavailable
from ledger.settings import Place
from ledger.store.evidence import new_evidence
from ledger.store.keys import Key
from ledger.store.writer import Append, Outcome
from tests import builders as b

ROOT = Path(__file__).parents[2]
#: Until a test gives up on a caller that was never answered; none needs a tenth of it.
SECONDS = 30


@contextmanager
def one_batch(place: Place, ledger: ConsentLedger) -> Iterator[Callable[..., threading.Thread]]:
    """What is appended inside waits for a commit that is held up, and is all in one batch when it is let go."""
    threads: list[threading.Thread] = []

    def start(call: Callable[[], object]) -> threading.Thread:
        before = len(ledger.writer._queue)
        thread = threading.Thread(target=call, daemon=True)
        threads.append(thread)
        thread.start()
        while len(ledger.writer._queue) == before:
            assert thread.is_alive(), "expected an append that waits"
        return thread

    with b.admin(place) as admin:
        admin.execute("SELECT pg_advisory_lock('ledger.log_entry'::regclass::oid::bigint)")
        leader = threading.Thread(
            target=lambda: ledger.writer.append(b.append_of(b.stream_of(9_999), 1, ledger.clock.now())), daemon=True
        )
        leader.start()
        waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        while admin.execute(waiting).fetchone() is None:
            assert leader.is_alive(), "expected the leader to wait for the lock"
        yield start
    for thread in (leader, *threads):
        thread.join(SECONDS)
        assert not thread.is_alive(), "a caller was never answered"


def outcomes_of_one_batch(place: Place, ledger: ConsentLedger, appends: list[Append]) -> list[Outcome | Exception]:
    answers: list[Outcome | Exception] = [RuntimeError("no answer")] * len(appends)

    def append(number: int) -> None:
        try:
            answers[number] = ledger.writer.append(appends[number])
        except Exception as error:
            answers[number] = error

    with one_batch(place, ledger) as start:
        for number in range(len(appends)):
            start(lambda number=number: append(number))
    return answers


def names(answers: list[Outcome | Exception]) -> list[str]:
    return [answer.name if isinstance(answer, Outcome) else type(answer).__name__ for answer in answers]


def test_a_conflict_of_one_fails_no_other(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)
    appends = [b.append_of(b.stream_of(n), 1 if n % 2 else 2, now, nonce=n) for n in range(8)]
    answers = outcomes_of_one_batch(ledger_place, ledger, appends)
    assert names(answers) == ["conflict", "stored"] * 4
    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    for append, answer in zip(appends, answers, strict=True):
        if isinstance(answer, Outcome) and answer.name == "stored":
            assert log[(answer.position or 0) - 1] == (answer.position, append.stream, 1, append.entries[0])


def test_what_the_database_refuses_of_one_fails_no_other(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)
    appends = [b.append_of(b.stream_of(n), 1, now, nonce=n) for n in range(3)]
    broken = Append(b.stream_of(3), 1, [b"no JSON"])
    answers = outcomes_of_one_batch(ledger_place, ledger, [appends[0], broken, appends[1], appends[2]])
    assert names(answers) == ["stored", "InvalidTextRepresentation", "stored", "stored"]
    assert isinstance(answers[1], psycopg.DataError)
    b.assert_whole(b.whole_log(ledger_place))


def test_positions_follow_the_order_of_arrival(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)
    appends = [b.append_of(b.stream_of(n), 1, now, count=2, nonce=2 * n) for n in range(6)]
    answers = outcomes_of_one_batch(ledger_place, ledger, appends)
    assert [a.position for a in answers if isinstance(a, Outcome)] == [2, 4, 6, 8, 10, 12]


def test_two_appends_to_one_stream(ledger: ConsentLedger, ledger_place: Place) -> None:
    """Of two that expect the same version one is stored; of two that follow each other, both."""
    now = b.now_of(ledger)
    same = [b.append_of(b.stream_of(1), 1, now, nonce=n) for n in range(2)]
    following = [b.append_of(b.stream_of(2), version, now, nonce=version) for version in (1, 2)]
    answers = outcomes_of_one_batch(ledger_place, ledger, [*same, *following])
    assert names(answers) == ["stored", "conflict", "stored", "stored"]
    b.assert_whole(b.whole_log(ledger_place))


def test_one_key_twice(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)
    key, other = Key(b"k" * 32, b"r" * 32), Key(b"k" * 32, b"s" * 32)
    appends = [
        b.append_of(b.stream_of(1), 1, now, nonce=1, keys=[key]),
        b.append_of(b.stream_of(1), 1, now, nonce=2, keys=[key]),
        b.append_of(b.stream_of(2), 1, now, nonce=3, keys=[other]),
    ]
    answers = outcomes_of_one_batch(ledger_place, ledger, appends)
    assert names(answers) == ["stored", "repeated", "key-reused"]
    assert [a.position for a in answers[:2] if isinstance(a, Outcome)] == [2, 2]
    assert len(b.whole_log(ledger_place)) == 2


def test_evidence_is_stored_with_its_entry_or_not_at_all(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)
    kept, dropped = new_evidence(b"203.0.113.7"), new_evidence(b"198.51.100.9")
    answers = outcomes_of_one_batch(
        ledger_place,
        ledger,
        [
            b.append_of(b.stream_of(1), 1, now, nonce=1, evidence=[kept]),
            b.append_of(b.stream_of(2), 2, now, nonce=2, evidence=[dropped]),
        ],
    )
    assert names(answers) == ["stored", "conflict"]
    with b.admin(ledger_place) as admin:
        rows = admin.execute("SELECT stream, digest, salt, body FROM ledger.evidence").fetchall()
    assert rows == [(b.stream_of(1), kept.digest, kept.salt, kept.body)]


def test_many_at_once_beside_single_appends(ledger: ConsentLedger, ledger_place: Place) -> None:
    now = b.now_of(ledger)
    answered: list[str] = []
    many = [b.append_of(b.stream_of(n), 1, now, nonce=n) for n in range(100, 150)]

    def append_all() -> None:
        answered.extend(names(list(ledger.writer.append_all(many))))

    def append() -> None:
        answered.append(ledger.writer.append(b.append_of(b.stream_of(1), 1, now)).name)

    with one_batch(ledger_place, ledger) as start:
        start(append)
        start(append_all)
        start(append_all)
    # The bulk goes first, in its own transaction; the second bulk finds all of it there.
    assert sorted(answered) == ["conflict"] * 50 + ["stored"] * 51
    b.assert_whole(b.whole_log(ledger_place))


def test_the_lead_is_handed_on(ledger: ConsentLedger, ledger_place: Place) -> None:
    """Threads come and go in every rhythm, some in bulk: each is answered, and nothing is lost or doubled."""
    dice = random.Random(1)
    now = b.now_of(ledger)
    plans = [[dice.random() for _ in range(30)] for _ in range(24)]

    def caller(number: int) -> int:
        stored = 0
        for turn, chance in enumerate(plans[number]):
            place = 1_000 * number + 10 * turn
            if chance < 0.1:
                appends = [b.append_of(b.stream_of(place + n), 1, now, nonce=place + n) for n in range(3)]
                stored += names(list(ledger.writer.append_all(appends))).count("stored")
            else:
                append = b.append_of(b.stream_of(place), 1, now, nonce=place)
                stored += ledger.writer.append(append).name == "stored"
        return stored

    with ThreadPoolExecutor(24) as pool:
        counts = [future.result(SECONDS) for future in [pool.submit(caller, n) for n in range(24)]]
    log = b.whole_log(ledger_place)
    assert len(log) == sum(counts) == sum(3 if chance < 0.1 else 1 for plan in plans for chance in plan)
    b.assert_whole(log)
    assert ledger.writer._leader is None
    assert not ledger.writer._queue


def test_a_server_that_cannot_be_reached_is_told_to_each(ledger: ConsentLedger, ledger_place: Place) -> None:
    appends = [b.append_of(b.stream_of(n), 1, ledger.clock.now(), nonce=n) for n in range(4)]

    def refuse() -> psycopg.Connection[object]:
        raise Unavailable("expected the ledger to answer, found nobody")

    ledger.writer.close()
    ledger.writer._open_connection = refuse
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ledger.writer.append, append) for append in appends]
        assert [type(answer.exception(SECONDS)) for answer in answers] == [Unavailable] * 4
    assert b.whole_log(ledger_place) == []


def test_a_connection_above_the_1024th_file(ledger_place: Place) -> None:
    """A service has many sockets open; `select` would refuse the writer's."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2_000:
        pytest.skip("no more than 1,024 files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_000), hard))
    files = [socket.socket() for _ in range(1_100)]
    try:
        with open_ledger(ledger_place) as ledger:
            now = b.now_of(ledger)
            for number in range(2):
                assert ledger.writer.append(b.append_of(b.stream_of(number), 1, now, nonce=number)).name == "stored"
    finally:
        for file in files:
            file.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thread_that_is_stopped_as_it_wakes_wakes_the_next(ledger: ConsentLedger, ledger_place: Place) -> None:
    """The threads of a batch are woken one by the other: whatever comes to one of them, the rest are answered."""
    now = b.now_of(ledger)
    answers: dict[int, str] = {}

    def append(number: int) -> None:
        try:
            answers[number] = ledger.writer.append(b.append_of(b.stream_of(number), 1, now, nonce=number)).name
        except InterruptedError:
            answers[number] = "stopped"

    with one_batch(ledger_place, ledger) as start:
        threads = [start(lambda number=number: append(number)) for number in range(6)]
        for stopped in (threads[2], threads[5]):
            set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
            assert set_exception(ctypes.c_ulong(stopped.ident or 0), ctypes.py_object(InterruptedError)) == 1
    assert [answers[number] for number in range(6)] == ["stored", "stored", "stopped", "stored", "stored", "stopped"]
    b.assert_whole(b.whole_log(ledger_place))


# Its main thread appends, and is interrupted again and again, wherever it is; the others must not notice.
INTERRUPTED = """
import os, random, signal, sys, threading, time
from pathlib import Path
from ledger.application import open_ledger
from ledger.errors import OutcomeUnknown
from ledger.settings import Place
from tests import builders as b

stop = threading.Event()
interrupts = 0
seconds = float(sys.argv[3])

def append(ledger, number, turn):
    nonce = number * 1_000_000 + turn
    try:
        outcome = ledger.writer.append(b.append_of(b.stream_of(nonce), 1, ledger.clock.now(), nonce=nonce))
    except OutcomeUnknown:
        return
    if outcome.clock: ledger.clock.read(outcome.clock)
    if outcome.name == "stored":
        os.write(1, f"{outcome.position} {nonce:032x}\\n".encode())

def others(ledger, number):
    turn = 0
    while not stop.is_set():
        append(ledger, number, turn := turn + 1)

def interrupt():
    while not stop.wait(random.random() / 100):
        os.kill(os.getpid(), signal.SIGINT)

inside = False

def interrupted(*_):
    global inside, interrupts
    if inside:  # once an append: a second one could come where nobody expects it, in this script itself
        inside = False
        interrupts += 1
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupted)

with open_ledger(Place(sys.argv[1], None, Path(sys.argv[2]))) as ledger:
    threads = [threading.Thread(target=others, args=(ledger, n), daemon=True) for n in range(1, 6)]
    for thread in threads: thread.start()
    deadline, turn = time.monotonic() + seconds, 0
    threading.Thread(target=interrupt, daemon=True).start()
    while time.monotonic() < deadline:
        try:
            inside = True
            append(ledger, 0, turn := turn + 1)
            inside = False
        except KeyboardInterrupt:
            pass
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "a caller was never answered"
    assert interrupts > 5, interrupts
    # And the next one leads as if nothing had happened.
    outcome = ledger.writer.append(b.append_of(b.stream_of(10**9), 1, b.now_of(ledger)))
    assert outcome.name == "stored", outcome
"""


def test_whoever_is_interrupted_keeps_nobody_waiting(ledger_place: Place) -> None:
    arguments = [ledger_place.url or "", str(ledger_place.state), "1.5"]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"},
    )
    try:
        acknowledged, complaint = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        pytest.fail(f"hung: {process.communicate()[1]}")
    assert process.returncode == 0, complaint
    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    lines = [line.split() for line in acknowledged.splitlines()]
    assert len(lines) > 20
    for position, nonce in lines:
        assert f'"nonce":"{nonce}"'.encode() in log[int(position) - 1][3]
