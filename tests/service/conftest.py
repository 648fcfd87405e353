"""A real server on a real database: uvicorn in a thread of this process, over a ledger of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest

from ledger.application import ConsentLedger
from ledger.service.app import create_app
from ledger.service.limits import Limits
from ledger.service.scopes import SCOPES, Scope
from ledger.service.server import Listening, Server, bound_to, config_of, url_of
from ledger.service.tokens import digest_of, new_token
from ledger.settings import Place
from ledger.store.database import connect
from ledger.store.tokens import add_token
from tests import builders as b

#: Until a test gives up on the service; none needs a tenth of it.
SECONDS = 60


class Served:
    """One running service, and how to ask it."""

    def __init__(self, url: str, place: Place) -> None:
        self.url = url
        self.place = place
        self._token_number = 0

    def token(self, *scopes: Scope, expires: timedelta = timedelta(days=1), name: str | None = None) -> str:
        """A fresh token with these scopes, else with all."""
        self._token_number += 1
        token = new_token()
        with b.admin(self.place) as admin:
            clock = admin.execute("SELECT clock_timestamp()").fetchone()
        assert clock is not None
        with connect(self.place.url or "", "the ledger", "consent_tokens") as connection:
            named = name or f"test-{self._token_number}"
            add_token(connection, digest_of(token), named, scopes or tuple(SCOPES), clock[0] + expires)
        return token

    def client(self, *scopes: Scope, token: str | None = None) -> httpx.Client:
        """A client whose token has these scopes, else all; `token=""` is none."""
        token = self.token(*scopes) if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)


Serve = Callable[..., Served]


@pytest.fixture
def serve(ledger: ConsentLedger, ledger_place: Place) -> Iterator[Serve]:
    """Starts a service with these limits; it is stopped after the test."""
    with ExitStack() as running:

        def start(**given: Any) -> Served:
            listening, limits = Listening(port=0), Limits(**given)
            app = create_app(ledger, limits)
            running.callback(app.state.service.close)
            bound = running.enter_context(bound_to(listening))
            started = threading.Event()
            server = Server(config_of(app, listening, limits), started.set)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
            thread.start()
            running.callback(thread.join, SECONDS)
            running.callback(setattr, server, "should_exit", True)
            assert started.wait(SECONDS)
            return Served(url_of(listening, bound), ledger_place)

        yield start


@pytest.fixture
def served(serve: Serve) -> Served:
    """A service with the usual limits."""
    return serve()
