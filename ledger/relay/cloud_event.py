"""What is published: CloudEvents 1.0 in their structured JSON, each with an id that says what it is of."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

#: As of a subscription: at a snapshot whoever follows forgets all rows; a token says that the rows so far are of one
#: moment of the log.
Kind = Literal["snapshot", "row", "token"]
CONTENT_TYPE = "application/cloudevents+json"


class CloudEvent(Struct, frozen=True, kw_only=True):
    """One message. Of one source no two have the same id."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    #: The stream key of a row.
    subject: str | UnsetType = UNSET
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.type.removeprefix(_TYPE)

    @property
    def place(self) -> tuple[int, str]:
        """The position, and of a row its id among those of one position: the order of publication."""
        return self.data["position"], self.id


_TYPE = "consent-ledger."


def source_of(ledger_id: bytes, projection: str) -> str:
    return f"urn:consent-ledger:{ledger_id.hex()}:{projection}"


def event_of(source: str, kind: Kind, snapshot: int, position: int, *key: object, **data: Any) -> CloudEvent:
    """An event after the snapshot of that number; the same position comes again in another snapshot."""
    return CloudEvent(
        id="/".join(map(str, (snapshot, kind, position, *key))),
        source=source,
        type=_TYPE + kind,
        subject=str(key[0]) if key else UNSET,
        data={"snapshot": snapshot, "position": position, **data},
    )


def encode(event: CloudEvent) -> bytes:
    return msgspec.json.encode(event)


def decode(payload: bytes) -> CloudEvent:
    """Inverse of `encode`; `msgspec.MsgspecError` where it is no such event."""
    event = msgspec.json.decode(payload, type=CloudEvent)
    msgspec.convert(event.data, _Place)
    return event


class _Place(Struct):
    snapshot: int
    position: int
