"""The stream of one projection in NATS JetStream, appended to by as many relays as there are.

Each message names the one that must be the stream's last before it. So one whose answer was lost is never stored twice,
however long ago that was, none is stored after one that was lost, and what two relays append at once does not mix.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import RetentionPolicy, StreamConfig
from nats.js.errors import NotFoundError

from ledger.errors import Refused
from ledger.relay.cloud_event import CONTENT_TYPE, CloudEvent, decode, encode

#: Messages without an answer yet: the round trip does not count, and memory is bounded.
IN_FLIGHT = 256
ANSWER_SECONDS = 5.0


class Stream:
    """It over one connection; ask for its `standing` first, and again after any error."""

    def __init__(self, server: Client, projection: str, source: str) -> None:
        self._server = server.jetstream(timeout=ANSWER_SECONDS)
        self._name = f"consent-{projection}"
        self._subject = f"consent.{projection}"
        self._source = source
        #: The sequence number of the last message.
        self._last = 0

    @property
    def next(self) -> int:
        """The sequence number of the next message."""
        return self._last + 1

    async def standing(self) -> CloudEvent | None:
        """The last message; makes the stream where it is missing. `Refused` where it is not of this source."""
        try:
            info = await self._server.stream_info(self._name)
        except NotFoundError:
            config = StreamConfig(name=self._name, subjects=[self._subject], retention=RetentionPolicy.LIMITS)
            info = await self._server.add_stream(config)
        if info.config.subjects != [self._subject]:
            raise Refused(
                f"expected the stream {self._name} with the subject {self._subject} alone, found "
                f"{info.config.subjects}; give the others a stream of their own"
            )
        self._last = info.state.last_seq
        if not info.state.messages:
            return None
        message = await self._server.get_msg(self._name, self._last)
        try:
            event = decode(message.data or b"")
        except msgspec.MsgspecError:
            raise Refused(
                f"expected the last message of the stream {self._name} to be a relay's, found another; purge the stream"
            ) from None
        if event.source != self._source:
            raise Refused(
                f"expected a stream of {self._source}, found one of {event.source}; relay to another server or "
                "account, or purge the stream: positions of one ledger say nothing of another"
            )
        return event

    async def append(self, events: Iterator[CloudEvent], is_over: Callable[[], bool]) -> None:
        """Stores them, each right after the one before, until `is_over`; `NatsError` where others came between."""
        while chunk := list(islice(events, IN_FLIGHT)):
            # What the first comes after is known to be there, so its number says all.
            before = [None, *chunk]
            sent = [self._send(event, self._last + number, before[number]) for number, event in enumerate(chunk)]
            await asyncio.gather(*sent)
            self._last += len(chunk)
            if is_over():
                return

    async def _send(self, event: CloudEvent, last: int, before: CloudEvent | None) -> None:
        """Stores it after the message of the number `last`, which, if it is not known to be there, must be `before`:
        another relay may have stored its own under that number meanwhile."""
        headers = {
            "Nats-Msg-Id": _name_of(event),
            "Nats-Expected-Last-Sequence": str(last),
            "Content-Type": CONTENT_TYPE,
        }
        if before is not None:
            # Only then: a server that was started again may have forgotten the id of a last message of long ago.
            headers["Nats-Expected-Last-Msg-Id"] = _name_of(before)
        answer = await self._server.publish(self._subject, encode(event), stream=self._name, headers=headers)
        if answer.seq != last + 1:
            raise NatsError(f"expected the message at {last + 1}, found it at {answer.seq}")


def _name_of(event: CloudEvent) -> str:
    """The same from every relay of a ledger, and no other event's."""
    return f"{event.source}/{event.id}"
