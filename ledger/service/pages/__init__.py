"""The pages that people see: the pop-up, the privacy settings, and what operators look at (design, section 11)."""

from __future__ import annotations

from fastapi import APIRouter

from ledger.service.pages import assets, downloads, history, opening, operators, pop_up, settings

#: Pages are no part of the API, and its document does not name them.
PAGES: tuple[APIRouter, ...] = (
    opening.router,
    pop_up.router,
    settings.router,
    history.router,
    downloads.router,
    operators.router,
    assets.router,
)
