"""A witness that runs, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.proof.note import VerifierKey
from ledger.witness.server import Witness, serve
from ledger.witness.state import WitnessState
from tests.witness.logs import WITNESS_KEY


@contextmanager
def running_witness(folder: Path, log: VerifierKey) -> Iterator[str]:
    """A witness of one log, and its URL."""
    state = WitnessState(folder)
    server = serve(Witness(WITNESS_KEY, [log], state), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
    state.close()
