"""What is meant where a purpose, or a kind of items, is left out (design, section 10)."""

from __future__ import annotations

from ledger.domain.terms import Catalogue
from ledger.errors import InvalidInput


def purpose_meant(catalogue: Catalogue, given: str | None) -> str:
    """The purpose given, or the one that the published terms name; `InvalidInput` where there are others or none."""
    named = list(dict.fromkeys(purpose for terms in catalogue.all() for purpose in terms.purpose_ids))
    if not named:
        raise InvalidInput("expected published terms, found none; publish some with `consent terms publish`")
    if given is None and len(named) == 1:
        return named[0]
    if given is None:
        raise InvalidInput(f"expected one of the purposes {', '.join(named)}, found none given; name one")
    if given not in named:
        raise InvalidInput(f"expected a purpose of the published terms ({', '.join(named)}), found {given!r}")
    return given


def kind_meant(catalogue: Catalogue, purpose: str, given: str | None) -> str:
    """The kind given, or the first of the purpose, as the terms published last describe it."""
    if given is not None:
        return given
    described = [found for terms in catalogue.all() if (found := terms.purpose(purpose)) is not None]
    return described[-1].data[0]
