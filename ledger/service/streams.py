"""An answer that goes on until one side leaves; who does not take what is sent is hung up on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Response
from starlette.types import Receive, Scope, Send

from ledger.service.logs import tell

MEDIA_TYPE = "text/event-stream"
#: What this service's protocol offers under the name: the connection ends at once, whatever waits to be sent.
HANG_UP = "consent.hang_up"
#: For one portion, which any network that can be used takes in a fraction of it.
SLOW_SECONDS = 10.0

_HEAD = {
    "type": "http.response.start",
    "status": 200,
    # The last one: a proxy of nginx's kind would else collect what is meant to be heard at once.
    "headers": [(b"content-type", MEDIA_TYPE.encode()), (b"x-accel-buffering", b"no")],
}


class Slow(Exception):
    """The subscriber takes less than there is: it is to connect again, and to resume from what it has."""


class EventStream(Response):
    """Sends portions as they come, each once the one before was taken, so that no more than one ever waits."""

    def __init__(self, portions: AsyncGenerator[bytes]) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        self._portions = portions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        except Slow:
            tell("a subscriber was too slow")
            if hang_up := (scope.get("extensions") or {}).get(HANG_UP):
                hang_up()
                await leaving
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        await send(_HEAD)
        async with aclosing(self._portions) as portions:
            async for portion in portions:
                try:
                    async with asyncio.timeout(SLOW_SECONDS):
                        await send({"type": "http.response.body", "body": portion, "more_body": True})
                except TimeoutError:
                    raise Slow from None
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
