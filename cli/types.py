"""Parameters that are more than text."""

from __future__ import annotations

from datetime import datetime
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


MOMENT = Moment()
NAME = Name()
FREE = Free()
