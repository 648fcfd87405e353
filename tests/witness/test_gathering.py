"""A ledger's checkpoint, cosigned by the witnesses of its trust file, through the command line."""

from __future__ import annotations

from pathlib import Path

from ledger.application import ConsentLedger
from ledger.keyring import read_keyring
from ledger.proof.note import VerifierKey
from ledger.proof.policy import open_checkpoint, parse_policy
from ledger.sequencer import sequence
from tests import builders as b
from tests.cli.conftest import RunCli
from tests.witness.logs import WITNESS_KEY
from tests.witness.running import running_witness


def log_key(ledger: ConsentLedger) -> VerifierKey:
    return read_keyring(ledger.place.state, ledger.identity.id, ledger.identity.origin).log[0].verifier


def test_a_checkpoint_is_cosigned_by_every_witness_that_answers(
    ledger: ConsentLedger, tmp_path: Path, run_here: RunCli
) -> None:
    b.grant(ledger, "ann")
    absent = tmp_path / "absent.key"
    made = run_here("keys", "new", "absent.example", "-o", absent)
    assert made.returncode == 0, made.stderr
    with running_witness(tmp_path / "state", log_key(ledger)) as url:
        policy = tmp_path / "trust.txt"
        lines = [
            f"log {log_key(ledger).text}",
            f"witness here {WITNESS_KEY.verifier.text} {url}",
            f"witness away {made.stdout.strip()} http://127.0.0.1:9",
            "group one 1 here away",
        ]
        policy.write_text("\n".join([*lines, "quorum one", ""]))
        for _ in range(2):  # the second time the witness has seen a smaller log, or the same
            done = run_here("checkpoint", "--witnesses", policy, place=ledger.place)
            assert done.returncode == 0, done.stderr
            assert "away: expected the witness at http://127.0.0.1:9 to answer" in done.stderr
            opened = open_checkpoint(done.stdout.encode(), parse_policy(policy.read_text()))
            assert WITNESS_KEY.verifier in opened.cosigned
            ledger.record("ann", b.toggled("off"))
        policy.write_text("\n".join([*lines, "group both all one", "quorum away", ""]))
        done = run_here("checkpoint", "--witnesses", policy, place=ledger.place)
        assert done.returncode == 1
        assert "expected the cosignatures of the quorum away" in done.stderr


def test_a_trust_file_without_addresses_asks_nobody(ledger: ConsentLedger, tmp_path: Path, run_here: RunCli) -> None:
    b.grant(ledger, "ann")
    sequence(ledger)
    policy = tmp_path / "trust.txt"
    policy.write_text(f"log {log_key(ledger).text}\nquorum none\n")
    done = run_here("checkpoint", "--witnesses", policy, place=ledger.place)
    assert done.returncode == 1
    assert "add a url to their lines" in done.stderr


def test_a_new_key_never_takes_the_place_of_another(tmp_path: Path, run_here: RunCli) -> None:
    path = tmp_path / "auditor.key"
    made = run_here("keys", "new", "auditor.example/consent-ledger-audit-v1", "-o", path)
    assert made.returncode == 0
    assert made.stdout.startswith("auditor.example/consent-ledger-audit-v1+")
    assert path.stat().st_mode & 0o777 == 0o600
    again = run_here("keys", "new", "auditor.example/consent-ledger-audit-v1", "-o", path)
    assert again.returncode == 1
    assert "expected no file at" in again.stderr
    assert run_here("keys", "new", "two words", "-o", tmp_path / "other").returncode == 2
