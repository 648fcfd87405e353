"""`consent audit`: exit statuses, what people and programs are told, and the cosigned checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.proof.note import signing_key_text
from ledger.proof.policy import Trust, format_policy, open_checkpoint
from ledger.sequencer import sequence
from ledger.settings import Place
from tests.audit.logs import AuditedLog, KeptExport, KeptTiles, a_log, use
from tests.audit.test_contract import map_of_a_stream_cut_short
from tests.builders import grant
from tests.cli.conftest import ROOT, RunCli
from tests.domain import given
from tests.proof.small_log import SUBJECT


@pytest.fixture
def export(tmp_path: Path) -> KeptExport:
    return KeptExport(tmp_path)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The auditor's key, as its owner keeps it."""
    file = tmp_path / "auditor.key"
    file.write_text(signing_key_text(AuditedLog().auditor) + "\n")
    file.chmod(0o600)
    return file


def key_of(log: AuditedLog) -> str:
    return log.log_key.verifier.text


def a_violation_today() -> AuditedLog:
    """A log whose last map was recorded just now, with one use before any grant in it, honestly recorded."""
    log = AuditedLog().granted()
    log.append(SUBJECT, use("1", attested=True), "7")
    log.publish(datetime.now(UTC))
    return log


def test_a_right_log_is_0(export: KeptExport, run_here: RunCli) -> None:
    log = a_log()
    export.put(log)
    done = run_here("audit", export.file, "--checkpoint", export.checkpoint, "--key", key_of(log))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"9 entries of 4 streams, 2 maps, 1 checkpoints, root {log.tree.root().hex()}" in done.stdout
    assert "the log is right; 1 uses, all allowed" in done.stdout


def test_what_is_wrong_is_listed_and_1(export: KeptExport, run_here: RunCli) -> None:
    export.put(map_of_a_stream_cut_short())
    done = run_here("audit", export.file)
    assert done.returncode == 1
    assert "the log is NOT right" in done.stdout
    assert "map-root" in done.stdout
    done = run_here("--json", "audit", export.file)
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["right"], told["violations"], told["counts"]) == (False, False, {"map-root": 1})
    assert [(one["kind"], one["position"]) for one in told["findings"]] == [("map-root", 7)]
    assert told["findings"][0]["covers"] == 6


def test_an_honestly_recorded_violation_is_listed_and_the_log_cosigned(
    tmp_path: Path, key_file: Path, run_here: RunCli
) -> None:
    log = a_violation_today()
    log.notes = [log.checkpoint(cosigned=False)]
    tiles = KeptTiles(tmp_path)
    tiles.put(log)
    arguments = ["--cosign", key_file, "--state", tmp_path / "seen", "-o", tmp_path / "note", "--key", key_of(log)]
    done = run_here("--json", "audit", tiles.folder, *arguments)
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert (told["right"], told["violations"], told["cosigned"]) == (True, True, True)
    assert [one["kind"] for one in told["findings"]] == ["violation-known"]
    assert told["findings"][0]["known"].startswith("collected-before-grant")
    trust = Trust((log.log_key.verifier,), witnesses={"auditor": log.auditor.verifier}, quorum="auditor")
    assert open_checkpoint((tmp_path / "note").read_bytes(), trust).vouched
    people = run_here("audit", tiles.folder, *arguments)
    assert people.returncode == 1
    assert "the log is right; not every use was allowed; cosigned" in people.stdout
    assert "violation-known" in people.stdout


def test_what_is_not_cosigned_says_why(export: KeptExport, tmp_path: Path, key_file: Path, run_here: RunCli) -> None:
    old = a_log()
    export.put(old)
    output = tmp_path / "note"
    arguments = [export.file, "--checkpoint", export.checkpoint, "--cosign", key_file, "--state", tmp_path / "seen"]
    arguments += ["-o", output]
    done = run_here("audit", *arguments, "--key", key_of(old))
    assert done.returncode == 1
    assert "the log is right" in done.stdout
    assert "not cosigned: expected a map recorded within five minutes" in done.stderr
    # A checkpoint that others signed is not this log's.
    done = run_here("audit", *arguments, "--key", key_of(AuditedLog(seed=100)))
    assert done.returncode == 1
    assert "checkpoint-invalid" in done.stdout
    assert not output.exists()


def test_a_policy_names_the_log_and_its_quorum_is_not_waited_for(
    export: KeptExport, tmp_path: Path, run_here: RunCli
) -> None:
    log = a_log()
    log.notes = [log.checkpoint(cosigned=False)]
    export.put(log)
    policy = tmp_path / "policy"
    policy.write_text(format_policy(log.policy))
    done = run_here("--json", "audit", export.file, "--checkpoint", export.checkpoint, "--policy", policy)
    assert done.returncode == 0
    assert json.loads(done.stdout)["signatures_checked"] is True


def test_a_state_goes_on_and_refuses_another_log(export: KeptExport, tmp_path: Path, run_here: RunCli) -> None:
    log = AuditedLog().granted()
    log.publish("8")
    export.put(log)
    arguments = ["--json", "audit", export.file, "--state", tmp_path / "seen"]
    assert run_here(*arguments).returncode == 0
    log.append(SUBJECT, given.toggled("off"), "3 12:00", "9")
    export.put(log)
    done = run_here(*arguments)
    told = json.loads(done.stdout)
    assert (done.returncode, told["seen_before"], told["entries"]) == (1, 6, 7)
    assert [(one["kind"], one["position"]) for one in told["findings"]] == [("violation-in-hindsight", 5)]
    export.put(a_log())
    done = run_here(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "another entry at position 6" in done.stderr


def test_a_ledger_is_audited_with_its_projections(
    ledger: ConsentLedger, ledger_place: Place, tmp_path: Path, run_here: RunCli
) -> None:
    grant(ledger, "ann")
    sequence(ledger)
    done = run_here("--json", "audit", "--state", tmp_path / "seen", place=ledger_place)
    told = json.loads(done.stdout)
    assert (done.returncode, told["findings"], told["checkpoints"]) == (0, [], 1)
    done = run_here("audit", place=ledger_place)
    assert "the signatures of the checkpoints were not checked" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["{export}", "--cosign", "{key}"], 2, "expected --state, -o and --key or --policy with --cosign"),
        (["{export}", "-o", "{tmp}/note"], 2, "expected --cosign with -o"),
        (["{export}", "--key", "nonsense"], 2, "expected a verifier key"),
        (["{tmp}", "--checkpoint", "{checkpoint}"], 2, "expected --checkpoint beside an export"),
        (["{tmp}/empty"], 3, "expected a folder of tiles with its checkpoint"),
        (["{tmp}/nowhere"], 3, "expected an export at"),
        (["{export}", "--state", "{export}"], 3, "expected the auditor's state"),
        (["{export}", "--policy", "{tmp}/nowhere"], 3, "expected to read"),
        (["--ledger", "{tmp}/nowhere"], 3, "expected a ledger"),
    ],
)
def test_wrong_usage_and_what_cannot_be_read(
    export: KeptExport,
    tmp_path: Path,
    key_file: Path,
    run_here: RunCli,
    arguments: list[str],
    status: int,
    sentence: str,
) -> None:
    export.put(a_log())
    (tmp_path / "empty").mkdir()
    names = {"export": export.file, "checkpoint": export.checkpoint, "key": key_file, "tmp": tmp_path}
    given_ = [one.format(**names) for one in arguments]
    options = given_ if given_[0] == "--ledger" else []
    done = run_here(*options, "audit", *given_[len(options) :])
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr


def test_the_key_of_another_role_does_not_cosign(export: KeptExport, tmp_path: Path, run_here: RunCli) -> None:
    log = a_log()
    export.put(log)
    witness = tmp_path / "witness.key"
    witness.write_text(signing_key_text(log.witnesses[0]))
    witness.chmod(0o600)
    arguments = ["--cosign", witness, "--state", tmp_path / "seen", "-o", tmp_path / "note", "--key", key_of(log)]
    done = run_here("audit", export.file, *arguments)
    assert done.returncode == 2
    assert "expected an auditor's key" in done.stderr


def test_files_are_audited_without_a_database(export: KeptExport, tmp_path: Path) -> None:
    tiles = KeptTiles(tmp_path)
    log = a_log()
    tiles.put(log)
    export.put(log)
    for source in (tiles.folder, export.file):
        program = (
            "import sys\n"
            "sys.modules.update(dict.fromkeys(['psycopg', 'psycopg_pool', 'eventsourcing', 'duckdb']))\n"
            "from cli.main import run\n"
            f"sys.exit(run(['audit', {str(source)!r}, '--state', {str(tmp_path / 'seen')!r}]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr


def test_two_audits_do_not_share_a_state(export: KeptExport, tmp_path: Path, run_here: RunCli) -> None:
    from ledger.audit.state import open_state

    export.put(a_log())
    with open_state(tmp_path / "seen"):
        done = run_here("audit", export.file, "--state", tmp_path / "seen")
    assert done.returncode == 3
    assert "locked" in done.stderr
    assert run_here("audit", export.file, "--state", tmp_path / "seen").returncode == 0


def test_a_map_of_an_hour_ago_is_too_old(tmp_path: Path, key_file: Path, run_here: RunCli) -> None:
    log = AuditedLog().granted()
    log.publish(datetime.now(UTC) - timedelta(hours=1))
    tiles = KeptTiles(tmp_path)
    tiles.put(log)
    arguments = ["--cosign", key_file, "--state", tmp_path / "seen", "-o", tmp_path / "note", "--key", key_of(log)]
    done = run_here("--json", "audit", tiles.folder, *arguments)
    told = json.loads(done.stdout)
    assert (done.returncode, told["right"], told["cosigned"]) == (1, True, False)
    assert "within five minutes" in told["not_cosigned"]
