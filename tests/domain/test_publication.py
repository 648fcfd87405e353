"""A version of terms is published once (design, section 4, "Recording")."""

from __future__ import annotations

import pytest

from ledger.domain.publication import decide_publication
from ledger.domain.terms import Catalogue
from ledger.errors import Refused
from tests.domain.given import SHIPPED, catalogue, terms


def test_new_terms_are_published() -> None:
    assert decide_publication(Catalogue(), SHIPPED) == [SHIPPED]


def test_the_same_file_again_does_nothing() -> None:
    assert decide_publication(catalogue(SHIPPED), terms()) == []


def test_other_content_under_the_same_version_is_refused() -> None:
    with pytest.raises(Refused, match=r"2025-09-28 as they were published.*version of its own"):
        decide_publication(catalogue(SHIPPED), terms(decide_by="2025-10-08"))


def test_an_amendment_is_a_new_version() -> None:
    moved = terms("2025-09-28-moved", amends=SHIPPED.version, decide_by="2025-10-08")
    assert decide_publication(catalogue(SHIPPED), moved) == [moved]


def test_an_amendment_of_terms_that_nobody_published_is_refused() -> None:
    with pytest.raises(Refused, match="'2025-09-28'; publish those first"):
        decide_publication(Catalogue(), terms("2025-09-28-moved", amends=SHIPPED.version))


def test_terms_that_amend_themselves_are_refused() -> None:
    with pytest.raises(Refused, match="publish those first"):
        decide_publication(Catalogue(), terms(amends=SHIPPED.version))
