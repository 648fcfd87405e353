"""An import killed at random moments and run again ends in the state of one that was left alone."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.application import open_ledger
from ledger.importing import events
from ledger.settings import Place
from ledger.store.location import create_ledger
from tests.builders import TERMS
from tests.cli.conftest import ROOT, SECONDS
from tests.importing.events import Fields, accepted, rejects, shown, state, take, toggled, write

PEOPLE = [f"p{number}" for number in range(150)]
KILLS = 12
#: So that a kill has many moments to choose from.
BATCH_LINES = 15

#: Says when it begins and when it is done.
IMPORT = """
import sys
from pathlib import Path
from ledger.application import open_ledger
from ledger.importing import events
from ledger.settings import place_of
from tests.importing.events import Silent
events.BATCH_LINES = int(sys.argv[2])
with open_ledger(place_of(None)) as ledger:
    print("begun", flush=True)
    events.import_events(ledger, Path(sys.argv[1]), "old system", Silent())
    print("done", flush=True)
"""


def life(name: str, chance: random.Random) -> list[Fields]:
    """Some of each kind of line, and some that are refused where they stand and would not be any more at the end."""
    lines = [shown(name, "02T10:00:00"), accepted(name, "02T10:01:00")]
    lines += [toggled(name, f"{10 + day}T10:00:00", chance.choice(["on", "off"])) for day in range(chance.randrange(8))]
    if chance.random() < 0.4:
        lines.append(accepted(name, "01T10:00:00"))  # before any notice
    if chance.random() < 0.3:
        lines.append(toggled(name, "01T11:00:00", "on"))  # before any Accept
    if chance.random() < 0.3:
        lines.append(toggled(name, "05T10:00:00", recorded_at="2025-09-25T10:00:00Z", key=f"{name} offline"))
    return lines


@pytest.mark.slow
def test_killed_and_run_again(
    ledger_place: Place, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(7)
    lines = [fields for name in PEOPLE for fields in life(name, chance)]
    chance.shuffle(lines)
    file = write(tmp_path / "events.jsonl", *lines)
    with open_ledger(ledger_place) as ledger:
        ledger.publish(TERMS)
        seen = [ledger.recorder.head()]
        for _ in range(KILLS):
            process = _start(ledger_place, file)
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            # However fast the machine is: not before something more is stored, and soon after.
            while process.poll() is None and ledger.recorder.head() == seen[-1]:
                time.sleep(0.001)
            time.sleep(chance.random() * 0.05)
            process.kill()
            process.communicate()
            seen.append(ledger.recorder.head())
    assert len(set(seen)) > 4  # else no kill came in between
    last = _start(ledger_place, file)
    assert last.communicate(timeout=SECONDS)[0] == "begun\ndone\n"

    with open_ledger(ledger_place) as ledger:
        ended, refused = state(ledger, PEOPLE), rejects(file)
    monkeypatch.setattr(events, "BATCH_LINES", BATCH_LINES)
    alone = tmp_path / "alone.jsonl"
    assert ended == _left_alone(Place(database_url, None, tmp_path / "alone"), alone, lines)
    assert refused == rejects(alone)
    assert len(refused) > 50


def _left_alone(place: Place, file: Path, lines: list[Fields]) -> object:
    """The state that the same lines make in another ledger, at one go."""
    create_ledger(place, None)
    with open_ledger(place) as ledger:
        ledger.publish(TERMS)
        take(ledger, file, *lines)
        return state(ledger, PEOPLE)


def _start(place: Place, file: Path) -> subprocess.Popen[str]:
    environment = {"CONSENT_LEDGER": place.url or "", "CONSENT_STATE": str(place.state), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", IMPORT, file, str(BATCH_LINES)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
