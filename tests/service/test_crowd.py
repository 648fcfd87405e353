"""200 subscribers at 100 events a second, and the server killed and started again in the middle: nothing is missed."""

from __future__ import annotations

import json
import threading
import time

import pytest

from bench.crowd import Appender, Crowd, delays
from ledger.application import ConsentLedger
from ledger.domain.terms import Toggle
from ledger.settings import Place
from tests import builders as b
from tests.service.conftest import SECONDS, Served
from tests.service.test_server import Process
from tests.service.test_subscribing import CONSENT, told_by_the_database

SUBSCRIBERS = 200
A_SECOND = 100.0
APPENDING_SECONDS = 6.0
PEOPLE = 40


@pytest.mark.slow
def test_a_crowd_misses_nothing_of_a_server_that_is_killed(ledger: ConsentLedger, ledger_place: Place) -> None:
    people = [f"person-{number}" for number in range(PEOPLE)]
    b.grant(ledger, *people)
    running = [Process(ledger_place)]
    served = Served(running[0].url, ledger_place)
    host, port = served.address

    def kill_and_start_again() -> None:
        time.sleep(APPENDING_SECONDS / 2)
        running[0].kill()
        running.append(Process(ledger_place, "--port", str(port)))

    def toggle(number: int) -> int:
        to: Toggle = "off" if number // PEOPLE % 2 == 0 else "on"
        return ledger.record(people[number % PEOPLE], b.toggled(to)).position

    crowd = Crowd(host, port, served.token("read"), CONSENT, SUBSCRIBERS)
    restarting = threading.Thread(target=kill_and_start_again)
    with Appender(toggle, A_SECOND, APPENDING_SECONDS) as appender:
        restarting.start()
        crowd.listen(appender.until, SECONDS)
    restarting.join()
    running[1].stop()

    final = {told["row"]["stream"]: told for told in told_by_the_database(ledger, CONSENT)[1:-1]}
    assert len(final) == PEOPLE
    for heard in crowd.heard:
        assert (heard.connections >= 2, heard.disorder, heard.snapshots) == (True, 0, 1)
        assert {stream.decode(): json.loads(row) for stream, row in heard.rows.items()} == final
    assert delays(crowd, appender)
