"""One entry: a promise before a checkpoint covers it, a proof after, and nothing that could not be kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import decode_entry
from ledger.domain.times import parse_time
from ledger.errors import NotVerified, Refused
from ledger.keyring import keys_folder
from ledger.proof.merkle import leaf_hash, verify_inclusion
from ledger.proof.policy import Trust, open_checkpoint
from ledger.proof.promise import open_receipt, parse_receipt
from ledger.proof.tlog_proof import parse_tlog_proof
from ledger.proving.entry import prove_entry
from ledger.proving.snapshot import snapshot
from ledger.receipts import NoReceipt, promise
from ledger.sequencer import sequence
from ledger.store.database import connect
from ledger.store.proofs import ProofTables
from tests.builders import shown, toggled, whole_log


def test_until_a_checkpoint_covers_it_an_entry_has_a_promise(peopled: ConsentLedger, trust: Trust) -> None:
    for position, stream, _, stored in whole_log(peopled.place):
        proof = prove_entry(peopled, position)
        assert proof.kind == "promise"
        receipt = parse_receipt(proof.data)
        promised = open_receipt(receipt, trust)
        assert receipt.entry == stored
        assert (promised.origin, promised.stream, promised.position) == ("ledger.test", stream, position)
        assert promised.leaf == leaf_hash(stored)
        recorded = decode_entry(stored).recorded_at
        assert promised.recorded == recorded
        assert promised.covered_by == proof.covered_by
        assert parse_time(promised.covered_by) - parse_time(recorded) == timedelta(hours=24)


def test_where_a_sequencer_follows_it_is_covered_within_a_minute(peopled: ConsentLedger) -> None:
    with connect(peopled.url, peopled.place.name, "consent_sequencer") as connection:
        ProofTables(connection).follow_for(600)
    peopled.record("bob", toggled("off"))
    proof = prove_entry(peopled, 7)
    recorded = decode_entry(parse_receipt(proof.data).entry).recorded
    assert proof.covered_by is not None
    assert parse_time(proof.covered_by) - recorded == timedelta(seconds=60)


def test_after_it_every_entry_has_a_proof(peopled: ConsentLedger, trust: Trust) -> None:
    checkpoint = sequence(peopled)
    peopled.record("bob", toggled("off"))
    log = whole_log(peopled.place)
    assert len(log) == checkpoint.size + 1
    for position, *_, stored in log[:-1]:
        proof = prove_entry(peopled, position)
        assert (proof.kind, proof.size) == ("proof", checkpoint.size)
        found = parse_tlog_proof(proof.data)
        opened = open_checkpoint(found.checkpoint, trust).checkpoint
        assert (found.index, found.extra) == (position - 1, stored)
        verify_inclusion(leaf_hash(stored), found.index, opened.size, found.path, opened.root)
        with pytest.raises(NotVerified):
            verify_inclusion(leaf_hash(stored + b" "), found.index, opened.size, found.path, opened.root)
    assert prove_entry(peopled, len(log)).kind == "promise"
    with pytest.raises(Refused, match=f"from 1 to {len(log)}, where the log ends, found {len(log) + 1}"):
        prove_entry(peopled, len(log) + 1)


def test_no_promise_is_signed_that_is_broken_already(peopled: ConsentLedger) -> None:
    position, *_, stored = whole_log(peopled.place)[-1]
    late = decode_entry(stored).recorded + timedelta(hours=24)
    with snapshot(peopled) as now:
        arguments = (peopled.place, peopled.identity, now.tables, position, stored)
        promise(*arguments, late - timedelta(microseconds=1))
        with pytest.raises(NoReceipt, match="nothing left to promise; run `consent checkpoint`"):
            promise(*arguments, late)


def test_what_a_checkpoint_covers_is_not_promised(peopled: ConsentLedger) -> None:
    last = sequence(peopled).size
    following = peopled.record("cem", shown()).position
    log = whole_log(peopled.place)
    with snapshot(peopled) as now:
        for position in (1, last):
            with pytest.raises(NoReceipt, match=f"prove --entry {position}"):
                promise(
                    peopled.place, peopled.identity, now.tables, position, log[position - 1][-1], peopled.clock.now()
                )
        promise(peopled.place, peopled.identity, now.tables, following, log[-1][-1], peopled.clock.now())


def test_without_a_key_for_receipts_there_is_no_promise(peopled: ConsentLedger) -> None:
    (keys_folder(peopled.place.state, peopled.identity.id) / "receipts.key").unlink()
    with pytest.raises(NoReceipt, match="a key that signs receipts"):
        prove_entry(peopled, 1)
    sequence(peopled)
    assert prove_entry(peopled, 1).kind == "proof"
