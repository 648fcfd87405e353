"""Tokens: what one looks like, who stands behind it, and how soon a revocation counts."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from ledger.service import tokens
from ledger.service.tokens import Caller, NoToken, Tokens, digest_of, new_token, token_of
from ledger.store.tokens import StoredToken

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Table:
    """The database's table, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.known: dict[bytes, tuple[StoredToken, float]] = {}

    def add(self, token: str, expires_in: float = 1e6, revoked: datetime | None = None) -> None:
        digest = digest_of(token)
        self.known[digest] = StoredToken(digest, "product", frozenset({"read"}), NOW, NOW, revoked), expires_in

    def find(self, digest: bytes) -> tuple[StoredToken, float] | None:
        self.asked += 1
        return self.known.get(digest)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The one element is what time it is."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_token_is_a_prefix_and_32_random_bytes_and_its_digest_is_sha_256() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    for token in made:
        assert token_of(f"Bearer {token}") == token
        assert digest_of(token) == hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer consent_short",
        f"Bearer consent_{'a' * 44}",
        f"Bearer  consent_{'a' * 43}",
        f"Bearer consent_{'a' * 43} ",
        f"Bearer consent_{'a' * 42}\u00e9",
        f"Token consent_{'a' * 43}",
    ],
)
def test_other_headers_are_no_token_and_are_not_repeated(header: str | None) -> None:
    with pytest.raises(NoToken) as refused:
        token_of(header)
    assert "aaaa" not in str(refused.value)
    assert "dXNl" not in str(refused.value)


def test_the_scheme_is_written_as_anybody_likes() -> None:
    token = new_token()
    assert token_of(f"bearer {token}") == token_of(f"BEARER {token}") == token


def test_who_was_let_in_is_remembered_for_a_second_and_no_longer(clock: list[float]) -> None:
    table, token = Table(), new_token()
    table.add(token)
    known = Tokens(table.find)
    assert known.remembered(token) is None
    assert known.caller(token) == known.remembered(token) == Caller("product", frozenset({"read"}))
    assert table.asked == 1
    table.add(token, revoked=NOW)
    clock[0] += tokens.REMEMBER_SECONDS
    assert known.remembered(token) is None
    with pytest.raises(NoToken, match="revoked"):
        known.caller(token)


def test_nobody_is_remembered_beyond_the_end(clock: list[float]) -> None:
    table, token = Table(), new_token()
    table.add(token, expires_in=0.25)
    known = Tokens(table.find)
    known.caller(token)
    clock[0] += 0.25
    assert known.remembered(token) is None
    table.add(token, expires_in=0)
    with pytest.raises(NoToken, match="expired"):
        known.caller(token)


def test_a_token_of_nobody() -> None:
    with pytest.raises(NoToken, match="of this ledger"):
        Tokens(Table().find).caller(new_token())


def test_no_more_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_REMEMBERED", 2)
    table, made = Table(), [new_token() for _ in range(3)]
    known = Tokens(table.find)
    for token in made:
        table.add(token)
        known.caller(token)
        known.remembered(made[0])  # used last, so another goes
    assert [known.remembered(token) is not None for token in made] == [True, False, True]
