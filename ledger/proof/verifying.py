"""Verifying a file: which kind of proof it is, and whether it holds. No database, no network, no clock.

Everything that does not hold is `NotVerified`, in one sentence about the first thing found.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from ledger.errors import NotVerified
from ledger.proof.asked import Asked
from ledger.proof.bundle import parse_bundle
from ledger.proof.bundle_verifying import statement_of_bundle
from ledger.proof.entry_verifying import is_tlog_proof, statement_of_receipt, statement_of_tlog_proof
from ledger.proof.item_proof import parse_absence, parse_presence
from ledger.proof.item_verifying import statement_of_absence, statement_of_presence
from ledger.proof.log_verifying import statement_of_checkpoint, statement_of_consistency, statement_of_rotation
from ledger.proof.manifests import ItemsOf
from ledger.proof.policy import Trust
from ledger.proof.statement import Statement
from ledger.proof.strict import LARGEST_FILE, shown

NOTHING_MORE = Asked()


def verify_bundle(
    data: bytes,
    trust: Trust,
    subject: str | None = None,
    *,
    now: datetime | None = None,
    max_age: timedelta | None = None,
    items_of: ItemsOf | None = None,
) -> Statement:
    """What a bundle's file says, once all of it was checked; `subject` as `asked.stream_of` reads it."""
    asked = Asked(subject, max_age, now, items_of)
    return statement_of_bundle(parse_bundle(data), trust, asked)[1]


def verify_file(data: bytes, trust: Trust, asked: Asked = NOTHING_MORE) -> Statement:
    """What a file of any kind says, once all of it was checked. A receipt alone is neither kept nor broken."""
    if len(data) > LARGEST_FILE:
        raise NotVerified(f"expected a file of at most {LARGEST_FILE} bytes, found {len(data)}")
    return _KINDS[kind_of(data)](data, trust, asked)


def kind_of(data: bytes) -> str:
    """Which kind of file this claims to be, by its first line or its fields."""
    if is_tlog_proof(data):
        return "entry"
    if data.startswith(_ROTATION):
        return "rotation"
    if data.startswith(b"{"):
        try:
            fields = set(msgspec.json.decode(data, type=dict[str, msgspec.Raw]))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise NotVerified(f"expected a file of proofs, found JSON that cannot be read: {error}") from None
        for kind, field in _FIELDS.items():
            if field in fields:
                return kind
        raise NotVerified(f"expected a file of proofs, found JSON with the fields {shown(', '.join(sorted(fields)))}")
    if data.count(b"\n") < _LINES_OF_A_NOTE:
        raise NotVerified("expected a file of proofs: a bundle, proof, receipt or checkpoint, found something else")
    return "checkpoint"


_KINDS: dict[str, Callable[[bytes, Trust, Asked], Statement]] = {
    "bundle": lambda data, trust, asked: statement_of_bundle(parse_bundle(data), trust, asked)[1],
    "item-used": lambda data, trust, asked: statement_of_presence(parse_presence(data), trust, asked),
    "item-not-used": lambda data, trust, asked: statement_of_absence(parse_absence(data), trust, asked),
    "receipt": statement_of_receipt,
    "entry": statement_of_tlog_proof,
    "consistency": lambda data, trust, _: statement_of_consistency(data, trust),
    "rotation": lambda data, trust, _: statement_of_rotation(data, trust),
    "checkpoint": lambda data, trust, _: statement_of_checkpoint(data, trust),
}
#: Three of a checkpoint, an empty one, and a signature.
_LINES_OF_A_NOTE = 5
_ROTATION = b"consent-ledger/v1/rotation\n"
#: A field that no other kind has.
_FIELDS = {
    "bundle": "streams",
    "consistency": "old",
    "receipt": "promise",
    "item-not-used": "lists",
    "item-used": "use",
}
