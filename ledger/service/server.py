"""The server: uvicorn as this service needs it, from a bound socket to the last answer (design, section 11)."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from ledger.application import ConsentLedger
from ledger.errors import InvalidInput, Unavailable
from ledger.service.app import create_app
from ledger.service.background import PARTS, Part, beside
from ledger.service.limits import Limits
from ledger.service.protocol import protocol_of

#: For what is being answered when the service is told to stop; bundles take seconds, everything else far less.
SHUTDOWN_SECONDS = 10
#: Between two requests of one connection; then it is the client who connects anew.
IDLE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the service listens, and who in front of it is believed."""

    host: str = "127.0.0.1"
    #: 0 takes a free one.
    port: int = 8786
    certificate: Path | None = None
    key: Path | None = None
    #: Addresses of proxies, which speak TLS to the world and say who asks.
    proxies: Sequence[str] = ()

    def check(self) -> None:
        """Tokens and people never travel in the open: `InvalidInput` unless it is this machine, TLS or a proxy."""
        if (self.certificate is None) != (self.key is None):
            raise InvalidInput("expected a certificate and its key, found one of them; give both or neither")
        if self.certificate is None and not self.proxies and not _is_loopback(self.host):
            raise InvalidInput(
                f"expected a loopback address, found {self.host}, where others would read the tokens; "
                "give --certificate and --certificate-key, or --trusted-proxy for one that speaks TLS in front"
            )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    ledger: ConsentLedger,
    listening: Listening,
    limits: Limits,
    parts: Collection[Part] = PARTS,
    told: Callable[[str], object] = lambda _: None,
) -> None:
    """Serves until SIGINT or SIGTERM, then finishes what is being answered; `told` hears the URL once it is served."""
    listening.check()
    app = create_app(ledger, limits)
    service = app.state.service
    config = config_of(app, listening, limits)
    with bound_to(listening) as bound:
        try:
            with beside(ledger, parts) as background:
                service.background |= background
                Server(config, lambda: told(url_of(listening, bound))).run(sockets=[bound])
        finally:
            service.close()


def config_of(app: FastAPI, listening: Listening, limits: Limits) -> uvicorn.Config:
    """uvicorn's settings; `Unavailable` where the certificate cannot be used."""
    # Beside `access_log`, for whoever sets logging up anew: its lines have paths, and paths of pages have secrets.
    logging.getLogger("uvicorn.access").disabled = True
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol_of(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(listening.proxies),
        forwarded_allow_ips=list(listening.proxies),
        ssl_certfile=listening.certificate,
        ssl_keyfile=listening.key,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    try:
        config.load()
    except OSError as error:  # ssl's own errors are of this class
        raise Unavailable(f"expected a certificate and its key, found: {error.strerror or error}; check both") from None
    return config


@contextmanager
def bound_to(listening: Listening) -> Iterator[socket.socket]:
    """A socket, bound before anything else is begun."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            listening.host, listening.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.create_server(address[:2], family=family, backlog=2_048)
    except OSError as error:
        raise Unavailable(
            f"expected to listen on {listening.host} port {listening.port}, found: {error.strerror}; take another"
        ) from None
    with bound:
        yield bound


def url_of(listening: Listening, bound: socket.socket) -> str:
    """Where the service is to be asked."""
    scheme = "http" if listening.certificate is None else "https"
    host, port = bound.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn's server; a signal ends it and is then done with, so that whoever called it can clean up."""

    def __init__(self, config: uvicorn.Config, told: Callable[[], object]) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Streams never end by themselves: whoever follows goes on with another process, or this one's successor.
        if isinstance(self.config.app, FastAPI):
            self.config.app.state.service.tails.end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # no signal comes here
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
