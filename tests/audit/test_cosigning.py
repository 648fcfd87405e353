"""What an auditor demands before it cosigns."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ledger.audit.audit import audit
from ledger.audit.cosigning import cosign_newest, demand_auditor
from ledger.audit.state import open_state
from ledger.errors import InvalidInput, Refused
from ledger.proof.policy import Trust, open_checkpoint
from tests.audit.logs import AuditedLog, KeptExport, Nobody, a_log
from tests.audit.test_contract import map_of_a_stream_cut_short, withdrawn_late
from tests.domain import given
from tests.proof.small_log import SUBJECT

#: A moment after the last map of `a_log`.
NOW = given.at("10 10:04")


@pytest.fixture
def kept(tmp_path: Path) -> KeptExport:
    return KeptExport(tmp_path)


def cosigned(kept: KeptExport, log: AuditedLog, state: Path, now: datetime = NOW) -> bytes:
    kept.put(log)
    with kept.open() as source, open_state(state) as opened:
        report = audit(source, opened, log.bare, Nobody())
        return cosign_newest(report, opened, log.auditor, now)


def demanding(log: AuditedLog) -> Trust:
    return Trust((log.log_key.verifier,), witnesses={"auditor": log.auditor.verifier}, quorum="auditor")


def test_the_newest_checkpoint_of_a_right_log_is_cosigned(kept: KeptExport, tmp_path: Path) -> None:
    log = a_log()
    log.notes = [log.checkpoint(cosigned=False)]
    note = cosigned(kept, log, tmp_path / "seen")
    opened = open_checkpoint(note, demanding(log))
    assert opened.cosigned == {log.auditor.verifier: int(NOW.timestamp())}
    assert opened.vouched


def test_its_own_older_cosignature_gives_way_and_others_stay(kept: KeptExport, tmp_path: Path) -> None:
    log = a_log()
    note = cosigned(kept, log, tmp_path / "seen")
    opened = open_checkpoint(note, log.policy)
    assert opened.cosigned[log.auditor.verifier] == int(NOW.timestamp())
    assert len(opened.note.signatures) == 4


def test_a_recorded_violation_withholds_nothing(kept: KeptExport, tmp_path: Path) -> None:
    log = withdrawn_late()
    open_checkpoint(cosigned(kept, log, tmp_path / "seen", given.at("20 10:01")), demanding(log))


def test_a_log_that_is_not_right_is_not_cosigned(kept: KeptExport, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="found one that is not; nothing is cosigned"):
        cosigned(kept, map_of_a_stream_cut_short(), tmp_path / "seen", given.at("20 10:01"))


@pytest.mark.parametrize("off", [timedelta(minutes=6), -timedelta(minutes=6)])
def test_an_old_map_is_not_cosigned_as_todays(kept: KeptExport, tmp_path: Path, off: timedelta) -> None:
    with pytest.raises(Refused, match="expected a map recorded within five minutes"):
        cosigned(kept, a_log(), tmp_path / "seen", given.at("10") + off)


def test_what_does_not_extend_the_last_one_cosigned_is_not(kept: KeptExport, tmp_path: Path) -> None:
    log = a_log()
    cosigned(kept, log, tmp_path / "seen")
    cosigned(kept, log, tmp_path / "seen")
    log.append(SUBJECT, given.toggled("off"), "10")
    log.notes = [log.checkpoint(7)]
    with pytest.raises(Refused, match="expected a checkpoint that extends the last one cosigned, of size 9"):
        cosigned(kept, log, tmp_path / "seen", given.at("8"))


def test_no_checkpoint_is_nothing_to_cosign(tmp_path: Path) -> None:
    log = a_log()
    kept = KeptExport(tmp_path)
    kept.put(log)
    kept.checkpoint = None  # type: ignore[assignment]
    with kept.open() as source, open_state(tmp_path / "seen") as opened:
        report = audit(source, opened, log.bare, Nobody())
        with pytest.raises(Refused, match="expected a checkpoint to cosign, found none"):
            cosign_newest(report, opened, log.auditor, NOW)


def test_an_empty_log_is_not_cosigned(kept: KeptExport, tmp_path: Path) -> None:
    log = AuditedLog()
    log.sign()
    with pytest.raises(Refused, match="found an empty one"):
        cosigned(kept, log, tmp_path / "seen")


def test_only_an_auditors_key_cosigns() -> None:
    log = AuditedLog()
    demand_auditor(log.auditor)
    for key in (log.log_key, log.receipts_key, log.witnesses[0]):
        with pytest.raises(InvalidInput, match="expected an auditor's key"):
            demand_auditor(key)
