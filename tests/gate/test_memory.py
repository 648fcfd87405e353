"""Item sets larger than memory: what the engine may not hold it spills."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.settings import Place
from tests.domain import given
from tests.gate import people, runs

ITEMS, SUBJECTS = 3_000_000, 3_000
ENGINE_MB = 300
#: What the process takes besides: Python with its libraries, the engine's threads, pages of the log, and the files
#: that the engine writes. Without a limit the same run takes 2.4 GB.
BESIDES_MB = 500

#: All steps with an engine of little memory; says how much was spilled, and the most memory there was.
FILTER = """
import json, resource, sys
from contextlib import closing
from pathlib import Path
from ledger.application import open_ledger
from ledger.gate.duckdb_engine import Engine
from ledger.gate.gate import Gate, working_folder
from ledger.settings import place_of
from tests.gate import runs

items, out, memory = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
with open_ledger(place_of(None)) as ledger, working_folder(out, "r1") as work, closing(Engine(work, memory)) as engine:
    gate = Gate(ledger, runs.asked(items), engine, runs.Silent())
    gate.start()
    gate.decide()
    (spilled,) = engine.one("SELECT coalesce(sum(size), 0)::BIGINT FROM duckdb_temporary_files()")
    counts = runs.finished(gate, out).counts
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"spilled": spilled, "peak": peak, "items": counts.items, "permitted": counts.permitted}))
"""


@pytest.mark.slow
def test_more_items_than_memory(ledger: ConsentLedger, ledger_place: Place, tmp_path: Path) -> None:
    ledger.publish(given.SHIPPED)
    names = [f"p{number}" for number in range(SUBJECTS)]
    people.fill(ledger, people.decided_at_random(names, datetime(2025, 8, 28, tzinfo=UTC), timedelta(days=200), seed=1))
    query = (
        f"SELECT 'p' || (i * 7919 % {SUBJECTS}) AS subject, 'item ' || i AS item, md5(i::VARCHAR) AS other,"
        " TIMESTAMPTZ '2025-08-01 00:00:00Z' + to_microseconds(i * 8640000) AS collected_at"
        f" FROM range({ITEMS}) t(i)"
    )
    path = people.write_parquet(tmp_path / "items.parquet", query)
    with runs.start(ledger_place, "-c", FILTER, str(path), str(tmp_path / "out"), f"{ENGINE_MB}MB") as process:
        answer, told = process.communicate()
    assert process.returncode == 0, told
    found = json.loads(answer)
    assert found["items"] == ITEMS
    assert found["permitted"] > ITEMS / 10
    assert found["spilled"] > ENGINE_MB * 1_000_000
    assert found["peak"] < ENGINE_MB + BESIDES_MB
