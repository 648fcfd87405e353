"""Times as entries write them, as people give them, and durations in the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.domain.times import (
    LAST_MOMENT,
    add_duration,
    format_time,
    later,
    parse_given_time,
    parse_time,
    start_of_day,
)
from ledger.errors import InvalidInput

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), timezones=st.just(UTC))  # noqa: DTZ001


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(MOMENTS)
def test_parse_time_is_the_inverse_of_format_time(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_a_moment_is_written_in_utc_whatever_its_zone(moment: datetime, minutes: int) -> None:
    if not datetime(1970, 1, 3, tzinfo=UTC) < moment < datetime(9999, 12, 30, tzinfo=UTC):
        return
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert format_time(elsewhere) == format_time(moment)
    assert parse_given_time(elsewhere.isoformat()) == moment


@pytest.mark.parametrize(
    "text",
    [
        "2025-09-28T00:00:00Z",
        "2025-09-28T00:00:00.000Z",
        "2025-09-28T00:00:00.0000000Z",
        "2025-09-28T00:00:00.000000",
        "2025-09-28T00:00:00.000000+00:00",
        "2025-09-28t00:00:00.000000z",
        "2025-09-28 00:00:00.000000Z",
        "2025-09-28T00:00:00.000000Z\n",
        " 2025-09-28T00:00:00.000000Z",
        "2025-02-29T00:00:00.000000Z",
        "2025-13-01T00:00:00.000000Z",
        "2025-09-31T00:00:00.000000Z",
        "2025-09-28T24:00:00.000000Z",
        "2025-09-28T23:60:00.000000Z",
        "2016-12-31T23:59:60.000000Z",
        "1969-12-31T23:59:59.999999Z",
        "10000-01-01T00:00:00.000000Z",
        "２０２５-09-28T00:00:00.000000Z",  # noqa: RUF001 - digits, but not those of the format
        "",
    ],
)
def test_a_time_that_an_entry_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected a time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-09-28T02:00:00+02:00", "2025-09-28T00:00:00.000000Z"),
        ("2025-09-27T18:30:00-05:30", "2025-09-28T00:00:00.000000Z"),
        ("2025-09-28T00:00:00Z", "2025-09-28T00:00:00.000000Z"),
        ("2025-09-28t00:00:00z", "2025-09-28T00:00:00.000000Z"),
        ("2025-09-28 00:00:00-00:00", "2025-09-28T00:00:00.000000Z"),
        ("2025-09-28T00:00:00.5Z", "2025-09-28T00:00:00.500000Z"),
        ("2025-09-28T00:00:00.123456Z", "2025-09-28T00:00:00.123456Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_given_time_is_read_with_its_offset(text: str, moment: str) -> None:
    assert format_time(parse_given_time(text)) == moment


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2025-09-28T00:00:00", "add Z or"),
        ("2025-09-28", "add Z or"),
        ("2025-09-28T00:00Z", "add Z or"),
        ("2025-09-28T00:00:00.Z", "add Z or"),
        ("2025-09-28T00:00:00+0200", "add Z or"),
        ("2025-09-28T00:00:00+02:60", "add Z or"),
        ("2025-09-28T00:00:00+24:00", "add Z or"),
        ("2025-09-28T24:00:00Z", "add Z or"),
        ("20250928T000000Z", "add Z or"),
        ("1759017600", "add Z or"),
        ("2025-09-28T00:00:00Z ", "add Z or"),
        ("2025-09-28T00:00:00.1234567Z", "at most six decimals"),
        ("2025-09-28T00:00:00.0000000Z", "at most six decimals"),
        ("2025-02-29T00:00:00Z", "of the calendar"),
        ("9999-12-31T23:59:59-01:00", "of the calendar"),
        ("0000-01-01T00:00:00Z", "of the calendar"),
        ("1970-01-01T00:00:00+00:01", "from 1970 to 9999"),
        ("1969-12-31T23:59:59.999999Z", "from 1970 to 9999"),
    ],
)
def test_a_given_time_that_is_not_exactly_one_moment_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        parse_given_time(text)


def test_a_date_means_the_start_of_its_day() -> None:
    assert format_time(start_of_day("2025-09-28")) == "2025-09-28T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("day", "duration", "expected"),
    [
        ("2025-01-31", "P1M", "2025-02-28"),
        ("2024-01-31", "P1M", "2024-02-29"),
        ("2025-01-31", "P2M", "2025-03-31"),
        ("2025-08-31", "P1M", "2025-09-30"),
        ("2025-12-15", "P1M", "2026-01-15"),
        ("2025-11-30", "P13M", "2026-12-30"),
        ("2025-11-30", "P15M", "2027-02-28"),
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2024-02-29", "P4Y", "2028-02-29"),
        ("2096-02-29", "P4Y", "2100-02-28"),
        ("2025-09-04", "P5Y", "2030-09-04"),
        ("2024-02-28", "P2D", "2024-03-01"),
        ("2025-12-28", "P2W", "2026-01-11"),
        ("2025-09-04", "P30D", "2025-10-04"),
        ("2025-09-04", "P0D", "2025-09-04"),
        ("2025-01-31", "P0M", "2025-01-31"),
    ],
)
def test_a_duration_is_added_in_the_calendar_and_clamped_to_the_last_day(
    day: str, duration: str, expected: str
) -> None:
    # The time of day stays: there is no daylight saving in UTC.
    clock = timedelta(hours=10, microseconds=7)
    assert add_duration(start_of_day(day) + clock, duration) == start_of_day(expected) + clock


@pytest.mark.parametrize("duration", ["P1Y", "P99999Y", "P1M", "P99999M", "P1W", "P99999W", "P1D", "P99999D"])
def test_a_duration_beyond_the_calendar_ends_with_it(duration: str) -> None:
    assert add_duration(start_of_day("9999-12-31"), duration) == LAST_MOMENT


def test_the_last_day_of_the_calendar_can_be_reached() -> None:
    assert format_time(add_duration(start_of_day("9999-11-30"), "P1M")) == "9999-12-30T00:00:00.000000Z"
    assert format_time(add_duration(start_of_day("9994-12-31"), "P5Y")) == "9999-12-31T00:00:00.000000Z"
    assert later(LAST_MOMENT, timedelta(seconds=5)) == LAST_MOMENT
    assert later(start_of_day("9999-12-31"), timedelta(seconds=5)) == datetime(9999, 12, 31, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "duration", ["5Y", "P", "P5", "PY", "P05Y", "P-5Y", "P1Y2M", "PT1H", "P1.5Y", "p5y", "P100000D", "P5Y\n", ""]
)
def test_another_duration_is_refused(duration: str) -> None:
    with pytest.raises(InvalidInput, match="expected a duration"):
        add_duration(start_of_day("2025-09-28"), duration)
