"""Cosignatures: a witness or an auditor signs a checkpoint with the time it saw it (C2SP tlog-cosignature, version 1).

What is signed does not name the signer, so one public key never stands for two of them.
"""

from __future__ import annotations

from ledger.errors import InvalidInput, NotVerified
from ledger.proof.note import COSIGNATURE, SIGNATURE_BYTES, Signature, SigningKey, VerifierKey, bad_signature
from ledger.proof.strict import LARGEST_NUMBER

#: An auditor's key has a name that ends so: its cosignature says what FORMATS.md section 7 says of auditors.
AUDITOR_SUFFIX = "/consent-ledger-audit-v1"

_TIME_BYTES = 8


def cosign(checkpoint_text: str, key: SigningKey, time: int) -> Signature:
    """The cosignature of a checkpoint's text at `time`, in seconds since 1970."""
    if key.verifier.type != COSIGNATURE:
        raise InvalidInput(f"expected a key for cosignatures (type 4), found {key.verifier.text} of another type")
    if not 0 <= time <= LARGEST_NUMBER:
        raise InvalidInput(f"expected a time from 0 to 2^63 - 1 seconds since 1970, found {time}")
    blob = time.to_bytes(_TIME_BYTES, "big") + key.sign(_message(checkpoint_text, time))
    return Signature(key.verifier.name, key.verifier.id, blob)


def verify_cosignature(text: str, signature: Signature, key: VerifierKey) -> int:
    """When `key` cosigned the checkpoint of this text, in seconds since 1970; `NotVerified` where it did not."""
    if key.type != COSIGNATURE or (signature.name, signature.key_id) != (key.name, key.id):
        raise NotVerified(f"expected a cosignature by {key.text}, found one by {signature.name} or by no such key")
    if len(signature.blob) != _TIME_BYTES + SIGNATURE_BYTES:
        expected = _TIME_BYTES + SIGNATURE_BYTES
        raise NotVerified(f"expected a cosignature of {expected} bytes by {key.name}, found {len(signature.blob)}")
    time = int.from_bytes(signature.blob[:_TIME_BYTES], "big")
    if time > LARGEST_NUMBER:
        raise NotVerified(f"expected a time up to 2^63 - 1 in the cosignature of {key.name}, found {time}")
    if not key.signed(_message(text, time), signature.blob[_TIME_BYTES:]):
        raise bad_signature(key)
    return time


def _message(checkpoint_text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{checkpoint_text}".encode()
