"""`consent import`, as its users run it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.settings import Place
from tests.builders import TERMS, assert_whole, whole_log
from tests.cli.conftest import RunCli
from tests.importing.events import Fields, accepted, rejects, shown, toggled, write


@pytest.fixture(autouse=True)
def published(ledger: ConsentLedger) -> None:
    ledger.publish(TERMS)


def test_every_kind_of_bad_line_is_rejected_and_every_good_one_stored(
    ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli, tmp_path: Path
) -> None:
    good_before = write(tmp_path / "before.jsonl", shown("gone"), accepted("gone"))
    assert run_cli("import", good_before, place=ledger_place).returncode == 0
    ledger.erase("gone", "request")
    lines: list[Fields | bytes] = [
        shown("ann", key="k1"),
        b'{"event": "accepted", "subject": "ann", \n',
        shown("ann") | {"event": "consented"},
        shown("ann") | {"mood": "good"},
        shown("ann") | {"occurred_at": "yesterday"},
        accepted("nobody-was-shown"),
        accepted("gone"),
        accepted("ann", key="k1"),
        shown("ann") | {"data": shown("ann")["data"] | {"surface": "s" * 300_000}},
        shown("ann") | {"data": shown("ann")["data"] | {"plan": "p" * 257}},
        accepted("ann"),
        b"\n",
        toggled("ann", "20T10:00:00"),
    ]
    file = write(tmp_path / "events.jsonl", *lines)

    first = run_cli("--json", "import", file, place=ledger_place)
    assert first.returncode == 1
    assert json.loads(first.stdout) == {
        "source": "events.jsonl",
        "lines": 12,
        "stored": 3,
        "repeated": 0,
        "rejected": 9,
        "rejects_file": f"{file}.rejects.jsonl",
    }
    assert [(reject["line"], reject["reason"].partition(", found")[0]) for reject in rejects(file)] == [
        (2, "expected one JSON object a line"),
        (3, "expected an event that can be imported"),
        (4, "expected the fields of an import line"),
        (5, "`occurred_at`: expected a time with an offset like 2025-09-28T00:00:00Z"),
        (6, "expected a notice of terms 2025-09-28 before their Accept"),
        (7, "expected a person who is not erased"),
        (8, "expected the same request as was recorded under this key"),
        (9, "expected a line of at most 262144 bytes"),
        (10, "expected the fields of an import line"),
    ]
    texts = file.read_text().splitlines()
    for reject in rejects(file):
        assert reject.keys() == {"line", "reason", "text"}
        assert reject["text"] == texts[reject["line"] - 1] or reject["line"] == 9

    before = whole_log(ledger_place)
    again = run_cli("--json", "import", file, place=ledger_place)
    assert again.returncode == 1
    assert (json.loads(again.stdout)["stored"], json.loads(again.stdout)["repeated"]) == (0, 3)
    assert whole_log(ledger_place) == before
    assert_whole(before)


def test_after_an_erasure_the_same_file_does_not_bring_the_person_back(
    ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli, tmp_path: Path
) -> None:
    file = write(tmp_path / "events.jsonl", shown("ann"), accepted("ann"), shown("bob"))
    assert run_cli("import", file, place=ledger_place).returncode == 0
    ledger.erase("ann", "request")
    before = whole_log(ledger_place)
    again = run_cli("import", file, place=ledger_place)
    assert again.returncode == 1
    assert again.stdout == (
        f"events.jsonl: 3 lines, 0 stored, 1 there before, 2 rejected, which are in {file}.rejects.jsonl\n"
    )
    assert whole_log(ledger_place) == before
    assert ledger.identities.find(["ann"])["ann"].stream is None


def test_many_files_each_with_its_own_line(ledger_place: Place, run_cli: RunCli, tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.jsonl", shown(name), accepted(name)) for name in ("ann", "bob")]
    done = run_cli("--json", "import", *files, "--source", "old system", place=ledger_place)
    assert done.returncode == 0
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["source"], one["stored"], one["rejects_file"]) for one in told] == [("old system", 2, None)] * 2


def test_what_cannot_be_read_is_said_before_anything_is_stored(
    ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli, tmp_path: Path
) -> None:
    good = write(tmp_path / "good.jsonl", shown("ann"))
    for bad in (tmp_path / "none.jsonl", tmp_path):
        done = run_cli("import", good, bad, place=ledger_place)
        assert done.returncode == 3
        assert done.stderr.startswith(f"consent: expected a file of events at {bad}, found: ")
        assert done.stderr.count("\n") == 1
    assert ledger.recorder.head() == 1


@pytest.mark.parametrize("source", ["", "s" * 257, "a\tb"])
def test_a_source_is_a_free_string(ledger_place: Place, run_cli: RunCli, tmp_path: Path, source: str) -> None:
    file = write(tmp_path / "good.jsonl", shown("ann"))
    assert run_cli("import", file, "--source", source, place=ledger_place).returncode == 2


def test_an_empty_file_and_the_rejects_of_rejects(ledger_place: Place, run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("import", write(tmp_path / "empty.jsonl"), place=ledger_place)
    assert (done.returncode, done.stdout) == (0, "empty.jsonl: 0 lines, 0 stored, 0 there before, 0 rejected\n")
    file = write(tmp_path / "bad.jsonl", b"\x00\xff\n")
    assert run_cli("import", file, place=ledger_place).returncode == 1
    assert run_cli("import", f"{file}.rejects.jsonl", place=ledger_place).returncode == 1


def test_a_named_pipe_is_opened_once_and_read_to_its_end(
    ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli, tmp_path: Path
) -> None:
    file = tmp_path / "events.pipe"
    os.mkfifo(file)
    lines = [json.dumps(fields).encode() + b"\n" for fields in (accepted("ann"), shown("ann"), shown("bob"))]
    # Of a daemon: should nobody read, it does not keep the tests from ending.
    threading.Thread(target=file.write_bytes, args=[b"".join(lines)], daemon=True).start()
    done = run_cli("--json", "import", file, place=ledger_place)
    assert json.loads(done.stdout)["stored"] == 3
    assert ledger.recorder.head() == 4
