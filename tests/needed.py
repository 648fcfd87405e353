"""What a test needs of the system beside Python, and what happens where that is missing."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def leave_out(reason: str) -> NoReturn:
    """Leaves a test out, and says why, unless nothing may be left out."""
    if os.environ.get("CONSENT_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
