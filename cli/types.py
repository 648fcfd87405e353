"""Parameters that are more than text."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import click

from ledger.domain.names import is_free, is_name
from ledger.domain.times import parse_given_time
from ledger.errors import InvalidInput


class Moment(click.ParamType[datetime]):
    """A time with an offset, to the microsecond."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return value if isinstance(value, datetime) else parse_given_time(value)
        except InvalidInput as error:
            self.fail(str(error), param, ctx)


class Name(click.ParamType[str]):
    """A run id, a purpose, a kind or a version of terms (FORMATS.md section 1)."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_name(value):
            self.fail(f"expected up to 128 letters, digits, dots, hyphens and underscores, found {value!r}", param, ctx)
        return str(value)


class Free(click.ParamType[str]):
    """A free string of an event: a surface, a plan, a locale, a reason (FORMATS.md section 1)."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_free(value):
            self.fail(f"expected 1 to 256 characters without control characters, found {value[:40]!r}", param, ctx)
        return str(value)


class Age(click.ParamType[timedelta]):
    """How long something may be ago: a number and s, m, h or d."""

    name = "duration"
    _UNITS = MappingProxyType({"s": "seconds", "m": "minutes", "h": "hours", "d": "days"})
    _FORM = re.compile(r"([0-9]{1,6})([smhd])")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = self._FORM.fullmatch(value)
        if found is None:
            self.fail(f"expected a time like 90s, 30m, 12h or 7d, found {value[:40]!r}", param, ctx)
        return timedelta(**{self._UNITS[found[2]]: int(found[1])})


class Span(click.ParamType[str]):
    """How long something lasts in the calendar, at least a day: PnY, PnM, PnW or PnD (design, section 4)."""

    name = "duration"
    _FORM = re.compile(r"\AP[1-9][0-9]{0,4}[YMWD]\Z")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not self._FORM.match(value):
            self.fail(f"expected a duration like P1Y, P6M, P2W or P30D, found {value[:40]!r}", param, ctx)
        return str(value)


MOMENT = Moment()
NAME = Name()
FREE = Free()
AGE = Age()
SPAN = Span()
