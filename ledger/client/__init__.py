"""For services: "may I?" answered in their own process, without asking the ledger each time (design, section 7)."""

from __future__ import annotations

from ledger.client.feed import Changes, Feed
from ledger.client.replica import Answer, Replica, State

__all__ = ["Answer", "Changes", "Feed", "Replica", "State"]
