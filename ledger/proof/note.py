"""Notes: text that keys have signed, and those keys (C2SP signed-note; Ed25519 of RFC 8032)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import InvalidInput, NotVerified
from ledger.proof.strict import decode_base64, encode_base64, shown, text_of

#: The type byte of a key that signs a note's text as it stands.
ED25519 = 0x01
#: The type byte of a key that signs a checkpoint together with a time (C2SP tlog-cosignature).
COSIGNATURE = 0x04

#: The same limits as Go's sumdb/note has, so that neither reads what the other refuses.
LARGEST_NOTE = 1_000_000
MOST_SIGNATURES = 100

#: A ledger has a few, and signs with the same ones again and again.
MOST_PRIVATE_KEYS = 16

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_ID_BYTES = 4
_DASH = "\N{EM DASH} "
_PRIVATE = "PRIVATE+KEY+"


def is_key_name(name: str) -> bool:
    """Whether `name` may name a key: not empty, and without spaces, plus signs and control characters."""
    return name != "" and "+" not in name and not any(c.isspace() or c < " " or "\ud800" <= c <= "\udfff" for c in name)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Who signs, and how to check it: a name, a type (`ED25519` or `COSIGNATURE`) and a public key of 32 bytes."""

    name: str
    type: int
    public: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise InvalidInput(f"expected a key's name without spaces and plus signs, found {shown(self.name)}")
        if self.type not in (ED25519, COSIGNATURE):
            raise InvalidInput(f"expected an Ed25519 key (type 1, or 4 for cosignatures), found type {self.type}")
        if len(self.public) != KEY_BYTES:
            raise InvalidInput(f"expected a public key of {KEY_BYTES} bytes, found {len(self.public)}")

    @property
    def id(self) -> bytes:
        """Four bytes that, with the name, tell the key apart from others; they prove nothing."""
        key = bytes([self.type]) + self.public
        return hashlib.sha256(self.name.encode() + b"\n" + key).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """The verifier key as people pass it on; inverse of `parse_vkey`."""
        return f"{self.name}+{self.id.hex()}+{encode_base64(bytes([self.type]) + self.public)}"

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's Ed25519 signature of exactly these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_vkey(text: str) -> VerifierKey:
    """The key of a text like `example.com/log+a234cbb7+AQOh…`; `InvalidInput` unless it is one, to the letter."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        key = decode_base64(encoded, "a key")
    except NotVerified:
        key = b""
    if not key:
        raise InvalidInput(f"expected a verifier key like <name>+<8 hex digits>+<base64>, found {shown(text)}")
    verifier = VerifierKey(name, key[0], key[1:])
    if verifier.id.hex() != key_id:
        raise InvalidInput(
            f"expected the key id {verifier.id.hex()} in a verifier key of {name}, found {shown(key_id)}"
        )
    return verifier


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that can sign: the private half (RFC 8032's seed, 32 bytes) beside what verifies it."""

    verifier: VerifierKey
    seed: bytes = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of exactly these bytes: 64 bytes, always the same ones."""
        return _private_key(self.seed).sign(message)


@lru_cache(maxsize=MOST_PRIVATE_KEYS)
def _private_key(seed: bytes) -> Ed25519PrivateKey:
    """The key of a seed; to derive it anew takes as long as to sign."""
    return Ed25519PrivateKey.from_private_bytes(seed)


def make_signing_key(name: str, type: int, seed: bytes) -> SigningKey:
    """The key of a name, a type and 32 random bytes."""
    if len(seed) != KEY_BYTES:
        raise InvalidInput(f"expected a private key of {KEY_BYTES} bytes, found {len(seed)}")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return SigningKey(VerifierKey(name, type, public), seed)


def signing_key_text(key: SigningKey) -> str:
    """The private key as Go's sumdb/note writes it, one line without its end; inverse of `parse_signing_key`."""
    of = key.verifier
    return f"{_PRIVATE}{of.name}+{of.id.hex()}+{encode_base64(bytes([of.type]) + key.seed)}"


def parse_signing_key(text: str) -> SigningKey:
    """The private key of such a line; an error never repeats what was given, which may be a secret."""
    name, _, rest = text.removeprefix(_PRIVATE).partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        secret = decode_base64(encoded, "a key", 1 + KEY_BYTES)
        key = make_signing_key(name, secret[0], secret[1:])
    except (NotVerified, InvalidInput):
        key = None
    if key is None or not text.startswith(_PRIVATE):
        raise InvalidInput(
            "expected a signing key like PRIVATE+KEY+<name>+<8 hex digits>+<base64>, found something else"
        )
    if key.verifier.id.hex() != key_id:
        raise InvalidInput(f"expected the key id {key.verifier.id.hex()} in the signing key of {name}, found another")
    return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line, whoever made it: `blob` is what follows the key id, never empty."""

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and the signatures under it, verified or not."""

    text: str
    signatures: tuple[Signature, ...]

    def first_signatures(self) -> Mapping[tuple[str, bytes], Signature]:
        """By name and key id the first signature of each: a second by the same key adds nothing, and is not read."""
        return {(one.name, one.key_id): one for one in reversed(self.signatures)}


def parse_note(data: bytes) -> Note:
    """The note of these bytes, nothing verified yet; inverse of `format_note`."""
    whole = text_of(data, "a note", LARGEST_NOTE)
    end = whole.rfind("\n\n")
    lines = whole[end + 2 :].split("\n")
    if end < 0 or lines == [""] or lines[-1] != "":
        raise NotVerified("expected a signed note: text, an empty line and lines of signatures, found something else")
    if len(lines) - 1 > MOST_SIGNATURES:
        raise NotVerified(f"expected at most {MOST_SIGNATURES} signatures in a note, found {len(lines) - 1}")
    return Note(whole[: end + 1], tuple(_parse_signature(line) for line in lines[:-1]))


def format_note(note: Note) -> bytes:
    """The note's bytes; inverse of `parse_note`, which is asked, so no note is written that nobody can read."""
    try:
        data = (note.text + "\n" + "".join(format_signature(one) for one in note.signatures)).encode()
    except UnicodeEncodeError:
        raise NotVerified("expected a note in Unicode, found a lone surrogate") from None
    if parse_note(data) != note:
        raise NotVerified("expected a text that ends in a newline and signatures, found a note that reads as another")
    return data


def format_signature(signature: Signature) -> str:
    """The line of a signature, with its end."""
    return f"{_DASH}{signature.name} {encode_base64(signature.key_id + signature.blob)}\n"


def _parse_signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not is_key_name(name):
        raise NotVerified(f"expected a signature line `\N{EM DASH} <name> <base64>`, found {shown(line)}")
    blob = decode_base64(encoded, f"the signature of {name}")
    if len(blob) <= _ID_BYTES:
        raise NotVerified(f"expected a key id and a signature of {name}, found {len(blob)} bytes")
    return Signature(name, blob[:_ID_BYTES], blob[_ID_BYTES:])


def sign_note(text: str, key: SigningKey) -> Signature:
    """The signature of a note's text by a key of type `ED25519`."""
    if key.verifier.type != ED25519:
        raise InvalidInput(f"expected a key that signs notes (type 1), found {key.verifier.text} of another type")
    return Signature(key.verifier.name, key.verifier.id, key.sign(text.encode()))


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Which of the `keys` (type `ED25519`; others sign no notes) signed: at least one of them, and none of them badly.

    Signatures by others are passed over, as the specification demands: they say nothing to who does not know them.
    """
    found = note.first_signatures()
    signed = []
    for key in keys:
        signature = found.get((key.name, key.id))
        if key.type != ED25519 or signature is None:
            continue
        if not key.signed(note.text.encode(), signature.blob):
            raise bad_signature(key)
        signed.append(key)
    if not signed:
        names = ", ".join(sorted({one.name for one in note.signatures}))
        raise NotVerified(f"expected a signature by a key that you named, found only others: {shown(names)}")
    return tuple(signed)


def bad_signature(key: VerifierKey) -> NotVerified:
    """A key that is known and whose signature is none: the whole note is refused for it."""
    return NotVerified(
        f"expected a good signature by {key.name} (key {key.id.hex()}), found one that does not fit: "
        "the text or the signature was changed"
    )
