"""The proof that one entry is in the log, as a file that verifies by itself (C2SP tlog-proof)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import NotVerified
from ledger.proof.note import parse_note
from ledger.proof.strict import decode_base64, decode_hashes, encode_base64, parse_decimal, shown, text_of

#: A note of 1 MB, the largest entry in base64, and the hashes.
LARGEST_PROOF = 1_200_000

_HEADER = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = "index "


@dataclass(frozen=True, slots=True)
class TlogProof:
    """What such a file says, nothing verified yet."""

    #: RFC 6962's: the entry's position less one.
    index: int
    #: From the leaf's sibling up to the root's child.
    path: tuple[bytes, ...]
    #: In our files the entry's bytes (FORMATS.md section 8). Nothing signs them: whoever verifies, hashes them.
    extra: bytes | None
    #: The signed note, with its cosignatures.
    checkpoint: bytes


def parse_tlog_proof(data: bytes) -> TlogProof:
    """The proof of a file's bytes; inverse of `format_tlog_proof`."""
    text = text_of(data, "a tlog-proof", LARGEST_PROOF)
    head, _, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if lines.pop(0) != _HEADER:
        raise NotVerified(f"expected a tlog-proof, which begins with {_HEADER}, found {shown(head)}")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = decode_base64(lines.pop(0).removeprefix(_EXTRA), "the extra data of a tlog-proof")
        if not extra:
            raise NotVerified("expected extra data in the extra line of a tlog-proof, found none; leave the line out")
    if not lines or not lines[0].startswith(_INDEX):
        raise NotVerified("expected a line `index <number>` in a tlog-proof, found " + shown(lines[0] if lines else ""))
    index = parse_decimal(lines.pop(0).removeprefix(_INDEX), "the index of a tlog-proof")
    path = decode_hashes(lines, "a tlog-proof")
    parse_note(checkpoint.encode())
    return TlogProof(index, path, extra, checkpoint.encode())


def format_tlog_proof(proof: TlogProof) -> bytes:
    """The file's bytes; inverse of `parse_tlog_proof`, which is asked, so no proof is written that nobody can read."""
    lines = [_HEADER]
    if proof.extra is not None:
        lines.append(_EXTRA + encode_base64(proof.extra))
    lines.append(f"{_INDEX}{proof.index}")
    lines.extend(encode_base64(one) for one in proof.path)
    data = "\n".join(lines).encode() + b"\n\n" + proof.checkpoint
    if parse_tlog_proof(data) != proof:
        raise NotVerified("expected an index, a path and a signed checkpoint, found a proof that reads as another")
    return data
