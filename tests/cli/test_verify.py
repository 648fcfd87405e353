"""`consent verify`, as its users run it: what it prints, its exit statuses, and what it does not need."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from msgspec import structs

from ledger.domain.names import subject_stream
from ledger.proof.item_proof import Absence, format_absence
from ledger.proof.policy import format_policy
from tests.cli.conftest import ROOT, SECONDS, RunCli
from tests.domain import given
from tests.proof.small_log import OTHER, SUBJECT, SUBJECT_ID, SmallLog, a_person, item, used

HOLDS, NO, WRONG_USAGE, UNUSABLE = 0, 1, 2, 3
ITEMS = [item("chat-1", "4"), item("chat-2", "5")]


@dataclass(frozen=True)
class Folder:
    """Files of one small log."""

    path: Path
    log: SmallLog

    def write(self, name: str, data: bytes) -> Path:
        file = self.path / name
        file.write_bytes(data)
        return file

    @property
    def bundle(self) -> Path:
        return self.write("bundle.json", self.log.bundle_file())

    @property
    def receipt(self) -> Path:
        return self.write("receipt.json", self.log.receipt(7))

    @property
    def policy(self) -> tuple[str, Path]:
        return "--policy", self.write("trust", format_policy(self.log.policy).encode())

    @property
    def keys(self) -> tuple[str, ...]:
        return ("--key", self.log.log_key.verifier.text, "--key", self.log.receipts_key.verifier.text)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, a_person(ITEMS))


def _refused(done: subprocess.CompletedProcess[str], status: int, saying: str) -> None:
    """One sentence on standard error, and nothing like a stack trace."""
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("consent: ") or done.stderr.startswith("Usage")
    assert done.stderr.count("\n") == 1
    assert saying in done.stderr
    assert "Traceback" not in done.stderr


def _violating() -> SmallLog:
    """A use of what was collected after the withdrawal, honestly recorded."""
    log = SmallLog().terms()
    log.append(SUBJECT, given.shown(), "2")
    log.append(SUBJECT, given.accepted(touched=(given.TRAINING,)), "3")
    log.append(SUBJECT, given.toggled("off"), "4")
    log.run("6")
    log.append(SUBJECT, used([item("chat-2", "5")], basis=2), "6")
    log.publish("8")
    return log


def test_it_loads_nothing_that_a_database_or_a_gate_needs(folder: Folder) -> None:
    files = [folder.bundle, folder.receipt, folder.write("entry", folder.log.tlog_proof(4))]
    arguments = ["verify", *map(str, files), *map(str, folder.policy), "--subject", str(folder.receipt)]
    probe = f"import sys; from cli.main import run; status = run({arguments!r}); print(status, *sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    status, *modules = done.stdout.splitlines()[-1].split()
    assert status == "0"
    heavy = (
        "psycopg",
        "duckdb",
        "eventsourcing",
        "rich",
        "ledger.store",
        "ledger.application",
        "ledger.gate",
        "socket",
    )
    assert not [module for module in modules if module.startswith(heavy)]


def test_a_good_bundle(folder: Folder, run_cli: RunCli) -> None:
    done = run_cli("verify", folder.bundle, *folder.policy)
    assert (done.returncode, done.stderr) == (HOLDS, "")
    first, second, *_ = done.stdout.splitlines()
    assert first == f"{folder.bundle}: verified"
    assert second.startswith(f"  for stream {SUBJECT}, which you must compare with your receipt: 4 entries")
    assert "position 7, version 4, toggle-changed" in done.stdout
    assert "2025-09-28 accepted on pop-up, plan pro, model-training on (operated)" in done.stdout


def test_under_a_bare_key(folder: Folder, run_here: RunCli) -> None:
    done = run_here("verify", folder.bundle, *folder.keys)
    assert done.returncode == HOLDS
    assert "no witness and no auditor vouches" in done.stdout


def test_a_bundle_for_programs(folder: Folder, run_here: RunCli) -> None:
    done = run_here("--json", "verify", folder.bundle, *folder.policy, "--subject", f"id:{SUBJECT_ID.hex()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert (answer["holds"], answer["good"]) == (True, True)
    (file,) = answer["files"]
    assert (file["kind"], file["stream"], file["complete_as_of"]) == ("bundle", SUBJECT, "2025-09-08T10:00:00.000000Z")
    assert (file["covers"], file["uncovered"], file["checkpoint"]["size"]) == (7, 1, 8)
    assert [entry["position"] for entry in file["history"]] == [2, 4, 6, 7]
    assert file["states"][0]["state"] == "off"
    assert file["withdrawals"][0]["occurred_at"] == "2025-09-07T10:00:00.000000Z"
    assert file["checkpoint"]["cosigned"][0]["name"] == "witness1.example"


def test_what_does_not_hold_is_said_in_a_sentence_and_to_programs(folder: Folder, run_here: RunCli) -> None:
    damaged = folder.write("damaged", folder.log.bundle_file().replace(b'"to":"off"', b'"to":"on"'))
    done = run_here("verify", damaged, *folder.policy)
    _refused(done, NO, f"{damaged}: version 4 of {SUBJECT}, at position 7: expected ")
    assert done.stdout == ""
    done = run_here("--json", "verify", damaged, *folder.policy)
    assert done.returncode == NO
    answer = json.loads(done.stdout)
    assert (answer["holds"], answer["evidence"]) == (False, [])
    assert "at position 7" in answer["why"]


def test_a_violation_exits_1_though_the_proofs_hold(tmp_path: Path, run_here: RunCli) -> None:
    folder = Folder(tmp_path, _violating())
    done = run_here("verify", folder.bundle, *folder.policy)
    assert (done.returncode, done.stderr) == (NO, "")
    assert f"{folder.bundle}: the proofs hold, and a use lies outside what was allowed" in done.stdout
    assert "VIOLATION: use of version 4 at position 6" in done.stdout
    answer = json.loads(run_here("--json", "verify", folder.bundle, *folder.policy).stdout)
    assert (answer["holds"], answer["good"]) == (True, False)
    assert len(answer["files"][0]["violations"]) == 1


def test_the_subject_is_an_id_a_key_or_a_receipt(folder: Folder, run_here: RunCli) -> None:
    other = folder.write("other", folder.log.bundle_file(OTHER))
    for subject in (f"id:{SUBJECT_ID.hex()}", f"key:{SUBJECT}", folder.receipt):
        assert run_here("verify", folder.bundle, *folder.policy, "--subject", subject).returncode == HOLDS
        _refused(run_here("verify", other, *folder.policy, "--subject", subject), NO, "expected a bundle of stream")
    done = run_here("verify", folder.bundle, *folder.policy, "--subject", "alice")
    _refused(done, WRONG_USAGE, "an identity cannot be looked up without the ledger")
    done = run_here("verify", folder.bundle, *folder.policy, "--subject", folder.bundle)
    assert done.returncode == NO


def test_absence_needs_a_name(folder: Folder, run_here: RunCli) -> None:
    nobody = "22" * 16
    file = folder.write("nobody", folder.log.bundle_file(subject_stream(bytes.fromhex(nobody))))
    _refused(run_here("verify", file, *folder.policy), NO, "add --subject")
    done = run_here("verify", file, *folder.policy, "--subject", f"id:{nobody}")
    assert done.returncode == HOLDS
    assert "nothing was ever recorded about this person up to 2025-09-08T10:00:00.000000Z" in done.stdout


@pytest.mark.parametrize(("age", "status"), [("1h", NO), ("90s", NO), ("999999d", HOLDS), ("1w", WRONG_USAGE)])
def test_freshness(folder: Folder, run_here: RunCli, age: str, status: int) -> None:
    done = run_here("verify", folder.bundle, *folder.policy, "--max-age", age)
    assert done.returncode == status
    if status == NO:
        _refused(done, NO, "found one as of 2025-09-08T10:00:00.000000Z")


def test_two_histories_are_printed_as_evidence(folder: Folder, run_here: RunCli) -> None:
    forked = a_person(off=False)
    forked.append(OTHER, given.accepted(), "7")
    notes = folder.log.checkpoint(), forked.checkpoint(8)
    files = [folder.write(f"checkpoint{number}", note) for number, note in enumerate(notes)]
    done = run_here("verify", *files, *folder.keys)
    _refused(done, NO, "found two: both checkpoints are of size 8, and their roots differ")
    for note in notes:
        assert note.decode() in done.stdout
    answer = json.loads(run_here("--json", "verify", *files, *folder.keys).stdout)
    assert answer["evidence"] == [note.decode() for note in notes]


def test_receipts_are_open_kept_and_broken(folder: Folder, run_here: RunCli) -> None:
    forked = a_person(off=False)
    forked.append(OTHER, given.accepted(), "7")
    forked.publish("9")
    broken = folder.write("forked", forked.tlog_proof(7))
    for more, state, status in (((), "open", HOLDS), ((folder.bundle,), "kept", HOLDS), ((broken,), "broken", NO)):
        done = run_here("verify", *more, folder.receipt, *folder.policy)
        assert done.returncode == status
        assert f"{folder.receipt}: the receipt is good, and its promise is {state}" in done.stdout
        answer = json.loads(run_here("--json", "verify", *more, folder.receipt, *folder.policy).stdout)
        assert answer["files"][-1]["promise"] == state
        assert answer["good"] == (status == HOLDS)
    assert forked.checkpoint().decode() in done.stdout


def test_the_items_of_the_gate_make_the_manifests_again(folder: Folder, run_here: RunCli) -> None:
    for changed, status in ((False, HOLDS), (True, NO)):
        rows = ", ".join(
            f"('{name}', '{collected}', '{kind}', '{SUBJECT}', 3)" for name, collected, kind in ITEMS[changed:]
        )
        permitted = folder.path / f"permitted-{changed}.parquet"
        duckdb.sql(
            f"COPY (SELECT * FROM (VALUES {rows}) AS t(item, collected_at, kind, stream, use)) "
            f"TO '{permitted}' (FORMAT parquet)"
        )
        done = run_here("verify", folder.bundle, *folder.policy, "--items", permitted)
        assert done.returncode == status
        if status == HOLDS:
            assert "the manifest of the uses of version 3 was made again from the items given" in done.stdout
        else:
            _refused(done, NO, "found 1 that make another manifest than the 2 that were recorded")


def test_the_items_of_the_gate_on_spark_are_a_folder(folder: Folder, run_here: RunCli) -> None:
    permitted = folder.path / "permitted.parquet"
    permitted.mkdir()
    for number, (name, collected, kind) in enumerate(ITEMS):
        row = f"'{name}' AS item, '{collected}' AS collected_at, '{kind}' AS kind, '{SUBJECT}' AS stream, 3 AS use"
        duckdb.sql(f"COPY (SELECT {row}) TO '{permitted}/part-{number:05}.parquet' (FORMAT parquet)")
    done = run_here("verify", folder.bundle, *folder.policy, "--items", permitted)
    assert done.returncode == HOLDS, done.stderr
    assert "the manifest of the uses of version 3 was made again from the items given" in done.stdout
    (permitted / "part-00000.parquet").unlink()
    _refused(run_here("verify", folder.bundle, *folder.policy, "--items", permitted), NO, "found 1 that make another")


def test_an_item_that_was_not_used(folder: Folder, run_here: RunCli) -> None:
    proof = Absence(folder.log.bundle(), "chat-9", "r1", ((3, tuple(ITEMS)),))
    done = run_here("verify", folder.write("absence", format_absence(proof)), *folder.policy)
    assert done.returncode == HOLDS
    assert "item 'chat-9' was not used by run r1" in done.stdout


def test_wrong_usage(folder: Folder, run_here: RunCli) -> None:
    _refused(run_here("verify", folder.bundle), WRONG_USAGE, "expected --policy or --key")
    _refused(run_here("verify", folder.bundle, *folder.policy, *folder.keys), WRONG_USAGE, "found both")
    _refused(run_here("verify", folder.bundle, "--key", "hello"), WRONG_USAGE, "expected a verifier key")
    _refused(run_here("verify", *folder.policy), WRONG_USAGE, "FILES")
    empty = folder.write("empty", b"")
    _refused(run_here("verify", folder.bundle, "--policy", empty), WRONG_USAGE, "quorum")
    latin = folder.write("latin", b"\xff")
    _refused(run_here("verify", folder.bundle, "--policy", latin), WRONG_USAGE, "UTF-8")
    long = folder.write("long", b"# a comment\n" * 100_000)
    _refused(run_here("verify", folder.bundle, "--policy", long), WRONG_USAGE, "at most")


def test_files_that_cannot_be_read(folder: Folder, run_here: RunCli) -> None:
    missing = folder.path / "missing"
    _refused(run_here("verify", missing, *folder.policy), UNUSABLE, f"expected to read {missing}")
    _refused(run_here("verify", folder.bundle, "--policy", missing), UNUSABLE, f"expected to read {missing}")
    done = run_here("verify", folder.bundle, *folder.policy, "--items", missing)
    assert done.returncode == UNUSABLE


def test_a_file_that_is_too_large_is_not_read_to_its_end(folder: Folder, run_here: RunCli) -> None:
    large = folder.path / "large"
    with large.open("wb") as file:
        file.truncate(10**12)
    _refused(run_here("verify", large, *folder.policy), NO, "at most 64000000 bytes")


def test_nothing_in_a_file_drives_the_terminal(tmp_path: Path, run_here: RunCli) -> None:
    """The formats allow control characters from U+007F on, in what a surface calls itself among others."""
    log = SmallLog().terms()
    log.append(SUBJECT, structs.replace(given.shown(), surface="pop\x9b31m-up"), "2")
    log.publish("3")
    folder = Folder(tmp_path, log)
    done = run_here("verify", folder.bundle, *folder.policy)
    assert done.returncode == HOLDS
    assert "pop\\x9b31m-up" in done.stdout
    assert "\x9b" not in done.stdout
