"""What a witness is asked and answers, as pure functions (C2SP tlog-witness, `add-checkpoint`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ledger.errors import NotVerified
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint
from ledger.proof.cosignature import cosign
from ledger.proof.merkle import verify_consistency
from ledger.proof.note import Note, SigningKey, VerifierKey, format_signature, parse_note, verify_note
from ledger.proof.strict import decode_hashes, encode_base64, parse_decimal, text_of

#: A checkpoint of at most a megabyte (FORMATS.md, section 8), and the proof before it.
LARGEST_REQUEST = 1_100_000
SIZE_TYPE = "text/x.tlog.size"
PLAIN_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: the size that the witness is thought to stand at, the way from there, and the new checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What the witness answers. `cosigned` is the checkpoint's text that it must have kept before it answers so."""

    status: int
    body: str
    content_type: str = PLAIN_TYPE
    cosigned: str | None = None


class _Declined(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.reply = Reply(status, sentence + "\n")


def parse_request(body: bytes) -> AddCheckpoint:
    """A request; inverse of `format_request`."""
    text_of(body, "a request of add-checkpoint", LARGEST_REQUEST)
    head, separator, checkpoint = body.partition(b"\n\n")
    first, *lines = head.decode().split("\n")
    word, _, size = first.partition(" ")
    if word != "old" or not separator:
        raise NotVerified(f"expected a first line `old <size>` and an empty line after the proof, found {first[:80]!r}")
    return AddCheckpoint(parse_decimal(size, "the old size"), decode_hashes(lines, "the proof"), checkpoint)


def format_request(request: AddCheckpoint) -> bytes:
    lines = [f"old {request.old}", *map(encode_base64, request.proof), "", ""]
    return "\n".join(lines).encode() + request.checkpoint


def answer(
    body: bytes,
    logs: Mapping[str, Sequence[VerifierKey]],
    latest: Callable[[str], Checkpoint | None],
    key: SigningKey,
    now: int,
) -> Reply:
    """The reply to a request; `logs` are the keys by origin, `latest` what was cosigned last of an origin.

    Whoever calls keeps `cosigned` before anybody else is answered: between asking `latest` and that nothing may come.
    """
    try:
        request, note, checkpoint = _read(body)
        _check_signature(note, checkpoint, logs)
        before = latest(checkpoint.origin)
        size = before.size if before else 0
        if request.old > checkpoint.size:
            raise _Declined(400, f"expected an old size of at most {checkpoint.size}, found {request.old}")
        if request.old != size:
            return Reply(409, f"{size}\n", SIZE_TYPE)
        _check_growth(request, before, checkpoint)
    except _Declined as declined:
        return declined.reply
    return Reply(200, format_signature(cosign(note.text, key, now)), cosigned=note.text)


def _read(body: bytes) -> tuple[AddCheckpoint, Note, Checkpoint]:
    try:
        request = parse_request(body)
        note = parse_note(request.checkpoint)
    except NotVerified as error:
        raise _Declined(400, str(error)) from None
    try:
        return request, note, parse_checkpoint(note.text)
    except NotVerified as error:
        # Of a form that is right, but for the root that an empty tree cannot have.
        raise _Declined(422 if note.text.split("\n")[1:2] == ["0"] else 400, str(error)) from None


def _check_signature(note: Note, checkpoint: Checkpoint, logs: Mapping[str, Sequence[VerifierKey]]) -> None:
    keys = logs.get(checkpoint.origin)
    if keys is None:
        raise _Declined(404, f"expected a log that this witness knows, found origin {checkpoint.origin}")
    try:
        verify_note(note, keys)
    except NotVerified as error:
        raise _Declined(403, str(error)) from None


def _check_growth(request: AddCheckpoint, before: Checkpoint | None, checkpoint: Checkpoint) -> None:
    if before is None or before.size == 0:
        if request.proof:
            raise _Declined(422, f"expected no proof from size 0, found {len(request.proof)} hashes")
        return
    try:
        verify_consistency(before.size, checkpoint.size, before.root, checkpoint.root, request.proof)
    except NotVerified as error:
        raise _Declined(422, str(error)) from None
