"""A small log for witnesses to watch: its key, its tree, and checkpoints of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.proof.checkpoint import Checkpoint
from ledger.proof.merkle import Tree, consistency_proof, leaf_hash
from ledger.proof.note import COSIGNATURE, ED25519, Note, SigningKey, format_note, make_signing_key, sign_note
from ledger.proof.witnessing import AddCheckpoint, format_request

ORIGIN = "consent.example/log1"
LOG_KEY = make_signing_key(ORIGIN, ED25519, bytes(range(32)))
WITNESS_KEY = make_signing_key("witness1.example", COSIGNATURE, bytes([1] * 32))


@dataclass
class Log:
    """`other` makes another history of the same origin."""

    size: int = 40
    other: bool = False
    key: SigningKey = LOG_KEY
    tree: Tree = field(default_factory=Tree)

    def __post_init__(self) -> None:
        for number in range(self.size):
            self.tree.append(leaf_hash(b"%d%s" % (number, b"!" * self.other)))

    def note(self, size: int) -> Note:
        text = Checkpoint(self.key.verifier.name, size, self.tree.root(size)).text
        return Note(text, (sign_note(text, self.key),))

    def way_to(self, new: int) -> Callable[[int], tuple[bytes, ...]]:
        """The proofs to a size, from whatever size is asked."""
        return lambda old: self.consistency(old, new)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        return tuple(consistency_proof(old, new, self.tree.read)) if 0 < old < new else ()

    def request(self, old: int, new: int) -> bytes:
        return format_request(AddCheckpoint(old, self.consistency(old, new), format_note(self.note(new))))
