"""Times as the engine has them: microseconds since 1970, in UTC; each function the inverse of the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def moment_of(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
