"""`consent serve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.session import Session

if TYPE_CHECKING:
    from ledger.service.background import Part

#: What the service runs beside its requests, as `ledger.service.background` names it.
PARTS: tuple[Part, ...] = ("sequencer", "projections")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8786, show_default=True, help="0 takes a free one.")
@click.option("--certificate", type=click.Path(path_type=Path), metavar="FILE", help="Speak TLS, with this chain.")
@click.option("--certificate-key", type=click.Path(path_type=Path), metavar="FILE", help="The certificate's key.")
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy in front that speaks TLS and says who asks (X-Forwarded-For); may be repeated.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    default=500.0,
    show_default=True,
    help="Requests a second for each token.",
)
@click.option(
    "--without",
    type=click.Choice(PARTS),
    multiple=True,
    help="Not beside it: another process runs `consent sequence --follow`, or another `consent serve`.",
)
@click.pass_obj
def command(
    session: Session,
    host: str,
    port: int,
    certificate: Path | None,
    certificate_key: Path | None,
    proxies: tuple[str, ...],
    rate: float,
    without: tuple[Part, ...],
) -> None:
    """Serve the ledger over HTTP until interrupted, and run the sequencer and the projections beside it.

    It listens on this machine alone unless it is given a certificate or stands behind a trusted proxy. Who may ask is
    said by `consent tokens`. It logs to standard error, a line of JSON each, and nothing about people.
    """
    try:
        from ledger.service.server import Listening, serve
    except ModuleNotFoundError as missing:
        from ledger.errors import Unavailable

        raise Unavailable(
            f"expected the packages of the service, found no {missing.name}; install consent-ledger[server]"
        ) from None
    from ledger.service.limits import Limits
    from ledger.service.logs import start_logging

    listening = Listening(host, port, certificate, certificate_key, proxies)
    listening.check()
    start_logging()

    def told(url: str) -> None:
        session.result({"url": url}, f"serving at {url}")
        sys.stdout.flush()

    with session.ledger() as ledger:
        serve(ledger, listening, Limits(rate=rate), [part for part in PARTS if part not in without], told)
