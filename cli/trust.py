"""Whom the user trusts, as commands are told: bare verifier keys, or a trust file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.errors import InvalidInput

if TYPE_CHECKING:
    from ledger.proof.policy import Trust


def trust_of(policy: Path | None, keys: Sequence[str]) -> Trust | None:
    """The trust that --policy or --key name; None where neither does. Both are wrong usage."""
    from ledger.proof.note import parse_vkey
    from ledger.proof.policy import trust_of_keys

    if policy is not None and keys:
        raise InvalidInput("expected --policy or --key, found both; a policy names the log's keys itself")
    if policy is not None:
        return trust_of_file(policy)
    return trust_of_keys([parse_vkey(key) for key in keys]) if keys else None


def trust_of_file(policy: Path) -> Trust:
    """The trust that a tlog-policy file states."""
    from ledger.files import read_at_most
    from ledger.proof.note import LARGEST_NOTE
    from ledger.proof.policy import parse_policy

    data = read_at_most(policy, LARGEST_NOTE)
    if len(data) > LARGEST_NOTE:
        # Of a policy that is cut short, the quorum might be what is missing.
        raise InvalidInput(f"expected a policy of at most {LARGEST_NOTE} bytes at {policy}, found more")
    try:
        return parse_policy(data.decode())
    except UnicodeDecodeError:
        raise InvalidInput(f"expected a policy in UTF-8 at {policy}, found other bytes") from None
