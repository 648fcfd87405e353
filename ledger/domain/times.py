"""Times as entries write them, and durations in the UTC calendar (FORMATS.md section 1; design, section 4)."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from ledger.errors import InvalidInput

#: Of a moment beyond the calendar's last, as `9999-12-31` + `P5Y` is, nothing later can be said than this.
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
#: Days of which it is remembered how long a duration from them is: the items of a run lie on some hundred days.
MOST_DAYS = 4_096

#: Hours and minutes are held here: some Pythons read 24:00 and +05:60, and every reader must agree.
_HOUR_MINUTE = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_CLOCK = rf"{_HOUR_MINUTE}:[0-5][0-9]"
TIME_PATTERN = rf"\A(?:19[7-9][0-9]|[2-9][0-9]{{3}})-[0-9]{{2}}-[0-9]{{2}}T{_CLOCK}\.[0-9]{{6}}Z\Z"
DURATION_PATTERN = r"\AP(?:0|[1-9][0-9]{0,4})[YMWD]\Z"

_TIME = re.compile(TIME_PATTERN)
_DURATION = re.compile(DURATION_PATTERN)
_GIVEN_TIME = re.compile(
    rf"\A([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})[Tt ]({_CLOCK})(?:\.([0-9]+))?([Zz]|[+-]{_HOUR_MINUTE})\Z"
)


def parse_time(text: str) -> datetime:
    """A time exactly as entries write it, `YYYY-MM-DDTHH:MM:SS.ffffffZ`; inverse of `format_time`."""
    if not _TIME.match(text):
        raise InvalidInput(f"expected a time like 2025-09-28T00:00:00.000000Z, found {text!r}")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"expected a time of the calendar, found {text!r}: {error}") from None


def format_time(moment: datetime) -> str:
    """The one way an entry writes a moment; inverse of `parse_time`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_given_time(text: str) -> datetime:
    """A time as people and other systems give it: RFC 3339 with an offset, at most six decimals."""
    found = _GIVEN_TIME.match(text)
    if not found:
        raise InvalidInput(f"expected a time with an offset like 2025-09-28T00:00:00Z, found {text!r}; add Z or +hh:mm")
    day, clock, fraction, offset = found.groups()
    if fraction is not None and len(fraction) > 6:
        raise InvalidInput(f"expected at most six decimals of a second, found {text!r}; cut it down")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{fraction or '0'}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"expected a time of the calendar, found {text!r}: {error}") from None
    if not FIRST_MOMENT <= moment <= LAST_MOMENT:
        raise InvalidInput(f"expected a year from 1970 to 9999, found {text!r}")
    return moment


def start_of_day(day: str) -> datetime:
    """The moment a date of the terms means: its first, in UTC."""
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=UTC)


def later(moment: datetime, by: timedelta) -> datetime:
    """`moment + by`, held inside the calendar."""
    try:
        return moment + by
    except OverflowError:
        return LAST_MOMENT


def add_duration(moment: datetime, duration: str) -> datetime:
    """`moment` and a duration `PnY`, `PnM`, `PnW` or `PnD`, clamped to the month's last day (design, section 4)."""
    days = _days_of(moment.date(), duration)
    return LAST_MOMENT if days is None else later(moment, days)


@lru_cache(maxsize=MOST_DAYS)
def _days_of(day: date, duration: str) -> timedelta | None:
    """How many days a duration is, counted from `day`; None where it ends after the calendar does."""
    if not _DURATION.match(duration):
        raise InvalidInput(f"expected a duration like P5Y, P6M, P2W or P30D, found {duration!r}")
    count, unit = int(duration[1:-1]), duration[-1]
    if unit in "WD":
        return timedelta(days=count * (7 if unit == "W" else 1))
    months = day.month - 1 + count * (12 if unit == "Y" else 1)
    year, month = day.year + months // 12, months % 12 + 1
    if year > LAST_MOMENT.year:
        return None
    return day.replace(year=year, month=month, day=min(day.day, calendar.monthrange(year, month)[1])) - day
