"""Item files as they come: every format gives the same items, and nothing that cannot be read passes for an item."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from ledger.domain.times import parse_given_time
from ledger.errors import ConsentLedgerError, InvalidInput, Unavailable
from ledger.gate.duckdb_engine import Engine
from ledger.gate.inputs import find_items
from ledger.gate.micros import micros_of
from ledger.gate.reading import load
from ledger.store.identities import parse_subject
from tests.gate import people

Row = dict[str, Any]
T = "2025-10-01T12:00:00Z"
T_MICROS = 1_759_320_000_000_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    folder = tmp_path / "engine"
    folder.mkdir()
    with closing(Engine(folder)) as engine:
        yield engine


def read(engine: Engine, *named: Path | str) -> list[Row]:
    """The items of these files, as the verdicts take them."""
    load(engine.connection, find_items(tuple(map(str, named))))
    engine.insert("run", [["model-training", "chat", 0, 0]])
    engine.script("items")
    names = ("subject", "item", "collected", "kind", "plan", "exclude", "unreadable", "ambiguous")
    rows = engine.stream(f'SELECT {", ".join(names)} FROM item ORDER BY "row"')
    return [dict(zip(names, row, strict=True)) for row in rows]


def jsonl(path: Path, *rows: Row) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def text(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def item(**fields: Any) -> Row:
    return {"subject": "ann", "item": "i1", "collected_at": T} | fields


SAME: list[Row] = [
    item(item="1", kind="chat", plan="pro", exclude=None),
    item(item="2", kind=None, plan=None, exclude="deleted", collected_at="2025-10-01T14:00:00.123456+02:00"),
    item(item="#3", subject='b"o\\b, é☃', kind="voice", plan="", exclude=""),
    item(item='a "quoted", one', kind="", plan="max", exclude=None),
]


@pytest.mark.parametrize(
    "how",
    [
        "csv",
        "csv.gz",
        "jsonl",
        "ndjson",
        "jsonl.gz",
        "TIMESTAMP",
        "TIMESTAMPTZ",
        "TIMESTAMP_NS",
        "TIMESTAMP_MS",
        "text",
    ],
)
def test_every_format_gives_the_same_items(engine: Engine, tmp_path: Path, how: str) -> None:
    expected = [
        (row["subject"], row["item"], micros_of(parse_given_time(row["collected_at"])), row["kind"] or "chat",
         row["plan"] or None, row["exclude"] or None)
        for row in SAME
    ]  # fmt: skip
    plain = jsonl(tmp_path / "given.jsonl", *SAME)
    path = plain
    match how.removesuffix(".gz"):
        case "csv":
            path = text(
                tmp_path / "items.csv",
                "exclude,collected_at,subject,item,plan,kind",
                f",{T},ann,1,pro,chat",
                "deleted,2025-10-01T14:00:00.123456+02:00,ann,2,,",
                f',{T},"b""o\\b, é☃",#3,,voice',
                f'"",{T},ann,"a ""quoted"", one",max,""',
            )
        case "jsonl" | "ndjson":
            path = plain.rename(tmp_path / f"items.{how.removesuffix('.gz')}")
        case stored:
            time = "collected_at" if stored == "text" else f"CAST(CAST(collected_at AS TIMESTAMPTZ) AS {stored})"
            columns = "{" + ", ".join(f"{name}: 'VARCHAR'" for name in SAME[0]) + "}"
            query = f"SELECT * REPLACE ({time} AS collected_at) FROM read_json('{plain}', columns = {columns})"
            path = people.write_parquet(tmp_path / "items.parquet", query)
    if how.endswith(".gz"):
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    if how == "TIMESTAMP_MS":
        # A column of milliseconds holds no more of the second row's time.
        expected[1] = (*expected[1][:2], expected[1][2] - 456, *expected[1][3:])
    found = read(engine, path)
    fields = ("subject", "item", "collected", "kind", "plan", "exclude")
    assert [tuple(row[field] for field in fields) for row in found] == expected
    assert not any(row["unreadable"] or row["ambiguous"] for row in found)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_many_files_are_read_in_their_order_whatever_columns_each_has(
    engine: Engine, tmp_path: Path, suffix: str
) -> None:
    folder = tmp_path / "kind=voice"  # not a column, whatever it looks like
    folder.mkdir()
    wanted = []
    for number in range(40):
        name = f"i{number}"
        extra = ", 'deleted' AS exclude" if number == 39 else ""
        query = f"SELECT 'ann' AS subject, '{T}' AS collected_at, '{name}' AS item{extra}"
        form = {"parquet": "parquet", "csv": "csv", "jsonl": "json"}[suffix]
        with duckdb.connect() as writer:
            writer.execute(f"COPY ({query}) TO '{folder}/{number:02}.{suffix}' (FORMAT {form})")
        wanted.append((name, "chat", "deleted" if number == 39 else None))
    (folder / "notes.txt").write_text("no items")
    rows = read(engine, folder)
    assert [(row["item"], row["kind"], row["exclude"]) for row in rows] == wanted


def test_a_pattern_and_names_full_of_pattern_characters(engine: Engine, tmp_path: Path) -> None:
    jsonl(tmp_path / "a[1]*.jsonl", item(item="odd"))
    jsonl(tmp_path / "a1.jsonl", item(item="other"))
    jsonl(tmp_path / "b'2.jsonl", item(item="quoted"))
    odd, quoted = tmp_path / "a[1]*.jsonl", f"{tmp_path}/b*.jsonl"
    assert [row["item"] for row in read(engine, odd, quoted)] == ["odd", "quoted"]


UNREADABLE: list[tuple[Row, str]] = [
    (item(subject=None), "subject"),
    (item(subject=""), "subject"),
    (item(subject="a\x1fb"), "subject"),
    (item(subject="a" * 513), "subject"),
    (item(subject="id:" + "0" * 31), "subject"),
    (item(subject="id:" + "A" * 32), "subject"),
    (item(subject="key:" + "0" * 63), "subject"),
    (item(subject="key:"), "subject"),
    (item(item=None), "item"),
    (item(item=""), "item"),
    (item(item="a\tb"), "item"),
    (item(item="a\x7f"), "item"),
    (item(item="a\x85"), "item"),
    (item(item="é" * 513), "item"),
    (item(collected_at=None), "time"),
    (item(collected_at=""), "time"),
    (item(collected_at="2025-10-01T12:00:00"), "time"),
    (item(collected_at="2025-10-01"), "time"),
    (item(collected_at="2025-02-30T12:00:00Z"), "time"),
    (item(collected_at="2025-13-01T12:00:00Z"), "time"),
    (item(collected_at="2025-10-01T25:00:00Z"), "time"),
    (item(collected_at="2025-10-01T24:00:00Z"), "time"),
    (item(collected_at="2025-10-01T23:59:60Z"), "time"),
    (item(collected_at="1969-12-31T23:59:59.999999Z"), "time"),
    (item(collected_at="1970-01-01T00:00:00+00:01"), "time"),
    (item(collected_at="9999-12-31T23:59:59-00:01"), "time"),
    (item(collected_at="10000-01-01T00:00:00Z"), "time"),
    (item(collected_at=f"{T}\n"), "time"),
    (item(collected_at="infinity"), "time"),
    (item(collected_at="1759320000"), "time"),
]
READABLE: list[Row] = [
    item(subject="a" * 512, item="é" * 512),
    item(subject="id:" + "0a" * 16, item=" "),
    item(subject="key:" + "0a" * 32, item="\u2028"),
    item(subject="ID:no id", item="\\N"),
    item(item="t1", collected_at="1970-01-01T00:00:00Z"),
    item(item="t2", collected_at="9999-12-31T23:59:59.9999999Z"),
    item(item="t3", collected_at="2025-10-01 12:00:00.1234567890123z"),
    item(item="t4", collected_at="2025-10-01t12:00:00-23:59"),
]


def test_what_cannot_be_read_is_named_and_what_can_passes(engine: Engine, tmp_path: Path) -> None:
    """One name an item, so that nothing is ambiguous besides."""
    rows = [row | ({"item": f"u{number}"} if why != "item" else {}) for number, (row, why) in enumerate(UNREADABLE)]
    found = read(engine, jsonl(tmp_path / "items.jsonl", *rows, *READABLE))
    assert [row["unreadable"] for row in found] == [
        *(f"{why} missing or unreadable" for _, why in UNREADABLE),
        *(None for _ in READABLE),
    ]


def test_times_of_parquet_that_name_no_moment(engine: Engine, tmp_path: Path) -> None:
    times = ["'infinity'", "'-infinity'", "'1969-12-31 23:59:59.999999'", "'10000-01-01'", "NULL", "'2025-10-01 12:00'"]
    rows = " UNION ALL ".join(
        f"SELECT TIMESTAMP {time} AS collected_at" if time != "NULL" else "SELECT NULL" for time in times
    )
    query = f"SELECT 'ann' AS subject, 'i' || row_number() OVER () AS item, * FROM ({rows})"
    found = read(engine, people.write_parquet(tmp_path / "items.parquet", query))
    assert [row["unreadable"] is None for row in found] == [False] * 5 + [True]


_NUMBER = st.integers(0, 61).map(lambda number: f"{number:02}")
_TIMES = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    st.sampled_from(["1969", "1970", "2024", "2025", "9999"]),
    st.sampled_from(["01", "02", "12", "13", "00", "1"]),
    st.sampled_from(["01", "28", "29", "30", "31", "32", "00"]),
    st.sampled_from(["T", "t", " ", ""]),
    st.sampled_from(["00", "12", "23", "24"]),
    _NUMBER,
    _NUMBER,
    st.sampled_from(["", ".1", ".123456", ".", ",5"]),
    st.sampled_from(["Z", "z", "+00:00", "-00:00", "+05:30", "-23:59", "+24:00", "+05:60", "+0530", "", " Z"]),
)


@settings(max_examples=20, deadline=None, database=None)
@forall(times=st.lists(_TIMES | st.text(max_size=30), min_size=100, max_size=300))
def test_texts_are_times_where_they_are_for_the_rest_of_the_ledger(times: list[str]) -> None:
    def expected(time: str) -> int | None:
        try:
            return micros_of(parse_given_time(time))
        except InvalidInput:
            return None

    with tempfile.TemporaryDirectory() as folder, closing(Engine(Path(folder))) as engine:
        rows = [item(item=str(number), collected_at=time) for number, time in enumerate(times)]
        found = read(engine, jsonl(Path(folder) / "items.jsonl", *(row for row in rows)))
    moments = [row["collected"] if row["unreadable"] is None else None for row in found]
    assert moments == [expected(time) for time in times]


@settings(max_examples=20, deadline=None, database=None)
@forall(names=st.lists(st.text(max_size=8) | st.text("id:key0a", max_size=70), min_size=1, max_size=100))
def test_subjects_are_names_where_they_are_for_the_rest_of_the_ledger(names: list[str]) -> None:
    def is_name(name: str) -> bool:
        try:
            return parse_subject(name) is not None
        except InvalidInput:
            return False

    with tempfile.TemporaryDirectory() as folder, closing(Engine(Path(folder))) as engine:
        rows = [item(item=str(number), subject=name) for number, name in enumerate(names)]
        found = read(engine, jsonl(Path(folder) / "items.jsonl", *rows))
    assert [row["unreadable"] is None for row in found] == [is_name(name) for name in names]


def test_a_name_that_stands_for_two_things_is_ambiguous(engine: Engine, tmp_path: Path) -> None:
    pairs: dict[str, tuple[Row, Row]] = {
        "subject": ({}, {"subject": "bob"}),
        "time": ({}, {"collected_at": "2025-10-01T12:00:00.000001Z"}),
        "kind": ({"kind": "chat"}, {"kind": "voice"}),
        "default-kind": ({"kind": "voice"}, {}),
        "no-subject": ({}, {"subject": None}),
        "no-time": ({}, {"collected_at": "yesterday"}),
    }
    equal: dict[str, tuple[Row, Row]] = {
        "same": ({}, {}),
        "same-moment": ({}, {"collected_at": "2025-10-01T14:00:00+02:00"}),
        "plan": ({"plan": "a"}, {}),
    }
    rows = [item(**row, item=name) for name, pair in (pairs | equal).items() for row in pair]
    for row in read(engine, jsonl(tmp_path / "items.jsonl", *rows)):
        assert row["ambiguous"] == (row["item"] in pairs), row


def test_names_in_parquet_may_be_integers_or_an_enumeration(engine: Engine, tmp_path: Path) -> None:
    query = (
        f"SELECT 7::UTINYINT AS subject, 18446744073709551615::UBIGINT AS item,"
        f" '{T}' AS collected_at, 'voice'::ENUM('voice') AS kind"
    )
    (row,) = read(engine, people.write_parquet(tmp_path / "items.parquet", query))
    assert row["subject"] == "7"
    assert row["kind"] == "voice"
    assert row["unreadable"] is None
    assert row["item"] == "18446744073709551615"


def test_integers_and_texts_mixed_in_json_are_names_and_other_things_are_none(engine: Engine, tmp_path: Path) -> None:
    given: list[Any] = [
        1,
        "a",
        -5,
        2**64 - 1,
        1.0,
        1e3,
        True,
        {"a": 1},
        [1],
        None,
        "550E8400-E29B-41D4-A716-446655440000",
    ]
    found = read(engine, jsonl(tmp_path / "items.jsonl", *(item(item=one) for one in given)))
    names = ["1", "a", "-5", str(2**64 - 1), None, None, None, None, None, None, given[-1]]
    assert [row["item"] for row in found] == names
    assert [row["unreadable"] is None for row in found] == [name is not None for name in names]


def test_a_text_stays_a_text_whatever_it_looks_like(engine: Engine, tmp_path: Path) -> None:
    looks = {
        "a": "550E8400-E29B-41D4-A716-446655440000",
        "b": "2025-10-01",
        "c": "12:00:00",
        "d": T,
        "e": {"f": "2025-10-01"},
    }
    read(engine, jsonl(tmp_path / "items.jsonl", item(**looks)))
    assert engine.one("SELECT a, b, c, d, e.f FROM source") == (*list(looks.values())[:4], "2025-10-01")


@pytest.mark.parametrize(
    ("kind", "plan"), [(7, 7), (1.5, True), (["chat"], {"a": 1}), ({"a": "chat"}, ["pro"]), (False, 0)]
)
def test_an_odd_kind_or_plan_is_never_taken_for_a_missing_one(
    engine: Engine, tmp_path: Path, kind: Any, plan: Any
) -> None:
    (row,) = read(engine, jsonl(tmp_path / "items.jsonl", item(kind=kind, plan=plan)))
    assert row["kind"] != "chat"
    assert row["plan"] is not None


def test_what_excludes(engine: Engine, tmp_path: Path) -> None:
    values: list[tuple[Any, bool]] = [
        (None, False), (False, False), ("", False), ("false", True), (True, True), ("deleted", True), (0, True),
        ([], True), ({}, True),
    ]  # fmt: skip
    mixed = jsonl(tmp_path / "mixed.jsonl", *(item(item=str(n), exclude=v) for n, (v, _) in enumerate(values)))
    assert [bool(row["exclude"]) for row in read(engine, mixed)] == [excludes for _, excludes in values]


@pytest.mark.parametrize(
    ("column", "excludes"),
    [
        ("NULL", False), ("false", False), ("true", True), ("''", False), ("'false'", True), ("'x'", True), ("0", True),
        ("[]::VARCHAR[]", True), ("NULL::BOOLEAN", False),
    ],
)  # fmt: skip
def test_what_excludes_in_parquet(engine: Engine, tmp_path: Path, column: str, excludes: bool) -> None:
    query = f"SELECT 'ann' AS subject, 'i1' AS item, '{T}' AS collected_at, {column} AS exclude"
    (row,) = read(engine, people.write_parquet(tmp_path / "items.parquet", query))
    assert bool(row["exclude"]) == excludes


@pytest.mark.parametrize("name", ["items.parquet", "items.csv", "items.jsonl"])
def test_a_file_without_rows_holds_no_items(engine: Engine, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    match path.suffix:
        case ".parquet":
            people.write_parquet(path, "SELECT '' AS subject, '' AS item, now() AS collected_at WHERE false")
        case ".csv":
            text(path, "subject,item,collected_at")
        case _:
            path.touch()
    assert read(engine, path) == []


def test_a_row_that_begins_like_a_comment_or_a_blank_line_in_quotes_is_a_row(engine: Engine, tmp_path: Path) -> None:
    lines = ["subject,item,collected_at", *(f"#{number},{number},{T}" for number in range(5)), f'a;b|c,"\n",{T}']
    assert len(read(engine, text(tmp_path / "items.csv", *lines))) == 6


BROKEN: list[tuple[str, str, type[ConsentLedgerError]]] = [
    ("items.parquet", "no Parquet", Unavailable),
    ("items.parquet", "PAR1" + "x" * 100 + "PAR1", Unavailable),
    ("items.csv", "subject,item,collected_at\na,b,c\na,b\na,b,c\n", Unavailable),
    ("items.csv", "subject,item,collected_at\n" + "a,b,c\n" * 30_000 + "a,b,c,d\n", Unavailable),
    ("items.csv", "subject,item,collected_at\n" + "a,b,c\n" * 30_000 + 'a,"b,c\n', Unavailable),
    ("items.csv", "subject;item;collected_at\na;b;c\n", InvalidInput),
    ("items.csv", "", InvalidInput),
    ("items.csv", "a,b,c\nd,e,f\n", InvalidInput),
    ("items.csv", "Subject,item,collected_at\n", InvalidInput),
    ("items.csv", "subject,item,collected_at,Exclude\n", InvalidInput),
    ("items.csv", "subject,item,collected_at,exclude,exclude\n", InvalidInput),
    ("items.csv", "subject,item,collected_at,exclude,EXCLUDE\n", InvalidInput),
    ("items.csv", "subject,item,item,collected_at\n", InvalidInput),
    ("items.csv", "subject,item,collected_at,Reason\n", InvalidInput),
    ("items.csv", "subject,item,collected_at,ROW\n", InvalidInput),
    ("items.jsonl", '{"subject":"a","item":"b","collected_at":"c"}\n{"subject":\n', Unavailable),
    ("items.jsonl", '{"subject":"a","item":"b","collected_at":"c"} {}\n', Unavailable),
    ("items.jsonl", '{"subject":"a","item":"b","collected_at":"c","exclude":"x","exclude":null}\n', Unavailable),
    ("items.jsonl", '{"subject":"a","item":"b","collected_at":"c","exclude":null,"Exclude":"x"}\n', InvalidInput),
    ("items.jsonl", '{"subject":"a","item":"b"}\n', InvalidInput),
    ("items.jsonl", "[1]\n", InvalidInput),
    ("items.jsonl", '"items"\n', InvalidInput),
]


@pytest.mark.parametrize(("name", "content", "error"), BROKEN)
def test_a_file_that_is_not_what_it_should_be_is_told_in_one_sentence(
    engine: Engine, tmp_path: Path, name: str, content: str, error: type[ConsentLedgerError]
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(error) as told:
        read(engine, path)
    sentence = str(told.value)
    assert sentence.startswith("expected ")
    assert ", found " in sentence
    assert "\n" not in sentence
    assert "read_" not in sentence
    assert str(engine.folder) not in sentence


def test_bytes_that_are_no_text(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(b"subject,item,collected_at\n" + b"a,b,c\n" * 30_000 + b"\xe9,b,c\n")
    with pytest.raises(Unavailable, match=r"items\.csv"):
        read(engine, path)


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    csv, json = text(tmp_path / "a.csv", "subject,item,collected_at"), jsonl(tmp_path / "a.jsonl", item())
    other = text(tmp_path / "a.txt", "subject")
    with pytest.raises(InvalidInput, match="one format"):
        find_items((str(csv), str(json)))
    with pytest.raises(InvalidInput, match="named twice"):
        find_items((str(csv), str(tmp_path / "." / "a.csv"), f"{tmp_path}/../{tmp_path.name}/a.csv"))
    with pytest.raises(InvalidInput, match=r"a\.txt"):
        find_items((str(other),))
    with pytest.raises(Unavailable, match="no file"):
        find_items((str(tmp_path / "missing.csv"),))
    with pytest.raises(Unavailable, match="no file"):
        find_items((f"{tmp_path}/*.parquet",))
