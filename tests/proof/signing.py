"""Keys with fixed seeds, for the tests of notes and of what is signed; and what others have signed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ledger.proof.checkpoint import Checkpoint
from ledger.proof.cosignature import AUDITOR_SUFFIX, cosign
from ledger.proof.note import COSIGNATURE, ED25519, Note, SigningKey, format_note, make_signing_key, sign_note
from ledger.proof.policy import Group, Trust

_VECTORS = Path(__file__).parents[1] / "vectors"
OURS: dict[str, Any] = json.loads((_VECTORS / "formats.json").read_text())
OTHERS: dict[str, Any] = json.loads((_VECTORS / "signed-notes.json").read_text())

ORIGIN = "consent.example/log1"
#: The time of cosignatures in these tests, in seconds since 1970.
NOON = 1_760_000_000

#: Names that a key may have.
names = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1)


def key_of(name: str, type: int = ED25519) -> SigningKey:
    """The same key for the same name and type, whenever asked."""
    return make_signing_key(name, type, hashlib.sha256(f"{name} {type}".encode()).digest())


LOG = make_signing_key(ORIGIN, ED25519, bytes(range(32)))
RECEIPTS = key_of(f"{ORIGIN}/receipts")
WITNESSES = tuple(make_signing_key(f"witness{number}.example", COSIGNATURE, bytes([number]) * 32) for number in (1, 2))
AUDITOR = key_of(f"auditor.example{AUDITOR_SUFFIX}", COSIGNATURE)

CHECKPOINT = Checkpoint(ORIGIN, 10, bytes.fromhex(OURS["tree_root"]))

#: Everybody must vouch: both witnesses and the auditor.
ALL = Trust(
    logs=(LOG.verifier,),
    receipts=(RECEIPTS.verifier,),
    witnesses={"one": WITNESSES[0].verifier, "two": WITNESSES[1].verifier, "auditor": AUDITOR.verifier},
    groups={"both": Group(2, ("one", "two")), "all": Group(2, ("both", "auditor"))},
    quorum="all",
)


def signed_checkpoint(*cosigners: SigningKey, checkpoint: Checkpoint = CHECKPOINT, log: SigningKey = LOG) -> bytes:
    """The checkpoint as a note, signed by the log and cosigned by each of `cosigners` at `NOON`."""
    signatures = [sign_note(checkpoint.text, log), *(cosign(checkpoint.text, key, NOON) for key in cosigners)]
    return format_note(Note(checkpoint.text, tuple(signatures)))


def signed_note(text: str, *keys: SigningKey) -> bytes:
    """A text as a note, signed by each of `keys`."""
    return format_note(Note(text, tuple(sign_note(text, key) for key in keys)))
