"""A ledger with some people, and whom to trust about it."""

from __future__ import annotations

import pytest

from ledger.application import ConsentLedger
from ledger.keyring import read_keyring
from ledger.proof.policy import Trust, trust_of_keys
from tests.builders import grant, toggled
from tests.cli.conftest import run_here

__all__ = ["peopled", "run_here", "trust"]


@pytest.fixture
def peopled(ledger: ConsentLedger) -> ConsentLedger:
    """Ann and Bob, who were shown terms and accepted, and Ann turned it off: six entries, no checkpoint yet."""
    grant(ledger, "ann", "bob")
    ledger.record("ann", toggled("off"))
    return ledger


@pytest.fixture
def trust(ledger: ConsentLedger) -> Trust:
    """The ledger's own keys, bare."""
    ring = read_keyring(ledger.place.state, ledger.identity.id, ledger.identity.origin)
    assert ring.receipts is not None
    return trust_of_keys([*(key.verifier for key in ring.log), ring.receipts.verifier])
