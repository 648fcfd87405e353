"""Terms: both shipped examples, and a document that lacks, adds or mistakes something."""

from __future__ import annotations

import hashlib
import tomllib
from datetime import date, datetime
from typing import Any

import pytest
from msgspec import UNSET, structs

from ledger.domain.entry import canonical
from ledger.domain.terms import Catalogue, Terms, parse_terms
from ledger.errors import InvalidTerms
from tests.domain.given import EXAMPLES, SHIPPED, TRAINING, catalogue, terms

DOCUMENT = (EXAMPLES / "2025-09-28.toml").read_text()
REQUIRED = [
    "version",
    "title",
    "announced",
    "effective",
    "decide_by",
    "plans",
    "grant",
    "withdrawal",
    "untouched_default",
    "notice",
    "notice.provider",
    "notice.text",
    "notice.accept",
    "purposes",
    "purposes.id",
    "purposes.wording",
    "purposes.settings_wording",
    "purposes.data",
    "purposes.default",
    "retention",
    "retention.when_on",
    "retention.when_off",
]


def test_the_announced_terms_say_what_was_announced() -> None:
    assert SHIPPED.version == "2025-09-28"
    assert (SHIPPED.announced, SHIPPED.effective, SHIPPED.decide_by) == (
        "2025-08-28",
        "2025-09-28",
        "2025-09-28",
    )
    assert SHIPPED.plans == ["free", "pro", "max"]
    assert (SHIPPED.grant, SHIPPED.withdrawal) == ("future-data", "future-data")
    assert SHIPPED.untouched_default == "permitted"
    assert SHIPPED.purpose_ids == [TRAINING]
    assert SHIPPED.purposes[0].data == ["chat", "coding-session"]
    assert SHIPPED.purposes[0].default == "on"
    assert (SHIPPED.retention.when_on, SHIPPED.retention.when_off) == ("P5Y", "P30D")
    assert SHIPPED.amends is UNSET


def test_the_second_example_differs_in_the_withdrawal_and_the_version_alone() -> None:
    other = parse_terms((EXAMPLES / "2025-09-28-future-runs.toml").read_text())
    assert other.withdrawal == "future-runs"
    assert structs.replace(other, version=SHIPPED.version, withdrawal="future-data") == SHIPPED


def test_the_notice_has_a_known_hash() -> None:
    # FORMATS.md section 2: notice text, each purpose's wording in the terms' order, the accept label.
    assert SHIPPED.notice_hash() == "4c863debc179dfafe9fac940b49b85e2bec5e758be25c40f6299fd0133c376c6"
    two = terms(purposes={"b": ["chat"], "a": ["chat"]})
    words = f"{SHIPPED.notice.text}\nUse it for b\nUse it for a\nAccept"
    assert two.notice_hash() == hashlib.sha256(words.encode()).hexdigest()


def test_terms_become_the_document_as_json() -> None:
    def as_text(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: as_text(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [as_text(inner) for inner in value]
        return value.isoformat() if isinstance(value, date) else value

    assert canonical(SHIPPED) == canonical(as_text(tomllib.loads(DOCUMENT)))


def _toml(document: dict[str, Any]) -> str:
    """The document as TOML again; enough of it for terms."""
    plain = {key: value for key, value in document.items() if not _is_table(value)}
    tables = {key: value for key, value in document.items() if _is_table(value)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in tables.items():
        for table in value if isinstance(value, list) else [value]:
            lines.append(f"[[{key}]]" if isinstance(value, list) else f"[{key}]")
            lines += [f"{name} = {_value(inner)}" for name, inner in table.items()]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return canonical(value).decode()


def _with(place: str, value: Any, *, remove: bool = False) -> str:
    """The shipped document with another value at one place, or without it."""
    document = tomllib.loads(DOCUMENT)
    *tables, name = place.split(".")
    holder = document
    for table in tables:
        holder = holder[table][0] if isinstance(holder[table], list) else holder[table]
    if remove:
        del holder[name]
    else:
        holder[name] = value
    return _toml(document)


def _refusal(document: str) -> str:
    with pytest.raises(InvalidTerms) as refused:
        parse_terms(document)
    message = str(refused.value)
    assert message.startswith("expected terms as ")
    assert "\n" not in message
    return message


def test_the_document_written_anew_is_the_same_terms() -> None:
    assert parse_terms(_toml(tomllib.loads(DOCUMENT))) == SHIPPED


@pytest.mark.parametrize("place", REQUIRED)
def test_every_field_but_amends_is_required(place: str) -> None:
    *tables, name = place.split(".")
    message = _refusal(_with(place, None, remove=True))
    assert f"missing required field `{name}`" in message
    for table in tables:
        assert f"$.{table}" in message


def test_the_list_of_required_fields_is_complete() -> None:
    document = tomllib.loads(DOCUMENT)
    inner = {"notice": document["notice"], "purposes": document["purposes"][0], "retention": document["retention"]}
    places = [*document, *(f"{table}.{name}" for table, fields in inner.items() for name in fields)]
    assert sorted(places) == sorted(REQUIRED)


@pytest.mark.parametrize("place", ["basis", "notice.colour", "purposes.note", "retention.when_paused"])
def test_an_unknown_field_is_refused(place: str) -> None:
    message = _refusal(_with(place, "something"))
    assert f"unknown field `{place.split('.')[-1]}`" in message
    if "." in place:
        assert f"$.{place.split('.')[0]}" in message


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("version", 20250928),
        ("version", "2025 09 28"),
        ("version", ""),
        ("version", "v" * 129),
        ("title", ""),
        ("title", ["Updates"]),
        ("announced", "28 August 2025"),
        ("announced", "2025-02-30"),
        ("announced", date(1969, 12, 31)),
        ("effective", "2025-9-28"),
        ("decide_by", datetime(2025, 9, 28)),  # noqa: DTZ001 - a day with a time of day is no day
        ("plans", []),
        ("plans", ["free", "free"]),
        ("plans", ["free", ""]),
        ("plans", "free"),
        ("plans", [f"plan-{number}" for number in range(65)]),
        ("grant", "past-data"),
        ("withdrawal", "future"),
        ("untouched_default", True),
        ("untouched_default", "asked"),
        ("amends", ""),
        ("notice", "Accept"),
        ("notice.text", ""),
        ("notice.accept", 1.5),
        ("purposes", []),
        ("purposes.id", "model training"),
        ("purposes.data", []),
        ("purposes.data", ["chat", "chat"]),
        ("purposes.data", ["chats & more"]),
        ("purposes.default", "On"),
        ("purposes.default", True),
        ("retention.when_on", "5 years"),
        ("retention.when_on", "P1Y6M"),
        ("retention.when_off", 30),
        ("retention.when_off", "P030D"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(place: str, value: object) -> None:
    message = _refusal(_with(place, value))
    # A rule about a whole list or a day of the calendar names it in words.
    name = place.split(".")[-1]
    assert f"$.{place.split('.')[0]}" in message or f"`{name}`" in message or f"{name} " in message


def test_a_purpose_named_twice_is_refused() -> None:
    document = tomllib.loads(DOCUMENT)
    assert "purposes without repeats" in _refusal(_toml({**document, "purposes": document["purposes"] * 2}))


@pytest.mark.parametrize("document", ["version =", "a = 1\na = 2\n", "[[[", "a = " + "[" * 2000])
def test_what_is_no_toml_is_refused(document: str) -> None:
    _refusal(document)


def test_amends_is_optional() -> None:
    assert parse_terms(_with("amends", "2025-08-28")).amends == "2025-08-28"


def test_texts_may_hold_what_names_may_not() -> None:
    text = "Zwei Zeilen,\nund ein Tab:\t„ja“ \U0001f600"
    assert parse_terms(_with("notice.text", text)).notice.text == text


def _deadline(published: Catalogue, version: str) -> str | None:
    deadline = published.deadline_of(version)
    return deadline.date().isoformat() if deadline else None


def test_the_deadline_is_that_of_the_newest_amendment() -> None:
    first = terms("a", decide_by="2025-09-28")
    moved = terms("b", amends="a", decide_by="2025-10-08")
    again = terms("c", amends="b", decide_by="2025-10-01")
    other = terms("d", decide_by="2026-01-15")
    published = catalogue(first, other, moved, again)
    assert [_deadline(published, version) for version in "abcde"] == [
        "2025-10-01",
        "2025-10-01",
        "2025-10-01",
        "2026-01-15",
        None,
    ]
    assert _deadline(catalogue(first, moved), "a") == "2025-10-08"
    assert _deadline(catalogue(first), "a") == "2025-09-28"


def test_a_catalogue_keeps_the_order_of_publication_and_is_never_changed() -> None:
    before = catalogue(terms("b"))
    after = before.with_terms(terms("a"))
    assert [one.version for one in after.all()] == ["b", "a"]
    assert [one.version for one in before.all()] == ["b"]
    assert before.get("a") is None
    assert after.names_purpose(TRAINING)
    assert not after.names_purpose("research")


def test_the_rules_of_other_terms_keep_names_and_amendments() -> None:
    published = catalogue(terms("a"), terms("b", amends="a"))
    what_if = published.with_rules_of(terms("c", withdrawal="future-runs", amends="z"))
    assert [(one.version, one.amends, one.withdrawal) for one in what_if.all()] == [
        ("a", UNSET, "future-runs"),
        ("b", "a", "future-runs"),
    ]
    first: Terms | None = published.get("a")
    assert first is not None
    assert first.withdrawal == "future-data"
