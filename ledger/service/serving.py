"""What every route is given: the ledger, the limits, and who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from ledger.application import ConsentLedger
from ledger.errors import ConsentLedgerError
from ledger.keyring import read_keyring
from ledger.service.gathering import Gathering
from ledger.service.limits import (
    FOLLOWING_THREADS,
    QUICK_THREADS,
    REFUSALS_A_SECOND,
    SLOW_THREADS,
    Limits,
    Rate,
    Work,
)
from ledger.service.metrics import Metrics
from ledger.service.problems import Problem, problem_of
from ledger.service.scopes import Scope
from ledger.service.tails import Tails
from ledger.service.tokens import Caller, NoToken, Tokens, token_of
from ledger.store.tokens import StoredToken, find_token

A = TypeVar("A")
B = TypeVar("B")

#: Where the transport names no address, as between processes of one machine.
NO_ADDRESS = "-"


class Service:
    """One process of the service, over one open ledger. All but the threads' work is the event loop's alone."""

    def __init__(self, ledger: ConsentLedger, limits: Limits) -> None:
        self.ledger = ledger
        self.limits = limits
        self.metrics = Metrics()
        self.quick = Work("quick", QUICK_THREADS)
        self.slow = Work("slow", SLOW_THREADS)
        self.following = Work("following", FOLLOWING_THREADS)
        self._gatherings: dict[Callable[..., Any], Gathering[Any, Any]] = {}
        self.tails = Tails(ledger)
        self._asking_again = asyncio.Lock()
        self.tokens = Tokens(self._find_token)
        self.rate = Rate(limits.rate)
        self.refusals = Rate(REFUSALS_A_SECOND)
        place, identity = ledger.place, ledger.identity
        self.receipts_key = read_keyring(place.state, identity.id, identity.origin).receipts
        #: What goes on beside the requests, by name: whether it is alive.
        self.background: dict[str, Callable[[], bool]] = {}

    def _find_token(self, digest: bytes) -> tuple[StoredToken, float] | None:
        with self.ledger.connection() as connection:
            found = find_token(connection, digest)
        if found is None:
            return None
        stored, now = found
        return stored, (stored.expires - now).total_seconds()

    async def together(self, answer: Callable[[Service, Sequence[A]], Sequence[B | Exception]], asked: A) -> B:
        """What `answer` has for this one, in a thread, for all that wait for the same."""
        if answer not in self._gatherings:
            self._gatherings[answer] = Gathering(self.quick, partial(answer, self))
        found: B = await self._gatherings[answer].ask(asked)
        return found

    async def caller(self, request: Request) -> Caller:
        """Who asks; `Problem` where nobody does who is let in, or too often."""
        address = request.client.host if request.client else NO_ADDRESS
        try:
            token = token_of(only(request, "authorization"))
            caller = self.tokens.remembered(token)
            if caller is None:
                self.refusals.demand(address)
                caller = await self.quick.run(self.tokens.caller, token)
        except NoToken as refusal:
            self.refusals.take(address)
            raise _no_token(refusal) from None
        self.rate.take(f"token {caller.name}")
        return caller

    async def demand_again(self, request: Request, *scopes: Scope) -> None:
        """Whether whoever began a stream may still have it; `Problem` where the token lets nobody in any longer."""
        try:
            token = token_of(only(request, "authorization"))
            # One at a time: whoever asked a moment ago has asked for all streams of that token.
            async with self._asking_again:
                caller = self.tokens.remembered(token)
                if caller is None:
                    caller = await self.following.run(self.tokens.caller, token)
        except NoToken as refusal:
            raise _no_token(refusal) from None
        except ConsentLedgerError as error:
            raise problem_of(error) from None
        demand(caller, *scopes)

    def close(self) -> None:
        self.quick.close()
        self.slow.close()
        self.tails.close()
        self.following.close()


def _no_token(refusal: NoToken) -> Problem:
    return Problem(401, "no-token", str(refusal), {"WWW-Authenticate": "Bearer"})


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service: Service = request.app.state.service
    return service


def may(*scopes: Scope) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency: who asks, whose token has one of the scopes."""

    async def caller(request: Request) -> Caller:
        caller = await service_of(request).caller(request)
        demand(caller, *scopes)
        return caller

    return caller


def demand(caller: Caller, *scopes: Scope) -> None:
    """`Problem` where the caller has none of the scopes."""
    if not caller.scopes.intersection(scopes):
        named = " or ".join(scopes)
        raise Problem(
            403,
            "scope",
            f"expected a token with the scope {named}, found one without; ask for another",
            {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'},
        )


async def _the_service(request: Request) -> Service:
    # A dependency that is no coroutine costs a thread each time.
    return service_of(request)


async def anybody(request: Request) -> None:
    """A dependency of what is public: not too often from one address."""
    service_of(request).rate.take(f"address {request.client.host if request.client else NO_ADDRESS}")


def only(request: Request, name: str) -> str | None:
    """A header that stands once, or not at all; which of two counts is a matter of who reads them."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise Problem(400, "repeated-header", f"expected the header {name} once, found it {len(values)} times")
    return values[0] if values else None


TheService = Annotated[Service, Depends(_the_service)]
Public = Annotated[None, Depends(anybody)]
