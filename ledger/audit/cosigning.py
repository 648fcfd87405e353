"""An auditor's cosignature: what it says is demanded before it is given (FORMATS.md section 7)."""

from __future__ import annotations

from datetime import datetime, timedelta

from ledger.audit.audit import Report
from ledger.audit.state import State
from ledger.domain.times import format_time, parse_time
from ledger.errors import InvalidInput, Refused
from ledger.proof.cosignature import AUDITOR_SUFFIX, cosign
from ledger.proof.note import COSIGNATURE, Note, SigningKey, format_note

#: How far the newest map may lie from the auditor's clock, so that nobody is shown an old log as today's.
FRESH = timedelta(minutes=5)


def demand_auditor(key: SigningKey) -> None:
    """`InvalidInput` unless it is an auditor's key."""
    if key.verifier.type != COSIGNATURE or not key.verifier.name.endswith(AUDITOR_SUFFIX):
        raise InvalidInput(
            f"expected an auditor's key, of type {COSIGNATURE} and with a name that ends in {AUDITOR_SUFFIX}, found "
            f"{key.verifier.text}"
        )


def cosign_newest(report: Report, state: State, key: SigningKey, now: datetime) -> bytes:
    """The newest checkpoint with the auditor's cosignature, which the state remembers first; `Refused` says why not."""
    if not report.is_right:
        raise Refused("expected a log that is right, found one that is not; nothing is cosigned")
    if report.newest is None:
        raise Refused("expected a checkpoint to cosign, found none; name one, or wait until one is published")
    checkpoint, note = report.newest
    _demand_fresh(report, checkpoint.size, now)
    _demand_extension(state, checkpoint.size)
    state.put(cosigned_size=checkpoint.size, cosigned_root=checkpoint.root)
    state.commit()
    signature = cosign(note.text, key, int(now.timestamp()))
    others = tuple(one for one in note.signatures if (one.name, one.key_id) != (signature.name, signature.key_id))
    return format_note(Note(note.text, (*others, signature)))


def _demand_fresh(report: Report, size: int, now: datetime) -> None:
    if report.newest_map is None:
        raise Refused("expected a log with a map in it, found an empty one; nothing is cosigned")
    if abs(now - parse_time(report.newest_map)) > FRESH:
        raise Refused(
            f"expected a map recorded within five minutes of {format_time(now)}, found that of the checkpoint of size "
            f"{size}, recorded {report.newest_map}; audit the log again once it has a new checkpoint"
        )


def _demand_extension(state: State, size: int) -> None:
    before: int = state.get("cosigned_size", 0)
    if size < before:
        raise Refused(
            f"expected a checkpoint that extends the last one cosigned, of size {before}, found one of size {size}; "
            "nothing is cosigned"
        )
