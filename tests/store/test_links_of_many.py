"""Links of many people who are held to be new, and the arrays that carry them."""

from __future__ import annotations

import psycopg
import pytest

from ledger.application import ConsentLedger
from ledger.domain.names import subject_stream
from ledger.domain.recording import Request
from ledger.settings import Place
from ledger.store import arrays
from ledger.store.identities import new_subject_ids
from ledger.store.keys import fingerprint, fingerprints
from tests.builders import TERMS, admin
from tests.domain import given


def test_who_is_linked_or_was_erased_is_not_linked_as_new(ledger: ConsentLedger) -> None:
    ledger.publish(TERMS)
    for name in ("ann", "bob"):
        ledger.record(name, Request(given.shown(TERMS)))
    ann = ledger.identities.find(["ann"])["ann"].subject_id
    ledger.erase("bob", "request")
    people = ["cem", "ann", "\u00fc", "bob", "dan"]
    ids = new_subject_ids(len(people))
    assert len(set(ids)) == len(people)
    assert ledger.identities.link_new(people, ids) == {"ann", "bob"}
    found = ledger.identities.find(people)
    assert [found[name].subject_id for name in people] == [ids[0], ann, ids[2], None, ids[4]]
    assert ledger.identities.link_new(["cem"], [ids[0]]) == set()  # a link that says the same is there


def test_two_people_never_have_one_subject_id(ledger: ConsentLedger, ledger_place: Place) -> None:
    (new_id,) = new_subject_ids(1)
    assert ledger.identities.link_new(["ann"], [new_id]) == set()
    assert ledger.identities.link_new(["bob"], [new_id]) == {"bob"}
    with admin(ledger_place) as connection, pytest.raises(psycopg.errors.UniqueViolation, match="stream"):
        connection.execute(
            "INSERT INTO ledger.identities (identity, subject_id, fingerprint) VALUES ('bob', %s, %s)",
            [new_id, b"\0" * 32],
        )
    assert subject_stream(new_id) == ledger.subject("ann").stream


def test_fingerprints_of_many_are_those_of_each() -> None:
    names = ["ann", "\u00fc", ""]
    assert fingerprints(b"secret", names) == [fingerprint(b"secret", name) for name in names]


@pytest.mark.parametrize("values", [[], [b""], [b"", b""], [b"a"], [b"ab", b"cd"], [b"ab", b"", b"\0"]])
def test_an_array_arrives_as_it_was_given(ledger_place: Place, values: list[bytes]) -> None:
    texts = [value.replace(b"\0", b"\xc3\xbc").decode() for value in values]
    with admin(ledger_place) as connection:
        arrays.register(connection)
        row = connection.execute(
            "SELECT %s::bytea[], %s::text[]", [arrays.of_bytes(values), arrays.of_texts(texts)]
        ).fetchone()
    assert row == (values, texts)
