"""Promises and receipts: their texts to the byte, the exact inverses, who may sign, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.times import format_time
from ledger.errors import NotVerified
from ledger.proof.merkle import leaf_hash
from ledger.proof.note import COSIGNATURE, Note, Signature, format_note, parse_note
from ledger.proof.policy import Trust, trust_of_keys
from ledger.proof.promise import (
    Promise,
    Receipt,
    format_receipt,
    open_promise,
    open_receipt,
    parse_promise,
    parse_receipt,
)
from ledger.proof.strict import LARGEST_NUMBER
from tests.proof.signing import ALL, LOG, ORIGIN, OURS, RECEIPTS, WITNESSES, key_of, names, signed_note

ENTRY: bytes = OURS["entries"][2]["entry"].encode()
STREAM: str = OURS["stream_keys"]["subjects"][0]
PROMISE = Promise(ORIGIN, STREAM, 3, leaf_hash(ENTRY), "2025-09-03T10:00:00.000000Z", "2025-09-04T10:00:00.000000Z")
NOTE = signed_note(PROMISE.text, RECEIPTS)
RECEIPT = Receipt(ENTRY, NOTE.decode())
WRITTEN = format_receipt(RECEIPT)

times = st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)).map(format_time)  # noqa: DTZ001 - made UTC beside
streams = st.sampled_from([STREAM, "terms", "log", "run/r1", "run/" + "x" * 128])
promises = st.builds(
    Promise, names, streams, st.integers(1, LARGEST_NUMBER), st.binary(min_size=32, max_size=32), times, times
)


def test_a_promise_is_seven_lines() -> None:
    assert PROMISE.text == (
        "consent-ledger/v1/receipt\n"
        "origin consent.example/log1\n"
        "stream 5385328812b65fffe29ee835d495ddeb0c53ff936f847897632e53ca53df3a30\n"
        "position 3\n"
        "leaf 5IFjWWYVhUL9lZf5bDiqWpUEqsoR0H3iibEu4e4+7ms=\n"
        "recorded 2025-09-03T10:00:00.000000Z\n"
        "covered-by 2025-09-04T10:00:00.000000Z\n"
    )


@settings(deadline=None, database=None)
@given(promises)
def test_a_promise_comes_back(promise: Promise) -> None:
    assert parse_promise(promise.text) == promise


GOOD = PROMISE.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        GOOD + "\n",
        GOOD + "more 1\n",
        GOOD.replace("/v1/", "/v2/"),
        GOOD.replace("origin consent.example/log1\n", ""),
        GOOD.replace("origin consent.example/log1", "origin consent example"),
        GOOD.replace("origin consent.example/log1", "origin a+b"),
        GOOD.replace("position 3", "position 03"),
        GOOD.replace("position 3", "position 0"),
        GOOD.replace("position 3", "position -3"),
        GOOD.replace("position 3", "position  3"),
        GOOD.replace("position 3", f"position {2**63}"),
        GOOD.replace(STREAM, STREAM.upper()),
        GOOD.replace(STREAM, STREAM[:-1]),
        GOOD.replace(STREAM, "run/"),
        GOOD.replace(STREAM, "terms2"),
        GOOD.replace("7ms=", "7mt="),
        GOOD.replace("7ms=", "7ms"),
        GOOD.replace("leaf 5IFj", "leaf "),
        GOOD.replace("recorded 2025-09-03T10:00:00.000000Z", "recorded 2025-09-03T10:00:00Z"),
        GOOD.replace("recorded 2025-09-03", "recorded 2025-02-30"),
        GOOD.replace("covered-by 2025-09-04T10:00:00.000000Z", "covered-by 2025-09-04T12:00:00.000000+02:00"),
        GOOD.replace("covered-by 2025-09-04T10", "covered-by 2025-09-04T24"),
        GOOD.replace("\n", "\r\n"),
    ],
)
def test_what_is_no_promise_is_refused(text: str) -> None:
    assert text != GOOD
    with pytest.raises(NotVerified, match="expected"):
        parse_promise(text)


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "a b"},
        {"stream": "x"},
        {"position": 0},
        {"position": 2**63},
        {"leaf": bytes(31)},
        {"recorded": "now"},
        {"covered_by": "2025-09-04"},
    ],
)
def test_no_promise_exists_that_could_not_be_read(change: dict[str, Any]) -> None:
    with pytest.raises(NotVerified, match="expected"):
        dataclasses.replace(PROMISE, **change)


def test_the_receipts_key_opens_a_promise() -> None:
    assert open_promise(NOTE, ALL) == PROMISE
    assert open_promise(NOTE, trust_of_keys([RECEIPTS.verifier])) == PROMISE


def test_without_the_receipts_key_nothing_is_promised() -> None:
    with pytest.raises(NotVerified, match=r"signature by consent.example/log1/receipts under a key that you trust"):
        open_promise(NOTE, trust_of_keys([LOG.verifier]))
    forger = key_of("forger.example/receipts")
    with pytest.raises(NotVerified, match=r"\(no such key\)"):
        open_promise(signed_note(PROMISE.text, key_of("forger.example")), trust_of_keys([forger.verifier]))


def test_only_the_receipts_key_of_the_origin_promises() -> None:
    other = key_of("other.example/receipts")
    trust = Trust((LOG.verifier,), (RECEIPTS.verifier, other.verifier), ALL.witnesses)
    assert open_promise(NOTE, trust) == PROMISE
    for keys in ([LOG], [LOG, RECEIPTS], [other], [RECEIPTS, other]):
        with pytest.raises(NotVerified, match="a key with another role"):
            open_promise(signed_note(PROMISE.text, *keys), trust)
    witness = WITNESSES[0].verifier
    line = Signature(witness.name, witness.id, bytes(8) + WITNESSES[0].sign(PROMISE.text.encode()))
    with pytest.raises(NotVerified, match=r"found witness1.example, a key with another role"):
        open_promise(format_note(Note(PROMISE.text, (*parse_note(NOTE).signatures, line))), trust)


def test_every_changed_bit_of_a_promise_is_refused() -> None:
    for bit in range(len(NOTE) * 8):
        changed = bytearray(NOTE)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotVerified, match="expected"):
            open_promise(bytes(changed), ALL)


def test_a_receipt_holds_its_entry_as_it_is_hashed() -> None:
    document = json.loads(WRITTEN)
    assert list(document) == ["entry", "promise", "v"]
    assert document["entry"] == json.loads(ENTRY)
    assert ENTRY in WRITTEN
    assert parse_receipt(WRITTEN) == RECEIPT
    assert open_receipt(RECEIPT, ALL) == PROMISE


@pytest.mark.parametrize("known", OURS["entries"], ids=lambda known: f"position {known['position']}")
def test_a_receipt_of_every_event_comes_back(known: dict[str, Any]) -> None:
    receipt = Receipt(known["entry"].encode(), RECEIPT.promise)
    assert parse_receipt(format_receipt(receipt)) == receipt


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        WRITTEN + b"\n",
        WRITTEN.replace(b'{"entry"', b'{ "entry"'),
        WRITTEN.replace(b'"v":1}', b'"v":2}'),
        WRITTEN.replace(b',"v":1}', b"}"),
        WRITTEN.replace(b',"v":1}', b',"v":1,"v":1}'),
        WRITTEN.replace(b'"entry":{', b'"entry": {'),
        WRITTEN.replace(b'"entry":{"data"', b'"entry":{ "data"'),  # other bytes for the same entry
        WRITTEN.replace(b'"event":"accepted"', b'"event":"accepted","event":"accepted"'),
        WRITTEN.replace(b'"event":"accepted"', b'"event":"adopted"'),
        WRITTEN.replace(b'"version":2', b'"version":2.0'),
        b'{"entry":5,"promise":"x","v":1}',
        b'{"entry":' + b"[" * 100_000,
        b'{"entry":' + b"[" * 100_000 + b"]" * 100_000 + b',"promise":"x","v":1}',
        WRITTEN.replace(b"\xe2\x80\x94", b"-"),
        WRITTEN.replace(b"\xe2\x80\x94", b"\xff"),
    ],
)
def test_what_is_no_receipt_is_refused(data: bytes) -> None:
    with pytest.raises(NotVerified, match="expected"):
        parse_receipt(data)


@pytest.mark.parametrize(
    "receipt",
    [
        Receipt(b"", RECEIPT.promise),
        Receipt(b"{}", RECEIPT.promise),
        Receipt(ENTRY + b" ", RECEIPT.promise),
        Receipt(ENTRY + b',"more":1', RECEIPT.promise),
        Receipt(ENTRY, "no note"),
        Receipt(ENTRY, "\ud800"),
    ],
)
def test_a_receipt_that_nobody_can_read_is_not_written(receipt: Receipt) -> None:
    with pytest.raises(NotVerified, match="expected"):
        format_receipt(receipt)


@pytest.mark.parametrize(
    ("promise", "match"),
    [
        (dataclasses.replace(PROMISE, leaf=bytes(32)), "another leaf hash"),
        (dataclasses.replace(PROMISE, stream="terms"), "stream and time"),
        (dataclasses.replace(PROMISE, recorded="2025-09-03T10:00:00.000001Z"), "stream and time"),
    ],
)
def test_a_promise_about_another_entry_is_refused(promise: Promise, match: str) -> None:
    with pytest.raises(NotVerified, match=match):
        open_receipt(Receipt(ENTRY, signed_note(promise.text, RECEIPTS).decode()), ALL)


def test_a_receipt_of_another_entry_is_refused() -> None:
    other: bytes = OURS["entries"][3]["entry"].encode()
    with pytest.raises(NotVerified, match="another leaf hash"):
        open_receipt(Receipt(other, RECEIPT.promise), ALL)


def test_a_cosigners_key_is_no_receipts_key() -> None:
    with pytest.raises(NotVerified, match="type 1"):
        Trust((), (key_of(f"{ORIGIN}/receipts", COSIGNATURE).verifier,))
