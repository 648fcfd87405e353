"""Every reply of tlog-witness, over HTTP, by one witness of a log."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from typing import NamedTuple

import pytest

from ledger.proof.checkpoint import Checkpoint
from ledger.proof.cosignature import verify_cosignature
from ledger.proof.note import ED25519, Note, format_note, make_signing_key, parse_note, sign_note
from ledger.proof.witnessing import AddCheckpoint, format_request, parse_request
from tests.witness.logs import LOG_KEY, ORIGIN, WITNESS_KEY, Log


class Answer(NamedTuple):
    status: int
    content_type: str
    body: str


def ask(url: str, body: bytes | None, path: str = "/add-checkpoint") -> Answer:
    try:
        with urllib.request.urlopen(url + path, data=body, timeout=60) as answered:  # noqa: S310 - the fixture's own
            return Answer(answered.status, answered.headers["Content-Type"], answered.read().decode())
    except urllib.error.HTTPError as declined:
        with declined:
            return Answer(declined.code, declined.headers["Content-Type"], declined.read().decode())


def test_a_first_checkpoint_and_each_that_extends_it_are_cosigned(witness_url: str) -> None:
    log = Log()
    for old, new in [(0, 1), (1, 7), (7, 7), (7, 8), (8, 40)]:
        answered = ask(witness_url, log.request(old, new))
        assert answered.status == 200, answered
        note = parse_note(log.note(new).text.encode() + b"\n" + answered.body.encode())
        [signature] = note.signatures
        assert verify_cosignature(note.text, signature, WITNESS_KEY.verifier) > 1_700_000_000
        origin = hashlib.sha256(ORIGIN.encode()).hexdigest()
        assert ask(witness_url, None, f"/{origin}/checkpoint") == (200, "text/plain; charset=utf-8", note.text)


def test_an_empty_log_is_cosigned_too(witness_url: str) -> None:
    assert ask(witness_url, Log().request(0, 0)).status == 200
    assert ask(witness_url, Log().request(0, 5)).status == 200


@pytest.mark.parametrize("old", [0, 6, 8])
def test_another_old_size_is_told_where_the_witness_stands(witness_url: str, old: int) -> None:
    log = Log()
    assert ask(witness_url, log.request(0, 7)).status == 200
    assert ask(witness_url, log.request(old, 9)) == (409, "text/x.tlog.size", "7\n")


def changed(request: bytes, **changes: object) -> bytes:
    """A request with other fields than it had."""
    parsed = parse_request(request)
    fields = {"old": parsed.old, "proof": parsed.proof, "checkpoint": parsed.checkpoint} | changes
    return format_request(AddCheckpoint(**fields))  # type: ignore[arg-type]  # the fields of AddCheckpoint


def signed(text: str) -> bytes:
    return format_note(Note(text, (sign_note(text, LOG_KEY),)))


STRANGER = make_signing_key("other.example/log", ED25519, bytes([9] * 32))
IMPOSTOR = make_signing_key(ORIGIN, ED25519, bytes([9] * 32))
GOOD = Log().request(7, 9)
ROOT_OF_NOTHING = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

DECLINED = {
    "an unknown origin": (404, Log(key=STRANGER).request(0, 9)),
    "no signature of a trusted key": (403, Log(key=IMPOSTOR).request(7, 9)),
    "a damaged signature of the trusted key": (
        403,
        changed(
            GOOD,
            checkpoint=parse_request(GOOD).checkpoint.replace(b"consent.example/log1\n9", b"consent.example/log1\n8"),
        ),
    ),
    "an old size above the new": (400, changed(GOOD, old=10)),
    "another history": (422, Log(other=True).request(7, 9)),
    "another root at the same size": (422, Log(other=True).request(7, 7)),
    "a hash too many": (422, changed(GOOD, proof=(*parse_request(GOOD).proof, bytes(32)))),
    "a hash too few": (422, changed(GOOD, proof=parse_request(GOOD).proof[:-1])),
    "no proof": (422, changed(GOOD, proof=())),
    "a proof where nothing grew": (422, changed(Log().request(7, 7), proof=(bytes(32),))),
    "a root of an empty log that is none": (422, changed(GOOD, checkpoint=signed(f"{ORIGIN}\n0\n{'A' * 43}=\n"))),
    "extension lines": (400, changed(GOOD, checkpoint=signed(Log().note(9).text + "more\n"))),
    "a size in octal": (400, changed(GOOD, checkpoint=signed(Log().note(9).text.replace("\n9\n", "\n09\n")))),
    "carriage returns": (400, GOOD.replace(b"\n", b"\r\n")),
    "an old size with a sign": (400, GOOD.replace(b"old 7", b"old +7")),
    "another first word": (400, GOOD.replace(b"old 7", b"new 7")),
    "a hash of 31 bytes": (400, GOOD.replace(b"\n\n", b"\n" + b"A" * 42 + b"==\n\n", 1)),
    "nothing": (400, b""),
    "64 hashes": (400, GOOD.replace(b"\n\n", b"\n" + f"{'A' * 43}=\n".encode() * 64 + b"\n", 1)),
}


@pytest.mark.parametrize(("status", "request_body"), DECLINED.values(), ids=DECLINED)
def test_what_does_not_hold_is_declined_and_changes_nothing(witness_url: str, status: int, request_body: bytes) -> None:
    assert ask(witness_url, Log().request(0, 7)).status == 200
    answered = ask(witness_url, request_body)
    assert answered.status == status, answered
    assert "\n" not in answered.body.removesuffix("\n")
    assert "Traceback" not in answered.body
    assert ask(witness_url, GOOD).status == 200, "it still stands at 7"


def test_a_proof_from_nothing_is_declined(witness_url: str) -> None:
    assert ask(witness_url, changed(Log().request(0, 7), proof=(bytes(32),))).status == 422


def test_other_paths_and_large_requests_are_declined(witness_url: str) -> None:
    assert ask(witness_url, b"x", "/elsewhere").status == 404
    assert ask(witness_url, None, "/").status == 404
    # What is announced as too large is not waited for.
    connection = http.client.HTTPConnection(witness_url.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", "/add-checkpoint")
    connection.putheader("Content-Length", "1100001")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_the_empty_root_is_that_of_the_specification() -> None:
    assert Checkpoint(ORIGIN, 0, Log().tree.root(0)).text == f"{ORIGIN}\n0\n{ROOT_OF_NOTHING}\n"
