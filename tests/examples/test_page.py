"""The pieces of Python that docs/integrating.md shows, run against a real service."""

from __future__ import annotations

import re
from pathlib import Path

from ledger.application import ConsentLedger
from ledger.proof.promise import parse_receipt
from tests import builders as b
from tests.service.conftest import Served, serve, served

__all__ = ["serve", "served"]

PAGE = Path(__file__).parents[2] / "docs" / "integrating.md"


def test_what_the_page_shows(ledger: ConsentLedger, served: Served) -> None:
    b.grant(ledger, "alice@example.org")
    kept: list[bytes] = []
    shown = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) == 2
    for one in shown:
        names = {
            "token": served.token("read", "record"),
            "stream": ledger.subject("alice@example.org").stream,
            "collected": ledger.clock.now(),
            "keep": kept.append,
        }
        exec(one.replace("https://consent.example", served.url), names)  # noqa: S102 - our own
    assert parse_receipt(kept[0]).entry == b.whole_log(ledger.place)[-1][3]
