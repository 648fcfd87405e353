"""What a token may be asked for: a scope opens what is said of it here, and nothing else."""

from __future__ import annotations

from typing import Literal, get_args

Scope = Literal["record", "record:causes", "record:uses", "erase", "read", "audit", "train", "pages"]

SCOPES: dict[Scope, str] = {
    "record": "record what a person was shown and chose: terms-shown, accepted, toggle-changed by the person",
    "record:causes": "record a toggle that an administrator or a migration changed",
    "record:uses": "record a use of a person's data that happened outside the gate",
    "erase": "erase a person",
    "read": "ask for status, verdicts, terms, receipts and metrics, and follow projections",
    "audit": "take bundles, and the entries behind the tiles",
    "train": "look up uses and runs, as a training loader does",
    "pages": "ask for the single-use links that open a person's pages",
}
assert set(SCOPES) == set(get_args(Scope))  # noqa: S101 - the type and the table are one list
