"""Terms are data: a TOML document in, the data of a `terms-published` entry out (design, section 3)."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.domain.names import MOST_NAMES, Free, Name, Text
from ledger.domain.times import DURATION_PATTERN, start_of_day
from ledger.errors import InvalidTerms

Toggle = Literal["on", "off"]
Toggles = Annotated[dict[Name, Toggle], Meta(min_length=1, max_length=MOST_NAMES)]
Duration = Annotated[str, Meta(pattern=DURATION_PATTERN)]
Day = Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]


class Notice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands above the toggles, word for word."""

    provider: Text
    text: Text
    accept: Text


class Purpose(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing data may be used for, with its toggle; `data` are the kinds of items it covers."""

    id: Name
    wording: Text
    settings_wording: Text
    data: Annotated[list[Name], Meta(min_length=1, max_length=MOST_NAMES)]
    default: Toggle


class Retention(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    when_on: Duration
    when_off: Duration


class Terms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published version of the rules. Every field but `amends` is required: no rule about people is hidden."""

    version: Name
    title: Text
    announced: Day
    effective: Day
    decide_by: Day
    plans: Annotated[list[Free], Meta(min_length=1, max_length=MOST_NAMES)]
    grant: Literal["future-data"]
    withdrawal: Literal["future-data", "future-runs"]
    untouched_default: Literal["permitted", "refused"]
    notice: Notice
    purposes: Annotated[list[Purpose], Meta(min_length=1, max_length=MOST_NAMES)]
    retention: Retention
    amends: Name | UnsetType = UNSET

    def __post_init__(self) -> None:
        for what, names in [
            ("purposes", [purpose.id for purpose in self.purposes]),
            ("plans", self.plans),
            *((f"data of {purpose.id}", purpose.data) for purpose in self.purposes),
        ]:
            if len(set(names)) != len(names):
                raise ValueError(f"expected {what} without repeats, found {names}")
        for field in ("announced", "effective", "decide_by"):
            day = getattr(self, field)
            try:
                since_1970 = start_of_day(day).year >= 1970
            except ValueError:
                since_1970 = False
            if not since_1970:
                raise ValueError(f"expected a day of the calendar since 1970 as `{field}`, found {day!r}")

    def purpose(self, purpose_id: str) -> Purpose | None:
        return next((purpose for purpose in self.purposes if purpose.id == purpose_id), None)

    @property
    def purpose_ids(self) -> list[str]:
        return [purpose.id for purpose in self.purposes]

    @property
    def deadline(self) -> datetime:
        return start_of_day(self.decide_by)

    def notice_hash(self) -> str:
        """`notice` of `terms-shown`: the digest of the wording, in hex (FORMATS.md section 2)."""
        wordings = [purpose.wording for purpose in self.purposes]
        return hashlib.sha256("\n".join([self.notice.text, *wordings, self.notice.accept]).encode()).hexdigest()


class Catalogue:
    """The published terms, by version, in the order of their publication. Never changed: `with_terms` makes another."""

    def __init__(self, published: Iterable[Terms] = ()) -> None:
        self._by_version: Mapping[str, Terms] = {terms.version: terms for terms in published}

    def get(self, version: str) -> Terms | None:
        return self._by_version.get(version)

    def all(self) -> list[Terms]:
        return list(self._by_version.values())

    def names_purpose(self, purpose_id: str) -> bool:
        return any(terms.purpose(purpose_id) for terms in self._by_version.values())

    def deadline_of(self, version: str) -> datetime | None:
        """When a person shown `version` had to decide by: its own day, or that of its newest amendment."""
        versions, deadline = {version}, None
        for terms in self._by_version.values():
            if terms.version in versions or terms.amends in versions:
                versions.add(terms.version)
                deadline = terms.deadline
        return deadline

    def with_terms(self, terms: Terms) -> Catalogue:
        return Catalogue([*self._by_version.values(), terms])

    def with_rules_of(self, other: Terms) -> Catalogue:
        """Every version kept by name, judged by the rules of `other`: what if the rule had been another?"""
        return Catalogue(
            msgspec.structs.replace(other, version=terms.version, amends=terms.amends)
            for terms in self._by_version.values()
        )


def parse_terms(document: str) -> Terms:
    """Terms from a TOML document; `InvalidTerms` says what is missing, unknown or wrong, and where."""
    try:
        return msgspec.convert(_dates_as_text(tomllib.loads(document)), Terms)
    except tomllib.TOMLDecodeError as error:
        raise InvalidTerms(f"expected terms as a TOML document, found: {error}") from None
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidTerms(f"expected terms as the example shows them, found: {error}") from None


def _dates_as_text(value: Any) -> Any:
    """TOML's dates as entries write them; a date with a time of day means no day and is refused later, as it stands."""
    match value:
        case dict():
            return {key: _dates_as_text(inner) for key, inner in value.items()}
        case list():
            return [_dates_as_text(inner) for inner in value]
        case datetime():
            return value
        case date():
            return value.isoformat()
        case _:
            return value
