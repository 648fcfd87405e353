"""A log's way to a witness: submits a checkpoint, and comes back with a cosignature that verifies."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

from ledger.errors import NotVerified, Unavailable
from ledger.proof.cosignature import verify_cosignature
from ledger.proof.note import Note, Signature, VerifierKey, format_note, parse_note
from ledger.proof.strict import parse_decimal
from ledger.proof.witnessing import LARGEST_REQUEST, SIZE_TYPE, AddCheckpoint, format_request

#: A witness answers in milliseconds; a log that waited longer for one would hold up its next checkpoint.
TIMEOUT_SECONDS = 20
#: Of the first, the size is guessed; of the second it is the witness's own word. A third would be a race with others.
MOST_ATTEMPTS = 3


def cosignature_of(
    url: str, key: VerifierKey, note: Note, size: int, consistency: Callable[[int], Sequence[bytes]]
) -> Signature:
    """The witness's cosignature of a checkpoint of `size`; `consistency(old)` is the way from a smaller one.

    `Unavailable` where the witness cannot be asked, `NotVerified` where it declines or its answer does not verify.
    """
    old = size
    for _ in range(MOST_ATTEMPTS):
        proof = tuple(consistency(old)) if 0 < old < size else ()
        status, content_type, body = _post(url, format_request(AddCheckpoint(old, proof, format_note(note))))
        if status == 200:
            return _verified(key, note, body)
        if status != 409 or content_type != SIZE_TYPE:
            raise NotVerified(f"expected a cosignature of {key.name}, found status {status}: {body.strip()[:200]}")
        old = parse_decimal(body.removesuffix("\n"), f"the size that {key.name} stands at")
        if old > size:
            raise NotVerified(
                f"expected {key.name} to stand at {size} or below, found it at {old}: it has seen more of this log; "
                "is this an older copy?"
            )
    raise Unavailable(f"expected {key.name} to stay where it said it stood, found it moved on each time; ask again")


def _verified(key: VerifierKey, note: Note, body: str) -> Signature:
    lines = parse_note(note.text.encode() + b"\n" + body.encode())
    for signature in lines.signatures:
        if (signature.name, signature.key_id) == (key.name, key.id):
            verify_cosignature(note.text, signature, key)
            return signature
    raise NotVerified(f"expected a cosignature by {key.name}, found none by that key in the witness's answer")


def _post(url: str, body: bytes) -> tuple[int, str, str]:
    if not url.startswith(("http://", "https://")):
        raise Unavailable(f"expected the witness's address as http:// or https://, found {url[:80]!r}; correct it")
    request = urllib.request.Request(url.rstrip("/") + "/add-checkpoint", data=body, method="POST")  # noqa: S310 - checked above
    try:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answered:  # noqa: S310 - checked above
                return _read(answered)
        except urllib.error.HTTPError as declined:
            with declined:
                return _read(declined)
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        reason = getattr(error, "reason", None) or error
        raise Unavailable(f"expected the witness at {url} to answer, found: {reason}; ask again later") from None


def _read(answered: http.client.HTTPResponse | urllib.error.HTTPError) -> tuple[int, str, str]:
    body = answered.read(LARGEST_REQUEST)
    announced = answered.headers.get("Content-Length", "")
    if announced.isdecimal() and len(body) < min(int(announced), LARGEST_REQUEST):
        # A read up to a limit takes the end of the connection for that of the answer.
        raise http.client.IncompleteRead(body)
    return answered.status or 0, answered.headers.get_content_type(), body.decode()
