"""What tests of witnesses are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import run_here
from tests.witness.logs import LOG_KEY
from tests.witness.running import running_witness

__all__ = ["run_here", "witness_url"]


@pytest.fixture
def witness_url(tmp_path: Path) -> Iterator[str]:
    with running_witness(tmp_path / "witness", LOG_KEY.verifier) as url:
        yield url
