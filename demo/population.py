"""Items for the demo where none are given: who worked when, made up, the same for the same seed."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

PEOPLE = 300
FIRST = datetime(2025, 6, 1, tzinfo=UTC)
LAST = datetime(2026, 5, 31, tzinfo=UTC)
KINDS = ("chat", "chat", "chat", "coding-session")


def write_items(path: Path, seed: int) -> int:
    """One year of chats and coding sessions of a few hundred people, as JSON Lines; how many."""
    draw = random.Random(seed)  # noqa: S311 - a demo, no secret
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for person in range(1, PEOPLE + 1):
            for _ in range(draw.randint(2, 60)):
                count += 1
                kind = draw.choice(KINDS)
                seconds = draw.randrange(int((LAST - FIRST).total_seconds()))
                line = {
                    "subject": f"person-{person:03}",
                    "item": f"{kind}-{count:05}",
                    "collected_at": (FIRST + timedelta(seconds=seconds)).isoformat(),
                    "kind": kind,
                    # Some is never for training, whatever the toggle says.
                    **({"exclude": "incognito"} if draw.random() < 0.02 else {}),
                }
                file.write(json.dumps(line) + "\n")
    return count
