"""Where the ledger is, from the command line and the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.settings import Place, place_of


def test_a_directory_keeps_its_own_state() -> None:
    assert place_of("some/where", {}) == Place(None, Path("some/where"), Path("some/where/state"))


def test_the_option_before_the_environment_before_the_default() -> None:
    environment = {"CONSENT_LEDGER": "from-environment"}
    assert place_of("named", environment).directory == Path("named")
    assert place_of(None, environment).directory == Path("from-environment")
    assert place_of(None, {}).directory == place_of(None, {"CONSENT_LEDGER": ""}).directory == Path("consent-ledger")


@pytest.mark.parametrize("url", ["postgresql://db/consent", "postgres://db/consent"])
def test_a_url_keeps_its_state_at_home(url: str) -> None:
    assert place_of(url, {"XDG_STATE_HOME": "/state"}) == Place(url, None, Path("/state/consent-ledger"))
    assert place_of(url, {}).state == Path.home() / ".local" / "state" / "consent-ledger"


@pytest.mark.parametrize("named", ["directory", "postgresql://db/consent"])
def test_state_may_lie_elsewhere(named: str) -> None:
    assert place_of(named, {"CONSENT_STATE": "/secrets"}).state == Path("/secrets")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://db/consent", "postgresql://db/consent"),
        ("postgresql://anna:secret@db:5433/consent", "postgresql://db:5433/consent"),
        ("postgresql://anna:p@ss@db/consent", "postgresql://db/consent"),
        ("postgresql:///consent?host=/run&password=secret", "postgresql:///consent"),
        ("postgresql://anna:secret@db/consent?application_name=a@b", "postgresql://db/consent"),
    ],
)
def test_no_message_names_a_password(url: str, name: str) -> None:
    assert place_of(url, {}).name == name
    assert place_of("directory", {}).name == "directory"
