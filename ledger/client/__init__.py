"""For services: "may I?" answered in their own process, without asking the ledger each time (design, section 7).

What brings more along has a name of its own: `http_feed` and `recorder` speak HTTP, `database_feed` opens the ledger,
and `guard` with `proven_items` stands before a training loop.
"""

from __future__ import annotations

from ledger.client.feed import Changes, Feed
from ledger.client.replica import Answer, Replica, State

__all__ = ["Answer", "Changes", "Feed", "Replica", "State"]
