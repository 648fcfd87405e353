"""Who is told how far an import is."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Shows progress, or nothing."""

    def now(self, what: str, total: int | None = None) -> None:
        """The next part of the work, of so many lines."""

    def advance(self, by: int = 1) -> None:
        """So many more lines are done."""
