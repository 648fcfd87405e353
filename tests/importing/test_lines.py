"""One line: cut from the file, read as strict JSON, and turned into the event that it gives."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as any_of
from hypothesis import strategies as st

from ledger.domain.entry import canonical
from ledger.domain.events import DataUsedForTraining, RunStarted, TermsShown
from ledger.domain.times import format_time
from ledger.errors import InvalidInput
from ledger.importing import event_line as module
from ledger.importing.event_line import EventLine, event_line
from ledger.importing.lines import LONGEST_LINE, SHOWN_OF_LONGER, RawLine, lines_of, object_of
from tests.builders import TERMS
from tests.domain.given import catalogue
from tests.importing import events


def parsed(fields: events.Fields | bytes) -> EventLine:
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return event_line(RawLine(1, text, len(text)), catalogue(TERMS))


def refused(fields: events.Fields | bytes) -> str:
    with pytest.raises(InvalidInput) as error:
        parsed(fields)
    return str(error.value)


def test_lines_are_numbered_as_they_stand_and_blank_ones_are_none() -> None:
    found = list(lines_of(io.BytesIO(b'{"a":1}\r\n\n  \t\r\n{"b":2}\nlast')))
    assert [(line.number, line.text) for line in found] == [(1, b'{"a":1}'), (4, b'{"b":2}'), (5, b"last")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize(
    "length", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, LONGEST_LINE + 2, 5 * LONGEST_LINE]
)
def test_a_line_is_as_long_as_it_may_be_or_cut(length: int, end: bytes) -> None:
    found = list(lines_of(io.BytesIO(b"x" * length + end + (b"next" if end else b""))))
    assert [line.number for line in found] == ([1, 2] if end else [1])
    assert found[0].is_too_long == (length > LONGEST_LINE)
    assert len(found[0].text) == (SHOWN_OF_LONGER if length > LONGEST_LINE else length)
    assert length <= found[0].length <= length + len(end)
    assert all(line.text == b"next" for line in found[1:])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@any_of(st.dictionaries(st.text(max_size=3), json_values, max_size=4), st.booleans(), st.sampled_from([None, 0, 3]))
def test_every_way_to_write_an_object_reads_as_that_object(
    fields: dict[str, Any], ascii: bool, indent: int | None
) -> None:
    try:
        text = json.dumps(fields, ensure_ascii=ascii, indent=indent).encode()
    except UnicodeEncodeError:
        return
    assert object_of(RawLine(1, text, len(text))) == fields


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"data": {"x": [{"k": 1, "k": null}]}}',
        b'{"a":1,"b":2,"a":1}',
    ],
)
def test_a_name_twice_in_one_object_is_refused_however_it_is_written(text: bytes) -> None:
    with pytest.raises(InvalidInput, match="each name of an object once"):
        object_of(RawLine(1, text, len(text)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "one JSON object a line"),
        (b'{"a":1} x', "one JSON object a line"),
        (b"[1]", "found another value"),
        (b"NaN", "one JSON object a line"),
        (b'{"a":NaN}', "one JSON object a line"),
        (b'{"a":"\x01"}', "one JSON object a line"),
        (b'{"a":"\\ud800"}', "one JSON object a line"),
        (b'{"a":"\xff"}', "expected UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "one JSON object a line"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "at most"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "nested too deeply"),
    ],
)
def test_what_is_no_object_is_refused_in_a_sentence(text: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        object_of(RawLine(1, text[:SHOWN_OF_LONGER] if len(text) > LONGEST_LINE else text, len(text)))


def test_a_line_gives_its_event_and_its_times() -> None:
    line = parsed(events.shown("ann", recorded_at="2025-09-01T14:00:00.5+02:00", key="k1"))
    assert (line.named, line.run, line.key) == ("ann", None, "k1")
    assert format_time(line.occurred) == "2025-09-01T10:00:00.000000Z"
    assert line.recorded - line.occurred == timedelta(hours=2, milliseconds=500)
    assert line.request("old system").recorded == line.recorded


def test_without_recorded_at_it_was_recorded_when_it_occurred() -> None:
    line = parsed(events.shown("ann"))
    assert line.recorded == line.occurred
    assert line.request("old system").recorded is None  # as a caller who gives none has it


def test_what_a_source_may_leave_out_is_filled_in() -> None:
    shown = parsed(events.shown("ann")).event
    assert isinstance(shown, TermsShown)
    assert shown.notice == TERMS.notice_hash()
    use = parsed(events.used("ann", "06T10:00:00")).event
    assert isinstance(use, DataUsedForTraining)
    assert (use.attested, use.collected_until) == (True, "2025-09-02T22:00:00.000000Z")
    run = parsed(events.run_started("r0"))
    assert isinstance(run.event, RunStarted)
    assert (run.run, run.event.kind, run.event.cutoff, run.event.input) == ("run/r0", "chat", 0, [])


def test_the_fields_given_are_what_makes_a_line_the_same_however_it_is_written() -> None:
    fields = events.shown("ann")
    spaced = json.dumps(dict(reversed(fields.items())), indent=None, separators=(" ,  ", " : ")).encode()
    assert parsed(fields).given == parsed(spaced).given == canonical(fields)


SHOWN, USED, RUN = events.shown("ann"), events.used("ann", "06T10:00:00"), events.run_started("r0")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (SHOWN | {"event": "consented"}, "an event that can be imported, found 'consented'; one of terms-shown"),
        (SHOWN | {"event": "terms-published"}, "consent terms publish"),
        (SHOWN | {"event": "subject-erased", "data": {"reason": "r"}}, "consent erase"),
        (SHOWN | {"event": "run-finished"}, "only the gate"),
        (SHOWN | {"event": "subject-map-published"}, "the log writes it itself"),
        (SHOWN | {"extra": 1}, "unknown field `extra`"),
        (SHOWN | {"data": SHOWN["data"] | {"extra": 1}}, "unknown field `extra`"),
        (SHOWN | {"recorded_at": None}, "got `null`"),
        (SHOWN | {"subject": 7}, "got `int`"),
        (SHOWN | {"subject": ""}, "an identity of 1 to 512"),
        (SHOWN | {"subject": "a\u0001b"}, "control characters"),
        (SHOWN | {"subject": "a" * 513}, "an identity of 1 to 512"),
        (SHOWN | {"subject": "id:xyz"}, "32 digits"),
        (SHOWN | {"key": ""}, "`$.key`"),
        (SHOWN | {"run": "r0"}, "no `run` beside it"),
        ({name: value for name, value in SHOWN.items() if name != "subject"}, "expected `subject`"),
        (SHOWN | {"occurred_at": "2025-09-01T10:00:00"}, "`occurred_at`: expected a time with an offset"),
        (SHOWN | {"occurred_at": "2025-02-30T10:00:00Z"}, "`occurred_at`: expected a time of the calendar"),
        (SHOWN | {"recorded_at": "2025-09-01T10:00:00.1234567Z"}, "`recorded_at`: expected at most six decimals"),
        (SHOWN | {"data": SHOWN["data"] | {"terms": "2031"}}, "published terms, found version '2031'"),
        (SHOWN | {"data": SHOWN["data"] | {"surface": "s" * 257}}, "`$.surface`"),
        (SHOWN | {"data": SHOWN["data"] | {"plan": "p\tq"}}, "`$.plan`"),
        (events.accepted("ann") | {"data": {"terms": "x"}}, "missing required field"),
        (USED | {"data": USED["data"] | {"attested": False}}, "`attested` true"),
        (USED | {"data": USED["data"] | {"items": {"chat": 1.0}}}, "got `float`"),
        (USED | {"data": USED["data"] | {"items": {"chat": 2**53}}}, "`int` <="),
        (USED | {"data": USED["data"] | {"collected_from": "2025-09-02"}}, "`collected_from`: expected a time"),
        (RUN | {"subject": "ann"}, "expected `run`, and no `subject`"),
        (RUN | {"key": "k"}, "no `key` on a line of run-started"),
        (RUN | {"run": "../r"}, "`$.run`"),
        (RUN | {"data": RUN["data"] | {"purpose": "advertising"}}, "a purpose of the published terms"),
    ],
)
def test_a_line_that_cannot_be_an_entry_is_refused_with_the_reason(fields: events.Fields, reason: str) -> None:
    assert reason in refused(fields)


def test_only_what_a_source_may_report_can_be_imported() -> None:
    from ledger.domain.entry import TOPICS

    assert set(module._FILL_IN) | set(module._NOT_IMPORTED) == TOPICS
    assert not set(module._FILL_IN) & set(module._NOT_IMPORTED)
