"""The sequencer: brings tree and map up to date and signs (design, section 6; FORMATS.md, sections 4 to 7)."""

from __future__ import annotations

from ledger.sequencer.follow import follow
from ledger.sequencer.steps import sequence

__all__ = ["follow", "sequence"]
