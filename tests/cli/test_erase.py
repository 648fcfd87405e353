"""`consent erase`: asks first, forgets once, and says when it was where it was before."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.application import ConsentLedger
from ledger.errors import SubjectErased
from ledger.settings import Place
from tests import builders
from tests.cli.conftest import ROOT, SECONDS, RunCli


def test_it_forgets_the_person_and_a_second_time_says_when(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli
) -> None:
    builders.grant(ledger, "ann", "bob")
    ledger.record("ann", builders.toggled("off"), evidence=b"198.51.100.7")
    stream = ledger.subject("ann").stream or ""
    done = run_here("--json", "erase", "ann", "--yes", "--reason", "asked by letter", place=ledger_place)
    assert (done.returncode, done.stdout) == (0, f'{{"position":7,"stream":"{stream}"}}\n')
    erased = ledger.entries_of(stream)[-1][1]
    assert (erased.event, erased.data.reason) == ("subject-erased", "asked by letter")
    with pytest.raises(SubjectErased):
        ledger.subject("ann")
    assert ledger.subject("bob").stream is not None
    with builders.admin(ledger_place) as connection:
        assert connection.execute("SELECT count(*) FROM ledger.evidence").fetchone() == (0,)

    for name in ("ann", f"key:{stream}"):
        again = run_here("erase", name, "--yes", place=ledger_place)
        assert (again.returncode, again.stdout) == (1, "")
        assert f"erased {erased.recorded_at}" in again.stderr
    assert ledger.recorder.head() == 7


def test_without_a_terminal_and_without_yes_it_asks_for_one_of_them(
    ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli
) -> None:
    builders.grant(ledger, "ann")
    done = run_cli("erase", "ann", place=ledger_place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "consent: expected --yes, or a terminal to ask on, found neither; add --yes to erase without asking\n"
    )
    assert ledger.subject("ann").stream is not None


def test_nobody_is_not_erased(ledger: ConsentLedger, ledger_place: Place, run_here: RunCli) -> None:
    builders.grant(ledger, "ann")
    for nobody in ("bob", f"id:{'0' * 32}"):
        assert run_here("erase", nobody, "--yes", place=ledger_place).returncode == 1
    assert ledger.recorder.head() == 3


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_asks(
    ledger: ConsentLedger, ledger_place: Place, tmp_path: Path, answer: str, status: int
) -> None:
    builders.grant(ledger, "ann")
    environment = {
        **os.environ,
        "CONSENT_LEDGER": ledger_place.url or "",
        "CONSENT_STATE": str(ledger_place.state),
    }
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "erase", "ann"],
        cwd=ROOT,
        env=environment,
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == status
    # The question is no result.
    assert "Erase ann, for ever" in done.stderr
    assert done.stdout.startswith("erased at position 4") == (status == 0)
    assert (ledger.identities.find(["ann"])["ann"].stream is None) == (status == 0)
