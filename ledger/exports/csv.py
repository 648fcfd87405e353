"""`csv`: one row an entry, for a spreadsheet or a query; RFC 4180, in UTF-8, with a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from msgspec import UNSET

from ledger.domain.entry import canonical, decode_entry
from ledger.exports.selection import Exported
from ledger.proof.merkle import leaf_hash

#: Every field of the entry is there, so a row says what its leaf is the hash of.
COLUMNS = (
    "position",
    "stream",
    "version",
    "event",
    "occurred_at",
    "recorded_at",
    "imported_at",
    "source",
    "source_recorded_at",
    "evidence",
    "nonce",
    "leaf",
    "data",
)
#: What a spreadsheet takes for the beginning of a formula, and the mark itself, so that it can be taken off again.
_FORMULA = ("=", "+", "-", "@", "'")


def write(entries: Iterable[Exported]) -> Iterator[bytes]:
    """The header, then one row an entry; an absent field is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        writer.writerow(_row(entry))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _row(exported: Exported) -> tuple[object, ...]:
    entry = decode_entry(exported.stored)
    imported = None if entry.imported is UNSET else entry.imported
    return (
        exported.position,
        entry.stream,
        entry.version,
        entry.event,
        entry.occurred_at,
        entry.recorded_at,
        imported.at if imported else "",
        _harmless(imported.source) if imported else "",
        "" if imported is None or imported.recorded_at is UNSET else imported.recorded_at,
        "" if entry.evidence is UNSET else entry.evidence,
        entry.nonce,
        leaf_hash(exported.stored).hex(),
        canonical(entry.data).decode(),
    )


def _harmless(text: str) -> str:
    """The one free text that may begin a cell, so that no spreadsheet runs it; all others cannot begin a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
