"""`consent witness`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.session import Session


@click.command()
@click.option(
    "--key", "key_file", type=click.Path(path_type=Path), required=True, help="The witness's own key: a file."
)
@click.option("--log", "logs", multiple=True, required=True, metavar="VKEY", help="A log to watch; may be repeated.")
@click.option(
    "--state", type=click.Path(path_type=Path), required=True, help="A folder for what was cosigned; never lose it."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 takes a free one.")
@click.pass_obj
def command(session: Session, key_file: Path, logs: tuple[str, ...], state: Path, host: str, port: int) -> None:
    """Run a witness: it cosigns checkpoints of these logs, each only if it extends the last.

    It holds no ledger and needs none. Submissions go to POST /add-checkpoint (C2SP tlog-witness).
    """
    from ledger.errors import InvalidInput, Unavailable
    from ledger.keyring import read_key
    from ledger.proof.note import COSIGNATURE, ED25519, parse_vkey
    from ledger.witness.server import Witness, serve
    from ledger.witness.state import WitnessState

    key = read_key(key_file)
    if key.verifier.type != COSIGNATURE:
        raise InvalidInput(
            f"expected a key that cosigns at {key_file}, found one of another role; make one with `consent keys new`"
        )
    watched = [parse_vkey(log) for log in logs]
    for log in watched:
        if log.type != ED25519:
            raise InvalidInput(
                f"expected the verifier key of a log, found one that cosigns: {log.name}; ask for its own"
            )
    try:
        server = serve(Witness(key, watched, WitnessState(state)), host, port)
    except OSError as error:
        raise Unavailable(f"expected to listen on {host} port {port}, found: {error.strerror}; take another") from None
    with server:
        url = f"http://{host}:{server.server_address[1]}"
        session.result(
            {"url": url, "witness": key.verifier.text},
            f"witness {key.verifier.name} listens at {url}\n{key.verifier.text}",
        )
        sys.stdout.flush()
        server.serve_forever()
