"""Logs: a line of JSON each, about requests and never about people.

What a request said is in none: no path but the route's own, no query, no header, no body, no address; and of an error
its class and where it was raised, for a message may repeat what was asked.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("ledger.service")
#: Those whose records are the service's own; all other libraries are heard from warnings on.
_OWN = ("ledger", "uvicorn")
#: Of a trace: enough to find the place, from where it was raised upwards.
MOST_FRAMES = 12


class JsonLines(logging.Formatter):
    """One record as one line. The fields of a record's `told` stand beside what every record has."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "what": record.getMessage() if record.name.startswith(_OWN) else f"a remark of {record.name}",
            **getattr(record, "told", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            fields |= error_fields(record.exc_info[1])
        return json.dumps(fields, ensure_ascii=True, separators=(",", ":"))


def error_fields(error: BaseException) -> dict[str, Any]:
    """Which error it is and where it was raised; nothing that it says."""
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    return {
        "error": type(error).__name__,
        "raised_at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)],
    }


def tell(what: str, level: int = logging.INFO, **told: Any) -> None:
    """One line."""
    LOGGER.log(level, what, extra={"told": told})


def start_logging() -> None:
    """Sends everything that is logged in this process to standard error, in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OWN:
        logging.getLogger(name).setLevel(logging.INFO)
