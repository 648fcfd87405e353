"""Bulk: an import beside COPY of its rows, a replay beside plain reading, and the memory that commands hold.

Usage: python -m bench.run --only bulk

The file of events is in the order of their times, as a system of record exports it. The import is the command, from
its start to its end, into an empty ledger: it parses, validates, decides, encodes and stores, and keeps links and keys.
COPY gets the rows that an import has stored, prepared in binary, into a table with the columns, checks and indexes of
the log, in one transaction of the same server: the best that this table allows.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from itertools import islice
from pathlib import Path

import psycopg

from bench import place
from bench.figures import Comparison, Findings, Limits, Peak, in_turn, seconds_of
from bench.peers.installing import Peers
from bench.sizes import Sizes
from ledger.application import ConsentLedger, open_ledger
from ledger.history import records_of
from ledger.importing.sorting import ExternalSort
from ledger.settings import Place
from ledger.simulate import simulate, subjects

#: Columns that a row is given; the database computes the rest.
COLUMNS = "position, stream, version, event, recorded_at, imported, entry"
BLOCK = 1 << 20
MOMENT_BYTES = len("2025-09-28T00:00:00.000000Z")
#: More events than this a simulated person has at the mean, so that there are enough of them.
EVENTS_A_PERSON = 2
IMPORT_LIMITS = Limits(
    bound="one connection stores each entry, which it parses once more, and its key; on the other core Python decides "
    "and encodes, and another connection links the people; before all that the lines are sorted",
    tried="bytes put together by the server out of columns, copied states of SHA-256, a merge in blocks (decisions 14 "
    "and 15): no gain beyond the noise",
    limit="some 0.33 x, for one connection spends 2.5 to 3 times COPY's time on rows and keys",
)
REPLAY_LIMITS = Limits(
    bound="one Python core cuts and checks each entry, and makes its decisions; the server sorts by stream meanwhile",
    tried="a page as one text to split, parts as tuples, transposed, a regular expression over each entry (decision "
    "16): none was faster",
    limit="some 0.3 x, at 6.5 us an entry, the least that a whole replay was measured at",
)


def measure(sizes: Sizes, peers: Peers) -> Findings:  # noqa: ARG001 - nothing of this has a peer to install
    found = Findings()
    with place.server() as server:
        for count in sizes.events:
            is_goal = count == sizes.events[-1]
            events = write_events(server.folder / f"events-{count}.jsonl", count)
            compare_import(server, events, count, sizes.rounds, is_goal, found)
            at = Place(server.url(kept(count)), None, server.folder / f"state-{kept(count)}")
            compare_replay(at, count, sizes.rounds, is_goal, found)
            if count in sizes.events[-2:]:  # two, so that one sees whether it grows
                peaks(server, at, count, found)
            server.drop(kept(count))
    return found


def kept(count: int) -> str:
    """The ledger of that size whose rows are copied, and which is read afterwards."""
    return f"kept_{count}"


def write_events(path: Path, count: int) -> Path:
    """So many import lines, in the order of the times at which they were recorded.

    Not sorted in memory: a command's peak is never told as less than what its parent held when it started it.
    """
    people = subjects(count // EVENTS_A_PERSON + 1_000)
    lines = ExternalSort()
    for line in islice(simulate(place.terms(), people, 1, Counter()), count):
        lines.add(_moment(line) + line)
    with path.open("wb") as file:
        file.writelines(line[MOMENT_BYTES:] + b"\n" for line in lines)
    lines.close()
    return path


def _moment(line: bytes) -> bytes:
    fields = json.loads(line)
    return str(fields.get("recorded_at", fields["occurred_at"])).encode()


def compare_import(server: place.Server, events: Path, count: int, rounds: int, is_goal: bool, found: Findings) -> None:
    place.consent("import", str(events), place=server.new_ledger(kept(count)))
    rows = prepare_rows(server, count)
    memory, processor = [], []
    number = 0

    def imported() -> float:
        nonlocal number
        number += 1
        name = f"round_{count}_{number}"
        at = server.new_ledger(name)
        server.admin("CHECKPOINT")
        done = place.consent("import", str(events), place=at)
        memory.append(done.peak)
        processor.append(done.processor)
        server.drop(name)
        return count / done.seconds

    def copied() -> float:
        make_table(server, count)
        return count / seconds_of(lambda: copy(server, rows, count))

    ours, theirs = in_turn(rounds, [imported, copied])
    found.comparisons.append(
        Comparison(
            work="import: parsed, validated, canonical, hashed, stored",
            against="COPY of the prepared rows into the same table with its indexes",
            size=f"{count:,} events",
            unit="events",
            ours=ours,
            theirs=theirs,
            goal=0.6 if is_goal else None,
            limits=IMPORT_LIMITS,
        )
    )
    found.peaks.append(Peak(work="consent import", size=f"{count:,} events", mebibytes=max(memory)))
    each = statistics.median(processor) / count * 1e6
    found.notes.append(
        f"`consent import` of {count:,} events takes {each:.1f} us of processor time an event, from the command's "
        "start to its end and without the server's."
    )
    rows.unlink()


def prepare_rows(server: place.Server, count: int) -> Path:
    """The rows that were imported, as COPY takes them."""
    path = server.folder / f"rows-{count}"
    with psycopg.connect(server.url(kept(count)), autocommit=True) as connection, path.open("wb") as file:
        query = (
            f"COPY (SELECT {COLUMNS} FROM ledger.log_entry WHERE imported ORDER BY position) TO STDOUT (FORMAT binary)"
        )
        with connection.cursor().copy(query.encode()) as copying:
            for block in copying:
                file.write(block)
        connection.execute("CREATE SCHEMA peer")
    return path


def make_table(server: place.Server, count: int) -> None:
    """The peer's table, empty, and the server with nothing left to write of what was before."""
    server.admin("DROP TABLE IF EXISTS peer.log_entry", kept(count))
    server.admin("CREATE TABLE peer.log_entry (LIKE ledger.log_entry INCLUDING ALL)", kept(count))
    server.admin("CHECKPOINT")


def copy(server: place.Server, rows: Path, count: int) -> None:
    with psycopg.connect(server.url(kept(count)), autocommit=True) as connection:
        query = f"COPY peer.log_entry ({COLUMNS}) FROM STDIN (FORMAT binary)"
        with connection.cursor().copy(query.encode()) as copying, rows.open("rb") as file:
            for block in iter(lambda: file.read(BLOCK), b""):
                copying.write(block)


def compare_replay(at: Place, count: int, rounds: int, is_goal: bool, found: Findings) -> None:
    with psycopg.connect(at.url or "", autocommit=True) as owner:
        owner.execute("DROP TABLE IF EXISTS peer.log_entry")
        owner.execute("VACUUM ANALYZE ledger.log_entry")
    with open_ledger(at) as ledger:
        until = ledger.recorder.head()
        ours, theirs = in_turn(
            rounds,
            [
                lambda: until / seconds_of(lambda: replay(ledger, until)),
                lambda: until / seconds_of(lambda: read(ledger, until)),
            ],
        )
    found.comparisons.append(
        Comparison(
            work="replay into consent records",
            against="reading the same rows in Python by keyset pages",
            size=f"{count:,} entries",
            unit="entries",
            ours=ours,
            theirs=theirs,
            goal=0.5 if is_goal else None,
            limits=REPLAY_LIMITS,
        )
    )


def replay(ledger: ConsentLedger, until: int) -> None:
    """Every subject's record as of a position; none of them is kept."""
    for _ in records_of(ledger, until):
        pass


def read(ledger: ConsentLedger, until: int) -> None:
    for _ in ledger.recorder.pages(0, until):
        pass


def peaks(server: place.Server, at: Place, count: int, found: Findings) -> None:
    """What the commands hold that go through the whole log."""
    out = server.folder / "export.jsonl"
    state = server.folder / f"audit-state-{count}"
    for work, arguments in {
        "consent replay (the whole log)": ["replay"],
        "consent projections rebuild": ["projections", "rebuild"],
        "consent export --format jsonl": ["export", "--format", "jsonl", "-o", str(out)],
        "consent checkpoint": ["checkpoint"],
        "consent audit": ["audit", "--state", str(state)],
    }.items():
        try:
            done = place.consent(*arguments, place=at)
        except RuntimeError as error:
            found.absent[f"memory of `{work}`"] = str(error)
            continue
        found.peaks.append(Peak(work=work, size=f"{count:,} entries", mebibytes=done.peak))
    out.unlink(missing_ok=True)
