"""The quick way of new people's plain lines: the same log and the same rejects as line by line, with all care."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.application import ConsentLedger, open_ledger
from ledger.domain.entry import decode_entry, encode_entry
from ledger.domain.times import format_time
from ledger.errors import InvalidInput
from ledger.importing import events, newcomers, plain
from ledger.importing.event_line import EventLine, event_line
from ledger.importing.lines import RawLine
from ledger.importing.plain import PlainLine, Reader
from ledger.settings import Place
from ledger.store.location import create_ledger
from tests.builders import TERMS
from tests.domain.given import catalogue
from tests.importing.events import Fields, accepted, history, rejects, run_started, shown, state, take, toggled, used

PEOPLE = [f"p{number}" for number in range(120)]


def life(name: str, chance: random.Random) -> Iterator[Fields]:
    """Lines of all kinds; some are refused where they stand, and some are never right."""
    if chance.random() < 0.9:
        yield shown(name, f"02T10:00:{chance.randrange(3):02}")
    for day in range(chance.randrange(6)):
        at = f"{1 + chance.randrange(28):02}T10:00:00"
        match chance.randrange(9):
            case 0 | 1:
                yield accepted(name, at, chance.choice(["on", "off"]))
            case 2 | 3 | 4:
                yield toggled(name, at, chance.choice(["on", "off"]))
            case 5:
                yield toggled(name, at, recorded_at=f"2025-09-{1 + chance.randrange(28):02}T12:00:00+02:00")
            case 6:
                yield toggled(name, at, key=f"{name} {day}")
            case 7:
                yield used(name, at)
            case 8:
                yield chance.choice(
                    [
                        accepted(name, at, "maybe"),
                        toggled(name, "31T10:00:00"),  # no day of September
                        shown(name, recorded_at="2999-01-01T00:00:00Z"),
                        shown(name) | {"note": "unknown"},
                    ]
                )


def text_of(fields: Fields, chance: random.Random) -> bytes:
    """As different programs write JSON."""
    match chance.randrange(4):
        case 0:
            return json.dumps(fields).encode() + b"\n"
        case 1:
            return json.dumps(fields, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode() + b"\r\n"
        case 2:
            names = list(fields)
            chance.shuffle(names)
            return json.dumps({name: fields[name] for name in names}, indent=None).encode() + b" \n"
        case _:
            text = json.dumps(fields, separators=(",", ":"), sort_keys=True)
            return text.replace('"subject":"p', '"subject":"\\u0070').encode() + b"\n"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_quick_way_and_the_careful_one_end_in_the_same_state(
    ledger: ConsentLedger, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    lines = [text_of(fields, chance) for name in PEOPLE for fields in life(name, chance)]
    lines += [chance.choice(lines) for _ in range(30)] + [json.dumps(run_started("r0")).encode() + b"\n"]
    lines += [
        b'{"event":"accepted","event":"accepted","subject":"p1","occurred_at":"2025-09-02T10:00:00Z","data":{}}\n'
    ]
    chance.shuffle(lines)
    quick, careful = tmp_path / "quick.jsonl", tmp_path / "careful.jsonl"
    ledger.publish(TERMS)
    done = take(ledger, quick, *lines)
    assert done.rejected > 20
    assert done.stored > 200

    place = Place(database_url, None, tmp_path / "careful-state")
    create_ledger(place, None)
    with open_ledger(place) as other:
        other.publish(TERMS)
        monkeypatch.setattr(Reader, "_plain", lambda reader, raw: None)  # noqa: ARG005
        again = take(other, careful, *lines)
        assert (done.stored, done.repeated, done.rejected) == (again.stored, again.repeated, again.rejected)
        assert _without_clock(rejects(quick)) == _without_clock(rejects(careful))
        assert state(ledger, PEOPLE) == state(other, PEOPLE)


def _without_clock(lines: list[Fields]) -> list[Fields]:
    return [line | {"reason": line["reason"].partition("recorded by now")[0]} for line in lines]


def test_the_quick_way_is_the_one_taken(ledger: ConsentLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[str] = []
    decide = newcomers.Newcomers.decide

    def noting(self: newcomers.Newcomers, person: newcomers.Newcomer) -> bool:
        decided.append(person.named)
        return decide(self, person)

    monkeypatch.setattr(newcomers.Newcomers, "decide", noting)
    ledger.publish(TERMS)
    file = tmp_path / "events.jsonl"
    take(ledger, file, shown("ann"), accepted("ann"), shown("bob"), shown("cem", key="k"))
    assert sorted(decided) == ["ann", "bob"]
    assert take(ledger, file).repeated == 4
    assert sorted(decided) == ["ann", "bob"]  # nobody is new any more


def test_what_is_stored_in_parts_is_what_the_entry_s_own_encoder_makes(ledger: ConsentLedger, tmp_path: Path) -> None:
    ledger.publish(TERMS)
    lines = [shown("ann"), accepted("ann"), toggled("ann", "09T10:00:00")]
    take(ledger, tmp_path / "events.jsonl", *lines, source='a "b" \u00fc')
    stored = [bytes(row[4]) for row in ledger.recorder.pages(1)]
    assert [encode_entry(decode_entry(entry)) for entry in stored] == stored
    assert [entry.imported.source for entry in history(ledger, "ann") if entry.imported] == ['a "b" \u00fc'] * 3


def reader() -> Reader:
    return Reader(catalogue(TERMS))


@pytest.mark.parametrize("seed", range(3))
def test_a_plain_line_says_what_the_careful_reading_says(seed: int) -> None:
    chance = random.Random(seed)
    plainly = reader()
    found = 0
    for name in PEOPLE:
        for fields in life(name, chance):
            text = text_of(fields, chance).strip()
            raw = RawLine(1, text, len(text))
            try:
                with_care: EventLine | str = event_line(raw, catalogue(TERMS))
            except Exception as error:
                with_care = str(error)
            try:
                line: PlainLine | EventLine | str = plainly.line(raw)
            except Exception as error:
                line = str(error)
            if isinstance(line, PlainLine):
                found += 1
                assert isinstance(with_care, EventLine)
                assert plainly.careful(line) == with_care
                assert (line.given, line.named) == (with_care.given, with_care.named)
                assert (line.occurred_at, line.recorded_at) == (
                    plainly.exact(with_care.occurred.isoformat()),
                    plainly.exact(with_care.recorded.isoformat()),
                )
                assert line.kind.event == with_care.event
            else:
                assert line == with_care
    assert found > 150


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "MOST_KINDS", 3)
    monkeypatch.setattr(plain, "MOST_DAYS", 2)
    one = reader()
    for number in range(20):
        fields = shown("ann", f"{number + 1:02}T10:00:00.000000")
        fields["data"]["surface"] = f"surface {number}"
        text = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
        assert isinstance(one.line(RawLine(1, text, len(text))), PlainLine)
    assert len(one._kinds) <= 3
    assert len(one._beginnings) <= 3
    assert len(one._days) <= 2


def test_people_follow_each_other_in_no_order_of_their_names(
    ledger: ConsentLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each whole in one batch, and the batches by a digest that the file itself salts."""
    monkeypatch.setattr(events, "BATCH_LINES", 6)
    ledger.publish(TERMS)
    names = [f"p{number:03}" for number in range(100)]
    take(ledger, tmp_path / "events.jsonl", *map(shown, names), *(toggled(name, "29T10:00:00") for name in names))
    of = {subject.stream: name for name, subject in ledger.identities.find(names).items()}
    order = [of[stream] for _, stream, *_ in ledger.recorder.pages(1)]
    firsts = list(dict.fromkeys(order))
    assert firsts not in (sorted(firsts), sorted(firsts, reverse=True))
    for batch in range(0, 200, 6):
        assert len(set(order[batch : batch + 6])) == 3 or batch == 198


def test_several_names_of_one_person_are_taken_as_they_were_recorded(ledger: ConsentLedger, tmp_path: Path) -> None:
    """The file is read again in another order once such a name is met, and nothing of it is lost or twice."""
    ledger.publish(TERMS)
    file = tmp_path / "events.jsonl"
    take(ledger, file, shown("ann"))
    id_ = f"id:{(ledger.subject('ann').subject_id or b'').hex()}"
    ons = [accepted("ann", "02T10:00:00")] + [toggled("ann", f"{day:02}T10:00:00", "on") for day in range(10, 20, 2)]
    offs = [toggled(id_, f"{day:02}T10:00:00") for day in range(11, 21, 2)]
    done = take(ledger, file, shown("bob"), b"no line\n", *ons, *offs[:4], shown("cem"), *offs[4:])
    assert (done.stored, done.rejected) == (13, 1)
    assert len(rejects(file)) == 1
    recorded = [entry.recorded_at for entry in history(ledger, "ann")]
    assert recorded == sorted(recorded)
    assert [entry.data.to for entry in history(ledger, "ann")[2:]] == ["on", "off"] * 5


def test_whoever_is_known_after_all_is_met_among_many_who_are_new(
    ledger: ConsentLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody of a batch was known, the next one's people are not looked up; some of them are known, or erased."""
    monkeypatch.setattr(events, "BATCH_LINES", 8)
    ledger.publish(TERMS)
    before, file = tmp_path / "before.jsonl", tmp_path / "events.jsonl"
    people = [f"p{number:03}" for number in range(100)]
    take(ledger, before, *(shown(name) for name in people[::7]))
    for name in people[::21]:
        ledger.erase(name, "request")
    streams = {name: ledger.identities.find([name])[name].stream for name in people[::7]}
    done = take(ledger, file, *(line for name in people for line in (shown(name), accepted(name))))
    erased = len(people[::21])
    known = len(people[::7]) - erased
    assert (done.stored, done.repeated, done.rejected) == (200 - known - 2 * erased, known, 2 * erased)
    for name in people:
        subject = ledger.identities.find([name])[name]
        if name in people[::21]:
            assert subject.stream is None
            continue
        assert subject.stream == streams.get(name, subject.stream)
        assert [entry.event for entry in history(ledger, name)] == ["terms-shown", "accepted"]
    assert take(ledger, file).repeated == 200 - 2 * erased


def test_a_key_that_is_being_stored_leaves_nobody_else_behind(
    ledger: ConsentLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes with it in a later batch is refused before they are linked, also while the first is under way."""
    monkeypatch.setattr(events, "BATCH_LINES", 1)
    ledger.publish(TERMS)
    people = [f"p{number:02}" for number in range(20)]
    done = take(ledger, tmp_path / "events.jsonl", *(shown(name, key="k") for name in people))
    assert (done.stored, done.rejected) == (1, 19)
    assert sum(subject.stream is not None for subject in ledger.identities.find(people).values()) == 1


RIGHT = {
    "data": toggled("p1", "20T10:00:00")["data"],
    "event": "toggle-changed",
    "occurred_at": "2025-09-20T10:00:00.000000Z",
    "subject": "p1",
}


def compact(**fields: object) -> bytes:
    return json.dumps(RIGHT | fields, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "text",
    [
        compact(subject="id:" + "0" * 32),
        compact(subject="key:" + "0" * 64),
        compact(subject="idle"),
        compact(subject=""),
        compact(subject="p" * 513),
        compact(subject="\u00fc"),
        compact(subject='p"1'),
        compact(subject="p\u007f"),
        compact(occurred_at="2025-09-31T10:00:00.000000Z"),
        compact(occurred_at="2025-09-20T24:00:00.000000Z"),
        compact(occurred_at="2025-09-20T10:00:00Z"),
        compact(recorded_at="2025-09-21T10:00:00.000000Z"),
        compact(recorded_at="2025-02-30T10:00:00.000000Z"),
        compact(key="k"),
        compact(run="r0"),
        compact() + b" ",
        compact()[:-1],
        compact() + b"}",
        compact().replace(b'"occurred_at"', b'"event":"accepted","occurred_at"'),
        compact().replace(b'"subject"', b'"subject":"p2","subject"'),
        compact().replace(b',"occurred_at"', b',"recorded_at":"2025-09-21T10:00:00.000000Z","occurred_at"'),
        compact()[:-1] + b',"subject":"p2"}',
        compact(data={"occurred_at": "2025-09-20T10:00:00.000000Z", "subject": "p1"}),
    ],
)
def test_a_line_that_begins_like_another_is_read_as_with_all_care(text: bytes) -> None:
    one = reader()
    for right in (compact(), compact(recorded_at="2025-09-20T10:00:00.000000Z")):
        assert one.known(RawLine(1, right, len(right))) is not None
    raw = RawLine(2, text, len(text))

    def read(line: Callable[[], PlainLine | EventLine]) -> EventLine | str:
        try:
            return one.careful(line())
        except InvalidInput as error:
            return str(error)

    with_care = read(lambda: event_line(raw, catalogue(TERMS)))
    assert read(lambda: one.line(raw)) == with_care
    line = one.known(raw)
    if line is not None:
        assert isinstance(with_care, EventLine)
        assert (line.named, line.given) == (with_care.named, with_care.given)
        assert (line.occurred_at, line.recorded_at) == (
            format_time(with_care.occurred),
            format_time(with_care.recorded),
        )
