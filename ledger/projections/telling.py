"""What a subscriber is told, as JSON: the same objects whether they come as lines or as server-sent events."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ledger.domain.times import format_time
from ledger.projections.subscription import Intent


def intent_told(intent: Intent, token: str) -> dict[str, Any]:
    """What comes: first of all, and again where a rebuild makes a snapshot necessary. The token is where the
    subscriber stands before the rows."""
    return {"intent": intent, "token": token}


def row_told(row: dict[str, Any]) -> dict[str, Any]:
    """One row, and the position that made it so."""
    fields = {name: value for name, value in row.items() if name not in ("position", "gone")}
    return {"position": row["position"], "row": fields, "gone": row["gone"]}


def token_told(token: str) -> dict[str, Any]:
    """All rows up to there were told."""
    return {"token": token}


def to_line(told: dict[str, Any]) -> str:
    """On one line, with times as entries write them."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), default=_time)


def _time(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"expected a row of JSON and times, found {type(value).__name__}")
    return format_time(value)
