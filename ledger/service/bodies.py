"""Bodies of requests: strict JSON, of one size at most, read no further than that."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from fastapi import Request

from ledger.service.problems import Problem

#: Evidence has 65,536 bytes, which JSON may write as six each; a thousand questions have less.
LARGEST_BODY = 512 * 1024
#: No body that means anything goes deeper than half of this.
DEEPEST = 16
MEDIA_TYPE = "application/json"

#: Fields that callers of other ledgers may send, and why there are none.
_NEVER_TAKEN = {
    "recorded_at": "the ledger's clock says when it was recorded",
    "imported": "imports are the command line's: `consent import`",
    "attested": "a use that is reported over HTTP is always stored as reported",
}

T = TypeVar("T")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def body_of(form: type[T]) -> Callable[[Request], Awaitable[T]]:
    """A dependency: the request's body as `form`; `Problem` says why it is none."""
    decode = msgspec.json.Decoder(form).decode

    async def body(request: Request) -> T:
        text = await read(request, MEDIA_TYPE, LARGEST_BODY)
        try:
            found = decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return _careful(text, form)
        _demand_no_repeats(text, _decode(text))
        return found

    return body


async def read(request: Request, media_type: str, largest: int) -> bytes:
    """The body, where it is of this type, plain, and has at most `largest` bytes; `Problem` says why not."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise _closing(
            415, "compressed", f"expected a body that is not compressed, found {encoding[:20]!r}; send it plain"
        )
    found, _, parameters = request.headers.get("content-type", "").partition(";")
    if found.strip().lower() != media_type or parameters.strip().lower() not in ("", "charset=utf-8"):
        code = "not-json" if media_type == MEDIA_TYPE else "not-a-form"
        raise _closing(415, code, f"expected the header Content-Type: {media_type}, found another or none")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > largest:
        raise _too_large(largest)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise _too_large(largest)
    return bytes(body)


def _too_large(largest: int) -> Problem:
    return _closing(413, "too-large", f"expected a body of at most {largest} bytes, found more; send less at a time")


def _closing(status: int, code: str, detail: str) -> Problem:
    """What is answered before the body was read, which then nobody reads."""
    return Problem(status, code, detail, {"Connection": "close"})


def _careful(text: bytes, form: type[T]) -> T:
    """What `text` means, where the fast decoder sees nothing in it; else what is wrong, the first thing first."""
    if not text.strip():
        raise Problem(400, "malformed", "expected one JSON object as the body, found nothing")
    try:
        value = _decode(text)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeError:
        raise Problem(400, "malformed", "expected JSON in UTF-8, found other bytes") from None
    except msgspec.DecodeError as malformed:
        raise Problem(400, "malformed", f"expected JSON, found: {malformed}") from None
    if _is_deeper(value, DEEPEST):
        raise _too_deep()
    _demand_no_repeats(text, value)
    for name, why in _NEVER_TAKEN.items():
        if isinstance(value, dict) and (name in value or name in _inner(value)):
            raise Problem(422, "not-taken", f"expected no `{name}`, found one; {why}")
    try:
        return msgspec.convert(_with_whole_numbers(value), form)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid", f"expected the fields that the API describes, found: {error}") from None


def _with_whole_numbers(value: Any) -> Any:
    """The same with 1.0 as 1: to JSON Schema either is an integer."""
    if isinstance(value, dict):
        return {name: _with_whole_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _inner(value: dict[str, Any]) -> dict[str, Any]:
    data = value.get("data")
    return data if isinstance(data, dict) else {}


def _too_deep() -> Problem:
    return Problem(400, "too-deep", f"expected JSON of at most {DEEPEST} levels, found more")


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inner)


def _demand_no_repeats(text: bytes, value: Any) -> None:
    """A decoder keeps the last of two: only a slower one can tell, and is asked where the text is not its own."""
    again = _encode(value)
    if again != text and again != msgspec.json.format(text, indent=-1):
        json.loads(text, object_pairs_hook=_without_repeats)


def _without_repeats(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise Problem(400, "repeated-name", "expected each name of an object once, found one twice")
