"""What goes on beside the requests: the sequencer and the projections, in threads of their own or elsewhere."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from ledger.application import ConsentLedger
from ledger.errors import ConsentLedgerError, Unavailable
from ledger.projections import PROJECTIONS
from ledger.projections.runner import Runner
from ledger.sequencer.follow import follow
from ledger.service.logs import error_fields, tell
from ledger.service.problems import problem_of
from ledger.store.recorder import FOLLOW_SECONDS

Part = Literal["sequencer", "projections"]
PARTS: tuple[Part, ...] = get_args(Part)

#: The pause after each turn of the sequencer.
SEQUENCE_SECONDS = 5.0
#: Until a database that did not answer is asked again.
AGAIN_SECONDS = 1.0


@contextmanager
def beside(ledger: ConsentLedger, parts: Collection[Part]) -> Iterator[dict[str, Callable[[], bool]]]:
    """Runs these parts until the block is left; says of each whether it is alive."""
    stop = threading.Event()
    work: dict[Part, Callable[[ConsentLedger, threading.Event], None]] = {
        "sequencer": _sequence,
        "projections": _project,
    }
    threads = {part: threading.Thread(target=_told, args=(part, work[part], ledger, stop), name=part) for part in parts}
    for thread in threads.values():
        thread.start()
    try:
        yield {part: thread.is_alive for part, thread in threads.items()}
    finally:
        stop.set()
        for thread in threads.values():
            thread.join()


def _told(
    part: Part,
    work: Callable[[ConsentLedger, threading.Event], None],
    ledger: ConsentLedger,
    stop: threading.Event,
) -> None:
    """A part that ends before it is told to is a fault: the service says that it is not ready, and the log why."""
    try:
        work(ledger, stop)
    except ConsentLedgerError as error:
        tell("stopped", logging.ERROR, part=part, code=problem_of(error).code, **error_fields(error))
    except Exception as error:
        tell("stopped", logging.ERROR, part=part, **error_fields(error))


def _sequence(ledger: ConsentLedger, stop: threading.Event) -> None:
    follow(
        ledger,
        SEQUENCE_SECONDS,
        stop,
        told=lambda checkpoint: tell("checkpoint", size=checkpoint.size, covers=checkpoint.covers),
        trouble=lambda _: tell("no answer from the database", logging.WARNING, part="sequencer"),
    )


def _project(ledger: ConsentLedger, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with Runner(ledger.url, ledger.place.name) as runner:
                while not stop.wait(FOLLOW_SECONDS):
                    for projection in runner.behind(PROJECTIONS.values()):
                        runner.catch_up(projection)
        except Unavailable:
            tell("no answer from the database", logging.WARNING, part="projections")
            stop.wait(AGAIN_SECONDS)
