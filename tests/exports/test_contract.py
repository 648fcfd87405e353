"""What every format of an export keeps: the same bytes, the order of the log, the filters, and little memory."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import Imported, canonical, decode_entry, encode_entry, make_entry
from ledger.domain.names import subject_stream
from ledger.domain.terms import parse_terms
from ledger.errors import Unavailable
from ledger.exports import FORMATS
from ledger.exports.csv import COLUMNS
from ledger.exports.selection import Exported, Selection, select
from ledger.files import PRIVATE, whole_file
from ledger.settings import Place
from tests.builders import TERMS, admin, grant, toggled
from tests.domain import given
from tests.domain.given import EXAMPLES
from tests.importing.events import accepted, shown, take

EVERY_FORMAT = pytest.mark.parametrize("name", FORMATS)


def positions_in_jsonl(ledger: ConsentLedger, data: bytes) -> list[int]:
    places = {bytes(stored): position for position, *_, stored in ledger.recorder.pages()}
    return [places[line] for line in data.splitlines()]


def positions_in_csv(_: ConsentLedger, data: bytes) -> list[int]:
    return [int(row["position"]) for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]


#: How each format says which entries are in it; a new format brings its own.
POSITIONS: dict[str, Callable[[ConsentLedger, bytes], list[int]]] = {
    "jsonl": positions_in_jsonl,
    "csv": positions_in_csv,
}


@pytest.fixture
def filled(ledger: ConsentLedger, tmp_path: Path) -> ConsentLedger:
    """Two people of today, one of an import with a source that a spreadsheet would run, and one who is gone."""
    grant(ledger, "ann", "bob")
    ledger.publish(parse_terms((EXAMPLES / "2025-09-28-future-runs.toml").read_text()))
    ledger.record("ann", toggled("off"), evidence=b"an address")
    take(ledger, tmp_path / "e.jsonl", shown("cem"), accepted("cem"), source='=1+1,"x"')
    ledger.erase("bob", "request")
    return ledger


def export(ledger: ConsentLedger, name: str, selection: Selection | None = None) -> bytes:
    return b"".join(FORMATS[name](select(ledger, selection or Selection())))


@EVERY_FORMAT
def test_the_same_range_is_the_same_bytes_whatever_came_after(filled: ConsentLedger, name: str) -> None:
    first = export(filled, name)
    assert export(filled, name) == first
    head = filled.recorder.head()
    filled.record("ann", toggled("on"))
    assert export(filled, name) != first
    assert export(filled, name, Selection(until=head)) == first


@EVERY_FORMAT
def test_every_entry_is_there_once_in_the_order_of_the_log(filled: ConsentLedger, name: str) -> None:
    assert POSITIONS[name](filled, export(filled, name)) == list(range(1, filled.recorder.head() + 1))


@EVERY_FORMAT
def test_ranges_that_follow_each_other_are_the_whole(filled: ConsentLedger, name: str) -> None:
    found = [
        position
        for after in range(0, 12, 3)
        for position in POSITIONS[name](filled, export(filled, name, Selection(after=after, until=after + 3)))
    ]
    assert found == list(range(1, filled.recorder.head() + 1))


@EVERY_FORMAT
def test_the_filters(filled: ConsentLedger, name: str) -> None:
    stream = filled.subject("ann").stream or ""
    entries = [(position, decode_entry(bytes(stored))) for position, *_, stored in filled.recorder.pages()]
    middle = entries[4][1].recorded

    def found(selection: Selection) -> list[int]:
        return POSITIONS[name](filled, export(filled, name, selection))

    assert found(Selection(streams=(stream,))) == [p for p, e in entries if e.stream == stream] != []
    assert found(Selection(events=("accepted", "subject-erased"))) == [
        p for p, e in entries if e.event in ("accepted", "subject-erased")
    ]
    assert found(Selection(recorded_from=middle)) == [p for p, e in entries if e.recorded >= middle]
    assert found(Selection(recorded_until=middle)) == [p for p, e in entries if e.recorded <= middle]
    assert found(Selection(recorded_from=middle, recorded_until=middle)) == [5]
    assert found(Selection(streams=(stream,), events=("toggle-changed",), after=3, until=100)) == [
        p for p, e in entries if e.stream == stream and e.event == "toggle-changed"
    ]


@EVERY_FORMAT
def test_an_empty_range_is_an_empty_file_of_the_format(filled: ConsentLedger, name: str) -> None:
    late = decode_entry(bytes(filled.recorder.page(0)[-1][4])).recorded + timedelta(days=1)
    empty = [Selection(until=0), Selection(after=10**9), Selection(recorded_from=late), Selection(streams=("0" * 64,))]
    assert len({export(filled, name, selection) for selection in empty}) == 1
    assert POSITIONS[name](filled, export(filled, name, empty[0])) == []


def many(count: int) -> Iterator[Exported]:
    stream = subject_stream(bytes(16))
    for position in range(1, count + 1):
        entry = make_entry(
            given.shown(),
            stream=stream,
            version=position,
            occurred_at="2025-09-01T10:00:00.000000Z",
            recorded_at="2025-09-01T10:00:00.000000Z",
            nonce=f"{position:032x}",
        )
        yield Exported(position, encode_entry(entry))


@EVERY_FORMAT
def test_a_format_streams(name: str) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for part in FORMATS[name](many(count)):
            assert len(part) < 10_000
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(10)
    assert peak(2_000) < 2 * peak(20) + 50_000


@EVERY_FORMAT
def test_a_format_asks_for_an_entry_only_when_it_is_wanted(name: str) -> None:
    asked = 0

    def counted() -> Iterator[Exported]:
        nonlocal asked
        for entry in many(1_000):
            asked += 1
            yield entry

    parts = iter(FORMATS[name](counted()))
    for _ in range(5):
        next(parts)
    assert asked <= 6


def test_every_registered_format_is_held_to_this() -> None:
    assert POSITIONS.keys() == FORMATS.keys()


def test_a_line_of_jsonl_is_what_is_stored_and_hashed(filled: ConsentLedger, ledger_place: Place) -> None:
    lines = export(filled, "jsonl").splitlines(keepends=True)
    with admin(ledger_place) as connection:
        leaves = connection.execute("SELECT leaf FROM ledger.log_entry ORDER BY position").fetchall()
    assert len(lines) == len(leaves)
    for line, (leaf,) in zip(lines, leaves, strict=True):
        assert line.endswith(b"}\n")
        assert hashlib.sha256(b"\x00" + line[:-1]).digest() == bytes(leaf)
        assert encode_entry(decode_entry(line[:-1])) == line[:-1]


def test_a_row_of_csv_has_the_whole_entry(filled: ConsentLedger) -> None:
    data = export(filled, "csv")
    lines = data.decode().split("\r\n")
    assert lines[0] == ",".join(COLUMNS)
    assert lines[-1] == ""
    for row in csv.DictReader(io.StringIO(data.decode(), newline="")):
        fields = {
            "v": 1,
            "event": row["event"],
            "stream": row["stream"],
            "version": int(row["version"]),
            "occurred_at": row["occurred_at"],
            "recorded_at": row["recorded_at"],
            "nonce": row["nonce"],
            "data": json.loads(row["data"]),
        }
        if row["evidence"]:
            fields["evidence"] = row["evidence"]
        if row["imported_at"]:
            source = row["source"].removeprefix("'")
            fields["imported"] = {"at": row["imported_at"], "source": source}
        assert hashlib.sha256(b"\x00" + canonical(fields)).hexdigest() == row["leaf"]


@pytest.mark.parametrize("source", ["=cmd()", "+1", "-1", "@SUM(A1)", "'quoted", "plain, text", 'a "b"'])
def test_no_cell_of_csv_begins_a_formula(source: str) -> None:
    entry = make_entry(
        given.shown(),
        stream=subject_stream(bytes(16)),
        version=1,
        occurred_at="2025-09-01T10:00:00.000000Z",
        recorded_at="2025-09-01T10:00:00.000000Z",
        nonce="0" * 32,
        imported=Imported(at="2025-09-02T10:00:00.000000Z", source=source),
    )
    data = b"".join(FORMATS["csv"]([Exported(1, encode_entry(entry))])).decode()
    _, row = csv.reader(io.StringIO(data, newline=""))
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
    cell = row[COLUMNS.index("source")]
    assert cell.removeprefix("'") == source if source[0] in "=+-@'" else cell == source


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"before")

    def interrupted() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            assert path.read_bytes() == b"before"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("out.jsonl", b"before")]
    with whole_file(path, PRIVATE) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == PRIVATE
    with pytest.raises(Unavailable, match="choose another place"), whole_file(tmp_path / "none" / "out"):
        pass


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "target"
    target.parent.mkdir()
    (tmp_path / "link").symlink_to(target)
    with whole_file(tmp_path / "link") as file:
        file.write(b"x")
    assert (tmp_path / "link").is_symlink()
    assert target.read_bytes() == b"x"
    with whole_file(Path("/dev/null")) as file:
        file.write(b"x")
    assert Path("/dev/null").is_char_device()


def test_the_terms_are_in_it_too(filled: ConsentLedger) -> None:
    first = decode_entry(export(filled, "jsonl").splitlines()[0])
    assert first.data == TERMS
