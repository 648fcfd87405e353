"""Consent Ledger: was this person's data used for training only inside what they had allowed at that time?

The public API. A name is imported when it is first used: whoever needs only the rules loads no database.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ledger.application import ConsentLedger, Recorded, open_ledger
    from ledger.domain.consent import Record, record_of
    from ledger.domain.eligibility import Item, Verdict, judge_item
    from ledger.domain.entry import Entry, decode_entry, encode_entry
    from ledger.domain.recording import Request, decide
    from ledger.domain.terms import Catalogue, Terms, parse_terms
    from ledger.settings import Place, place_of
    from ledger.store.location import create_ledger

_WHERE = {
    "ledger.application": ("ConsentLedger", "Recorded", "open_ledger"),
    "ledger.domain.consent": ("Record", "record_of"),
    "ledger.domain.eligibility": ("Item", "Verdict", "judge_item"),
    "ledger.domain.entry": ("Entry", "decode_entry", "encode_entry"),
    "ledger.domain.recording": ("Request", "decide"),
    "ledger.domain.terms": ("Catalogue", "Terms", "parse_terms"),
    "ledger.settings": ("Place", "place_of"),
    "ledger.store.location": ("create_ledger",),
}

__all__ = [
    "Catalogue",
    "ConsentLedger",
    "Entry",
    "Item",
    "Place",
    "Record",
    "Recorded",
    "Request",
    "Terms",
    "Verdict",
    "create_ledger",
    "decide",
    "decode_entry",
    "encode_entry",
    "judge_item",
    "open_ledger",
    "parse_terms",
    "place_of",
    "record_of",
]


def __getattr__(name: str) -> Any:
    for module, names in _WHERE.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
