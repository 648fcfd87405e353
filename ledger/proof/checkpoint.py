"""A checkpoint: the log's size and root at one moment, as the text of a note (C2SP tlog-checkpoint).

Extension lines are refused: no monitor can check what they say.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import NotVerified
from ledger.proof.merkle import EMPTY_ROOT, HASH_SIZE
from ledger.proof.note import is_key_name
from ledger.proof.strict import LARGEST_NUMBER, decode_base64, encode_base64, parse_decimal, shown


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's `origin`, its number of entries and the root of the RFC 6962 tree over them."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.origin):
            raise NotVerified(f"expected an origin without spaces and plus signs, found {shown(self.origin)}")
        if not 0 <= self.size <= LARGEST_NUMBER:
            raise NotVerified(f"expected a checkpoint's size from 0 to 2^63 - 1, found {self.size}")
        if len(self.root) != HASH_SIZE:
            raise NotVerified(f"expected a root of {HASH_SIZE} bytes in a checkpoint, found {len(self.root)}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise NotVerified("expected the root of the empty tree in a checkpoint of size 0, found another")

    @property
    def text(self) -> str:
        """What the log signs, and witnesses cosign; inverse of `parse_checkpoint`."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a note's text: exactly three lines, each in its one way of writing."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] != "":
        raise NotVerified(f"expected a checkpoint of three lines (origin, size, root), found {shown(text)}")
    if len(lines) > 4:
        raise NotVerified(f"expected a checkpoint without extension lines, found {shown(lines[3])} after the root")
    size = parse_decimal(lines[1], "a checkpoint's size")
    return Checkpoint(lines[0], size, decode_base64(lines[2], "a checkpoint's root", HASH_SIZE))
