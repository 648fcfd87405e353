"""Whether what is about no person holds: a checkpoint, growth between two, a new key (FORMATS.md, sections 7 and 8)."""

from __future__ import annotations

from ledger.errors import NotVerified
from ledger.proof.consistency import parse_consistency
from ledger.proof.merkle import verify_consistency
from ledger.proof.policy import Trust, open_checkpoint
from ledger.proof.rotation import open_rotation
from ledger.proof.statement import Proven, Statement, checkpoint_fields, plural, signed_by
from ledger.proof.two_histories import demand_one_history


def statement_of_checkpoint(data: bytes, trust: Trust) -> Statement:
    """The log was so long, and had that root."""
    opened = open_checkpoint(data, trust)
    size = plural(opened.checkpoint.size, "entry", "entries")
    return Statement(
        kind="checkpoint",
        sentences=(f"the log {opened.checkpoint.origin} has {size}", signed_by(opened)),
        fields={"checkpoint": checkpoint_fields(opened)},
        proven=(Proven(opened),),
    )


def statement_of_consistency(data: bytes, trust: Trust) -> Statement:
    """The newer checkpoint extends the older."""
    file = parse_consistency(data)
    old, new = (open_checkpoint(note.encode(), trust) for note in (file.old, file.new))
    proven = (Proven(old), Proven(new))
    before, after = old.checkpoint, new.checkpoint
    if before.origin != after.origin:
        raise NotVerified(f"expected two checkpoints of one log, found {before.origin} and {after.origin}")
    demand_one_history(proven)
    verify_consistency(before.size, after.size, before.root, after.root, file.proof)
    return Statement(
        kind="consistency",
        sentences=(
            f"the log {after.origin} of {after.size} entries begins with all of its first {before.size}: nothing of "
            "them was changed or left out",
            signed_by(old),
            signed_by(new),
        ),
        fields={"old": checkpoint_fields(old), "new": checkpoint_fields(new)},
        proven=proven,
    )


def statement_of_rotation(data: bytes, trust: Trust) -> Statement:
    """The log changes its key, and the one that is trusted says so."""
    rotation = open_rotation(data)
    if rotation.old not in trust.logs:
        raise NotVerified(
            f"expected a rotation away from a log key that you trust, found one from {rotation.old.text}; pin that key"
        )
    return Statement(
        kind="rotation",
        sentences=(
            f"the log {rotation.origin} signs with a new key from size {rotation.size} on: {rotation.new.text}",
            "both its keys signed this; trust the new one from now on beside the old, and alone once that is retired",
        ),
        fields={
            "origin": rotation.origin,
            "old": rotation.old.text,
            "new": rotation.new.text,
            "from": rotation.size,
        },
    )
