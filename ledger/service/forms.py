"""Forms that several requests share: who is asked about, and times as people and systems give them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Response
from msgspec import Meta, UnsetType

from ledger.domain.names import LARGEST_INTEGER
from ledger.domain.times import parse_given_time
from ledger.service.bodies import MEDIA_TYPE
from ledger.store.identities import LONGEST_IDENTITY

_DAY = (
    r"(?:(?:19[7-9][0-9]|[2-9][0-9]{3})-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:19(?:[79][26]|8[048])|[2-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[3579][26])00)-02-29)"
)
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

Subject = Annotated[
    str,
    Meta(
        pattern=rf"\A(?:id:[0-9a-f]{{32}}|key:[0-9a-f]{{64}}|(?!id:|key:)[^\x00-\x1f]{{1,{LONGEST_IDENTITY}}})\Z",
        description="The operator's id of the person; or `id:` and a subject id, or `key:` and a stream key, in hex.",
        examples=["alice@example.org"],
    ),
]
Moment = Annotated[
    str,
    Meta(
        pattern=rf"\A{_DAY}T{_CLOCK}{_OFFSET}\Z",
        description="RFC 3339 with an offset, at most six decimals, from 1970 on.",
        examples=["2025-10-01T08:00:00Z"],
    ),
]
Position = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER, description="A place in the log, from 1.", examples=[12])]


def moment_of(given: str | UnsetType) -> datetime | None:
    """The time, where one was given."""
    return None if isinstance(given, UnsetType) else parse_given_time(given)


def given(value: Any) -> Any:
    """A field's value, or None where it was left out."""
    return None if isinstance(value, UnsetType) else value


def json_answer(answer: Any, status: int = 200) -> Response:
    """A struct as the body of an answer."""
    return Response(msgspec.json.encode(answer), status, media_type=MEDIA_TYPE)
