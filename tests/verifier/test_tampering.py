"""Whatever is done to a bundle's file, the page says no in a sentence, and at the right check; so does Python."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ledger.domain.entry import canonical
from ledger.errors import NotVerified
from ledger.proof.verifying import verify_bundle
from tests.proof.small_log import OTHER, SUBJECT
from tests.verifier.page import Verifier
from tests.verifier.sample import (
    AUDITOR,
    LOG,
    ME,
    NOBODY,
    TRUST,
    WITNESS,
    Tamper,
    damaged_signature,
    demand_refusal,
    flipped,
    without_signature,
)

GOOD: dict[str, Any] = json.loads(LOG.bundle_file())


def edited(path: str, value: Any) -> Tamper:
    """One value exchanged, by its path."""

    def tamper(bundle: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place: Any = bundle
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[int(last) if last.isdigit() else last] = value

    return tamper


def _streams(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    streams: list[dict[str, Any]] = bundle["streams"]
    return streams


def _own(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = _streams(bundle)[0]["entries"]
    return entries


def _drop_withdrawal(bundle: dict[str, Any]) -> None:
    del _own(bundle)[-1]


def _lower_length(bundle: dict[str, Any]) -> None:
    _drop_withdrawal(bundle)
    _streams(bundle)[0]["proof"]["own"]["n"] = 3


def _reorder(bundle: dict[str, Any]) -> None:
    own = _own(bundle)
    own[1], own[2] = own[2], own[1]


def _repeat(bundle: dict[str, Any]) -> None:
    _own(bundle)[3] = _own(bundle)[2]


def _of_another(bundle: dict[str, Any]) -> None:
    other = json.loads(LOG.bundle_file(OTHER))
    _own(bundle)[0] = _own(other)[0]


def _renamed(bundle: dict[str, Any]) -> None:
    other = json.loads(LOG.bundle_file(OTHER))
    bundle["streams"][0] = _streams(other)[0] | {"stream": SUBJECT}


def _false_absence(bundle: dict[str, Any]) -> None:
    """Of somebody who has a history: the leaf of another, beside the path."""
    absent = json.loads(LOG.bundle_file(NOBODY))
    _streams(bundle)[0].update(entries=[], proof=_streams(absent)[0]["proof"])
    del bundle["streams"][1:]


def _truncated_path(bundle: dict[str, Any]) -> None:
    del _own(bundle)[1]["inclusion"][-1]


def _longer_path(bundle: dict[str, Any]) -> None:
    _own(bundle)[1]["inclusion"].append(_own(bundle)[1]["inclusion"][0])


def _much_longer_path(bundle: dict[str, Any]) -> None:
    _own(bundle)[1]["inclusion"] = _own(bundle)[1]["inclusion"][:1] * 64


def _flip(path: str) -> Tamper:
    def tamper(bundle: dict[str, Any]) -> None:
        place: Any = bundle
        for step in path.split("."):
            place = place[int(step) if step.isdigit() else step]
        edited(path, flipped(place))(bundle)

    return tamper


def _in_note(old: str, new: str) -> Tamper:
    def tamper(bundle: dict[str, Any]) -> None:
        assert old in bundle["checkpoint"]
        bundle["checkpoint"] = bundle["checkpoint"].replace(old, new, 1)

    return tamper


def _drop(stream: int) -> Tamper:
    def tamper(bundle: dict[str, Any]) -> None:
        del bundle["streams"][stream]

    return tamper


def _swap_terms_and_run(bundle: dict[str, Any]) -> None:
    streams = bundle["streams"]
    streams[1], streams[2] = streams[2], streams[1]


def _twice(bundle: dict[str, Any]) -> None:
    bundle["streams"].append(bundle["streams"][-1])


def _two_ends(bundle: dict[str, Any]) -> None:
    zeros = base64.b64encode(bytes(32)).decode()
    _streams(bundle)[0]["proof"]["other"] = {"key": zeros, "value": zeros}


def _too_many_siblings(bundle: dict[str, Any]) -> None:
    _streams(bundle)[0]["proof"]["siblings"] = [base64.b64encode(bytes(32)).decode()] * 257


def _unused_bits(bundle: dict[str, Any]) -> None:
    """The same bytes in another base64: 32 bytes leave two bits over, before the padding."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    path = _own(bundle)[0]["inclusion"]
    path[0] = path[0][:-2] + alphabet[alphabet.index(path[0][-2]) + 1] + "="


TAMPERED: dict[str, tuple[Tamper, str]] = {
    "an edited entry": (edited("streams.0.entries.3.entry.data.to", "on"), "history"),
    "an edited time": (edited("streams.0.entries.3.entry.occurred_at", "2025-09-09T10:00:00.000000Z"), "history"),
    "an edited nonce": (edited("streams.0.entries.0.entry.nonce", "0" * 32), "history"),
    "an edited use": (edited("streams.0.entries.2.entry.data.basis", 1), "history"),
    "edited terms": (edited("streams.1.entries.0.entry.data.withdrawal", "future-runs"), "terms"),
    "an edited run": (edited("streams.2.entries.0.entry.data.purpose", "research"), "runs"),
    "an edited map": (edited("map.entry.data.root", "0" * 64), "map"),
    "a map over more": (edited("map.entry.data.covers", 8), "map"),
    "a dropped withdrawal": (_drop_withdrawal, "history"),
    "a lowered length": (_lower_length, "history"),
    "a length of nothing": (edited("streams.0.proof.own.n", 0), "form"),
    "another head": (_flip("streams.0.proof.own.head"), "history"),
    "two entries in another order": (_reorder, "history"),
    "one entry twice": (_repeat, "history"),
    "an entry of another person": (_of_another, "history"),
    "another person's history under this name": (_renamed, "history"),
    "false absence": (_false_absence, "history"),
    "another position": (edited("streams.0.entries.3.position", 6), "history"),
    "a position behind the map": (edited("streams.0.entries.3.position", 8), "history"),
    "a position of zero": (edited("streams.0.entries.3.position", 0), "form"),
    "a hash of a path": (_flip("streams.0.entries.1.inclusion.1"), "history"),
    "a path cut short": (_truncated_path, "history"),
    "a path with one more": (_longer_path, "history"),
    "a path of 64": (_much_longer_path, "history"),
    "a short hash": (edited("streams.0.entries.1.inclusion.0", "AAAA"), "history"),
    "base64 with unused bits": (_unused_bits, "history"),
    "base64 without padding": (edited("streams.0.entries.1.inclusion.0", "A" * 43), "history"),
    "base64 for URLs": (edited("streams.0.entries.1.inclusion.0", "_" * 43 + "="), "history"),
    "a sibling of the map": (_flip("streams.0.proof.siblings.0"), "history"),
    "the path of the map entry": (_flip("map.inclusion.0"), "map"),
    "257 siblings": (_too_many_siblings, "history"),
    "two ends": (_two_ends, "history"),
    "a run left out": (_drop(2), "history"),
    "terms left out": (_drop(1), "history"),
    "streams in another order": (_swap_terms_and_run, "history"),
    "a stream twice": (_twice, "history"),
    "no stream": (edited("streams", []), "form"),
    "terms in a person's place": (edited("streams.0.stream", "terms"), "form"),
    "a field more": (edited("note", "x"), "form"),
    "a field more in an entry": (edited("streams.0.entries.0.entry.note", "x"), "history"),
    "another version of the format": (edited("v", 2), "form"),
    "a number where a list belongs": (edited("streams", 1), "form"),
    "null": (edited("map", None), "form"),
    "another size": (_in_note("\n8\n", "\n9\n"), "signature"),
    "a size with a zero before": (_in_note("\n8\n", "\n08\n"), "signature"),
    "an octal size": (_in_note("\n8\n", "\n0362\n"), "signature"),
    "an extension line": (_in_note("\n\n", "\nextension\n\n"), "signature"),
    "a note with CRLF": (_in_note("\n", "\r\n"), "signature"),
    "another origin": (_in_note("consent.example/log1\n", "consent.example/log2\n"), "signature"),
    "a log's signature": (damaged_signature("consent.example/log1"), "signature"),
    "a witness's cosignature": (damaged_signature("witness1.example"), "signature"),
    "the auditor's cosignature": (damaged_signature(AUDITOR), "signature"),
    "no signature by the log": (without_signature("consent.example/log1"), "signature"),
    "no cosignature by a witness": (without_signature(WITNESS), "quorum"),
    "no cosignature by the auditor": (without_signature(AUDITOR), "quorum"),
    "no signatures at all": (edited("checkpoint", "consent.example/log1\n8\n"), "signature"),
    "101 signatures": (_in_note("\n\n", "\n\n" + "\u2014 a AAAAAAAA\n" * 98), "signature"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_bundle_is_refused(verifier: Verifier, name: str) -> None:
    tamper, check = TAMPERED[name]
    bundle = json.loads(LOG.bundle_file())
    tamper(bundle)
    demand_refusal(verifier.verify(canonical(bundle), TRUST, ME), check)
    with pytest.raises(NotVerified):
        verify_bundle(canonical(bundle), LOG.policy, ME)


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("spaces", json.dumps(GOOD, sort_keys=True, ensure_ascii=False).encode()),
        ("another order", json.dumps(dict(reversed(GOOD.items())), separators=(",", ":"), ensure_ascii=False).encode()),
        ("escapes", json.dumps(GOOD, sort_keys=True, separators=(",", ":")).encode()),
        ("a line end", LOG.bundle_file() + b"\n"),
        ("CRLF", LOG.bundle_file() + b"\r\n"),
        ("a byte order mark", b"\xef\xbb\xbf" + LOG.bundle_file()),
        ("a key twice", LOG.bundle_file().replace(b'"v":1}', b'"v":1,"v":1}')),
        ("cut off", LOG.bundle_file()[:-1]),
        ("bytes that are no text", LOG.bundle_file().replace(b"pop-up", b"pop\xff-up")),
        ("nothing", b""),
        ("a checkpoint", LOG.checkpoint()),
        ("a receipt", LOG.receipt(4)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_written_another_way_is_refused(verifier: Verifier, name: str, again: bytes) -> None:
    demand_refusal(verifier.verify(again, TRUST, ME), "form")
    with pytest.raises(NotVerified):
        verify_bundle(again, LOG.policy, ME)


def test_a_changed_bit_anywhere_is_refused(verifier: Verifier) -> None:
    good = LOG.bundle_file()
    places = [(index, index % 8) for index in range(3, len(good), 13)]
    overall = verifier.ask(
        """async ({file, places, trust, subject}) => {
          const good = Uint8Array.from(atob(file), (character) => character.charCodeAt(0));
          const answers = [];
          for (const [index, bit] of places) {
            const damaged = good.with(index, good[index] ^ (1 << bit));
            answers.push((await verifyBundle(damaged, {trust, subject})).overall);
          }
          return answers;
        }""",
        {"file": base64.b64encode(good).decode(), "places": places, "trust": TRUST, "subject": ME},
    )
    assert len(places) > 300
    assert [place for place, answer in zip(places, overall, strict=True) if answer != "fails"] == []
