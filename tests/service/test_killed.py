"""Two processes of the service over one database, one of them killed under load: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import decode_entry
from ledger.settings import Place
from tests import builders as b
from tests.service.conftest import SECONDS, Served
from tests.service.test_routes import SHOWN, event
from tests.service.test_server import Process

PEOPLE = 400
#: So many are acknowledged before one process is killed, with others on their way.
BEFORE = 100
AT_ONCE = 40


async def recorded_by_all(urls: Sequence[str], token: str, victim: Process) -> dict[int, int]:
    """Each person's showing, asked again of the other process until it is acknowledged: person to position."""
    acknowledged: dict[int, int] = {}
    waiting = asyncio.Semaphore(AT_ONCE)

    async def record(client: httpx.AsyncClient, person: int) -> None:
        body = event("terms-shown", SHOWN, f"person-{person}")
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"shown-{person}"}
        async with waiting:
            for attempt in range(PEOPLE):
                url = urls[(person + attempt) % len(urls)]
                try:
                    answer = await client.post(f"{url}/v1/events", json=body, headers=headers)
                except httpx.TransportError:
                    continue
                if answer.status_code in (200, 201):
                    acknowledged[person] = answer.json()["position"]
                    break
            if len(acknowledged) == BEFORE:
                victim.running.kill()

    async with httpx.AsyncClient(timeout=SECONDS) as client:
        await asyncio.gather(*(record(client, person) for person in range(PEOPLE)))
    return acknowledged


@pytest.mark.slow
def test_one_of_two_is_killed_under_load(ledger: ConsentLedger, ledger_place: Place) -> None:
    ledger.publish(b.TERMS)
    both = [Process(ledger_place, "--rate", "100000") for _ in range(2)]
    token = Served(both[0].url, ledger_place).token("record")
    acknowledged = asyncio.run(recorded_by_all([one.url for one in both], token, both[1]))
    both[1].kill()
    both[0].stop()
    log = b.whole_log(ledger_place)
    b.assert_whole(log)
    assert len(acknowledged) == PEOPLE
    for person, position in acknowledged.items():
        entry = decode_entry(log[position - 1][3])
        assert (entry.event, entry.stream) == ("terms-shown", ledger.subject(f"person-{person}").stream)
    # And none twice, whoever had to ask again.
    assert sum(decode_entry(stored).event == "terms-shown" for *_, stored in log) == PEOPLE
