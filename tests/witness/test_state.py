"""What a witness remembers: one history, whoever asks at once, and whenever it is killed."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.errors import NotVerified, Unavailable
from ledger.proof.checkpoint import parse_checkpoint
from ledger.proof.cosignature import verify_cosignature
from ledger.proof.note import Note, signing_key_text
from ledger.proof.witnessing import Reply
from ledger.witness.client import cosignature_of
from ledger.witness.server import Witness
from ledger.witness.state import WitnessState
from tests.witness.logs import LOG_KEY, ORIGIN, WITNESS_KEY, Log

ROOT = Path(__file__).parents[2]
SECONDS = 120


def test_the_client_comes_back_with_a_cosignature_wherever_the_witness_stands(witness_url: str) -> None:
    log = Log()
    for size in (3, 3, 17, 40):
        signature = cosignature_of(witness_url, WITNESS_KEY.verifier, log.note(size), size, log.way_to(size))
        assert verify_cosignature(log.note(size).text, signature, WITNESS_KEY.verifier)
    with pytest.raises(NotVerified, match=r"found it at 40: it has seen more of this log"):
        cosignature_of(witness_url, WITNESS_KEY.verifier, log.note(39), 39, log.way_to(39))


def test_the_client_says_why_there_is_no_cosignature(witness_url: str) -> None:
    log, other = Log(), Log(other=True)
    cosignature_of(witness_url, WITNESS_KEY.verifier, log.note(7), 7, log.way_to(7))
    with pytest.raises(NotVerified, match=r"found status 422"):
        cosignature_of(witness_url, WITNESS_KEY.verifier, other.note(9), 9, other.way_to(9))
    with pytest.raises(NotVerified, match=r"found none by that key"):
        cosignature_of(witness_url, LOG_KEY.verifier, log.note(9), 9, log.way_to(9))
    with pytest.raises(Unavailable, match=r"expected the witness at http://127\.0\.0\.1:9 to answer"):
        cosignature_of("http://127.0.0.1:9", WITNESS_KEY.verifier, log.note(9), 9, log.way_to(9))
    with pytest.raises(Unavailable, match=r"http:// or https://, found 'file"):
        cosignature_of("file:///etc/hostname", WITNESS_KEY.verifier, log.note(9), 9, log.way_to(9))


@pytest.mark.parametrize("answer", [b"", b"\xe2\x80\x94 half of a line"])
def test_an_answer_that_was_cut_off_is_none(answer: bytes) -> None:
    log = Log()
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:
        cut_off = thread.submit(_answer, server, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + answer)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(Unavailable, match=r"expected the witness at .* to answer, found: .*; ask again later"):
            cosignature_of(url, WITNESS_KEY.verifier, log.note(9), 9, log.way_to(9))
        cut_off.result()


def _answer(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(answer)


def test_of_many_who_ask_at_once_one_history_is_cosigned(tmp_path: Path) -> None:
    """Two histories of one origin, pushed by many threads through two witnesses over the same folder."""
    histories = [Log(200), Log(200, other=True)]
    states = [WitnessState(tmp_path), WitnessState(tmp_path)]
    witnesses = [Witness(WITNESS_KEY, [LOG_KEY.verifier], state) for state in states]
    cosigned: list[str] = []
    lock = threading.Lock()

    def push(number: int) -> None:
        dice = random.Random(number)
        for _ in range(30):
            log = histories[dice.randrange(2)]
            latest = states[number % 2].latest(ORIGIN)
            old = latest.size if latest else 0
            if old == log.size:
                return
            reply: Reply = witnesses[number % 2].add_checkpoint(
                log.request(old, min(old + dice.randrange(9), log.size))
            )
            if reply.cosigned is not None:
                with lock:
                    cosigned.append(reply.cosigned)

    with ThreadPoolExecutor(16) as threads:
        for pushed in [threads.submit(push, number) for number in range(16)]:
            pushed.result()
    for state in states:
        state.close()
    checkpoints = [parse_checkpoint(text) for text in cosigned]
    assert len({checkpoint.size for checkpoint in checkpoints}) > 3
    roots = [
        [log for log in histories if log.tree.root(checkpoint.size) == checkpoint.root]
        for checkpoint in checkpoints
        if checkpoint.size
    ]
    assert len({log.other for [log] in roots}) == 1, "two histories were cosigned"


def test_killed_at_any_moment_a_witness_stands_where_it_last_cosigned(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(signing_key_text(WITNESS_KEY) + "\n")
    key_file.chmod(0o600)
    log, dice, size = Log(2_000), random.Random(5), 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "witness", "--key", str(key_file), "--log", LOG_KEY.verifier.text,
             "--state", str(tmp_path / "state"), "--port", "0"],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        killer = threading.Timer(dice.random() / 3, os.kill, [process.pid, signal.SIGKILL])
        killer.start()
        try:
            deadline = time.monotonic() + SECONDS
            while process.poll() is None and size + 1 < log.size:
                assert time.monotonic() < deadline, "gave up waiting"
                new = size + 1
                note: Note = log.note(new)
                cosignature_of(url, WITNESS_KEY.verifier, note, new, log.way_to(new))
                size = new
        except Unavailable:
            pass
        finally:
            killer.join()
            process.kill()
            process.wait(timeout=SECONDS)
            process.stdout.close()
        state = WitnessState(tmp_path / "state")
        latest = state.latest(ORIGIN)
        state.close()
        stands_at = latest.size if latest else 0
        # It may have kept one that it was killed before answering; never less than what it answered.
        assert size <= stands_at <= size + 1
        assert latest is None or latest.root == log.tree.root(stands_at)
        size = stands_at
    assert size > 0


def test_a_witness_that_cannot_read_what_it_cosigned_cosigns_nothing(tmp_path: Path) -> None:
    state = WitnessState(tmp_path)
    state.path_of(ORIGIN).write_text("consent.example/log1\n")
    with pytest.raises(Unavailable, match=r"must retire its key"):
        Witness(WITNESS_KEY, [LOG_KEY.verifier], state).add_checkpoint(Log().request(0, 7))
    state.close()
