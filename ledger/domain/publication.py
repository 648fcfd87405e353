"""Publishing terms: a version is published once (design, section 4, "Recording")."""

from __future__ import annotations

from msgspec import UNSET

from ledger.domain.terms import Catalogue, Terms
from ledger.errors import Refused


def decide_publication(catalogue: Catalogue, terms: Terms) -> list[Terms]:
    """The terms to publish: none where the same were already; `Refused` where the version has other content."""
    published = catalogue.get(terms.version)
    if published == terms:
        return []
    if published is not None:
        raise Refused(
            f"expected terms {terms.version} as they were published, found other content; "
            "publish it under a version of its own"
        )
    if terms.amends is not UNSET and catalogue.get(terms.amends) is None:
        raise Refused(f"expected `amends` to name published terms, found {terms.amends!r}; publish those first")
    return [terms]
