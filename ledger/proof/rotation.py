"""A log changes its key, and says so with both (FORMATS.md section 7)."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import InvalidInput, NotVerified
from ledger.proof.note import ED25519, VerifierKey, parse_note, parse_vkey, verify_note
from ledger.proof.strict import LARGEST_NUMBER, fields_of, parse_decimal

_HEADER = "consent-ledger/v1/rotation"
_NAMES = ("origin", "old", "new", "from")


@dataclass(frozen=True, slots=True)
class Rotation:
    """From `size` on the checkpoints of `origin` are signed by `new` too, and one day by it alone."""

    origin: str
    old: VerifierKey
    new: VerifierKey
    size: int

    def __post_init__(self) -> None:
        for key in (self.old, self.new):
            if (key.name, key.type) != (self.origin, ED25519):
                raise NotVerified(f"expected a log key of {self.origin} in a rotation, found {key.text}")
        if self.old.public == self.new.public:
            raise NotVerified(f"expected another key as the new one of {self.origin}, found the old one again")
        if not 0 <= self.size <= LARGEST_NUMBER:
            raise NotVerified(f"expected a size from 0 to 2^63 - 1 in a rotation, found {self.size}")

    @property
    def text(self) -> str:
        """What both keys sign; inverse of `parse_rotation`."""
        return f"{_HEADER}\norigin {self.origin}\nold {self.old.text}\nnew {self.new.text}\nfrom {self.size}\n"


def parse_rotation(text: str) -> Rotation:
    """The rotation of a note's text."""
    origin, old, new, size = fields_of(text, _HEADER, _NAMES, "a rotation")
    try:
        return Rotation(origin, parse_vkey(old), parse_vkey(new), parse_decimal(size, "the size of a rotation"))
    except InvalidInput as error:
        raise NotVerified(f"{error}, in a rotation") from None


def open_rotation(data: bytes) -> Rotation:
    """The rotation of a note that both its keys signed, or `NotVerified`; whether to trust the old one, others know."""
    note = parse_note(data)
    rotation = parse_rotation(note.text)
    if len(verify_note(note, (rotation.old, rotation.new))) != 2:
        raise NotVerified(f"expected the signatures of both keys under a rotation of {rotation.origin}, found one")
    return rotation
