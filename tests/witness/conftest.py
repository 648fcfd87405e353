"""A witness that runs, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.witness.server import Witness, serve
from ledger.witness.state import WitnessState
from tests.witness.logs import LOG_KEY, WITNESS_KEY


@pytest.fixture
def witness_url(tmp_path: Path) -> Iterator[str]:
    state = WitnessState(tmp_path / "witness")
    server = serve(Witness(WITNESS_KEY, [LOG_KEY.verifier], state), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
    state.close()
