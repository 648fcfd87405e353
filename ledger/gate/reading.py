"""How the columns of each format become the ones that the gate reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from ledger.errors import InvalidInput, Unavailable
from ledger.gate.duckdb_text import file_literal, first_line, quoted
from ledger.gate.inputs import Items

NEEDED = ("subject", "item", "collected_at")
OPTIONAL = ("kind", "plan", "exclude")
READ = (*NEEDED, *OPTIONAL)
#: What the outputs add; an input with such a column of its own would be ambiguous.
ADDED = ("row", "stream", "use", "basis", "quality", "terms", "keep_until", "reason", "detail")
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
#: What the engine appends to the name of a column that it met before, in whatever case.
_NUMBERED = re.compile(r"_[0-9]+\Z")
_CSV_ERROR = re.compile(r"CSV Error on Line: ([0-9]+)\n.*\n  file = ([^\n]*)\n", re.DOTALL)
_CSV_REASONS = ("Expected Number of Columns", "unterminated quote", "Invalid unicode", "Maximum line size")
#: CSV as RFC 4180 has it. A dialect guessed from some rows may lose others: a row that begins with # is no comment.
_CSV = "header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', comment = '', skip = 0"
#: Every line of every file is looked at for its columns, and a text that looks like a date stays a text.
_JSON_GUESS = "sample_size = -1, maximum_sample_files = 9223372036854775807, dateformat = '%%', timestampformat = '%%'"
#: Of several files each may lack columns of the others; what their folders are called is no column.
_FILES = "union_by_name = true, hive_partitioning = false"
#: RFC 3339 with an offset; a text without one names no moment.
_TIME = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
    r"(?:(\.[0-9]{1,6})[0-9]*)?([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def load(engine: duckdb.DuckDBPyConnection, items: Items) -> None:
    """Makes `source`, all that the files say, and `given`: of each row the number, from 1 in input order, what the
    gate reads, and all columns as `own`."""
    with _told(items):
        reader, columns = _reader(engine, items)
        _check_columns(columns)
        engine.execute(f'CREATE TABLE source AS SELECT row_number() OVER () AS "row", * FROM {reader}')  # noqa: S608
    picked = [
        as_name(columns, "subject"),
        as_name(columns, "item"),
        f"{as_micros(columns['collected_at'])} AS collected",
        _as_text(columns, "kind"),
        _as_text(columns, "plan"),
        _as_exclusion(columns),
    ]
    # Each by its name: a column may be called as the table is.
    own = ", ".join(f"{_spelled(name)} := {_spelled(name)}" for name in columns)
    picked.append(f"struct_pack({own}) AS own")
    engine.execute(f'CREATE VIEW given AS SELECT "row", {", ".join(picked)} FROM source')  # noqa: S608


def columns_of(engine: duckdb.DuckDBPyConnection, items: Items) -> dict[str, str]:
    """The columns of the files and their types, without reading more than these."""
    with _told(items):
        _, columns = _reader(engine, items)
        _check_columns(columns)
        return columns


@contextmanager
def _told(items: Items) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise Unavailable(
            f"expected to read the items as {items.format}, found {_what_is_wrong(error)}; put the file right"
        ) from None


def _reader(engine: duckdb.DuckDBPyConnection, items: Items) -> tuple[str, dict[str, str]]:
    """The table function that reads the files, and the types of the columns it gives."""
    files = f"[{', '.join(file_literal(path) for path in items.files)}], {_FILES}"
    match items.format:
        case "parquet":
            reader = f"read_parquet({files})"
        case "csv":
            # As text: a type guessed from some rows must not make another row unreadable, or a time lose its offset.
            reader = f"read_csv({files}, {_CSV})"
        case _:
            return _json_reader(engine, f"{files}, format = 'newline_delimited'")
    return reader, _types(engine, reader)


def _json_reader(engine: duckdb.DuckDBPyConnection, files: str) -> tuple[str, dict[str, str]]:
    types = _types(engine, f"read_json({files}, {_JSON_GUESS})")
    columns = {name: "VARCHAR" if kind in ("TIME", "UUID") else kind for name, kind in types.items()}
    if columns == {"json": "JSON"}:
        # Without one object there are no columns to find; without one line there is nothing wrong either.
        reader = f"read_json({files}, columns = {{json: 'JSON'}})"
        if engine.execute(f"SELECT 1 FROM {reader} LIMIT 1").fetchone() is None:  # noqa: S608 - our own text
            columns = dict.fromkeys(NEEDED, "VARCHAR")
    spelled = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in columns.items())
    return f"read_json({files}, columns = {{{spelled}}})", columns


def _types(engine: duckdb.DuckDBPyConnection, reader: str) -> dict[str, str]:
    rows = engine.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()  # noqa: S608 - our own text and quoted paths
    return {str(row[0]): str(row[1]) for row in rows}


def _what_is_wrong(error: duckdb.Error) -> str:
    """What the engine says of a file, as part of a sentence: neither the line itself nor advice on the engine."""
    said = str(error)
    if "when sniffing file" in said:
        file = said.partition('file "')[2].partition('"')[0]
        return f"rows in {file} with other columns than the header, or a quote that does not end"
    if found := _CSV_ERROR.search(said):
        why = next((why for why in _CSV_REASONS if why in said), "a broken row")
        return f"line {found[1]} of {found[2]}: {why}"
    return first_line(error)


def _check_columns(columns: dict[str, str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise InvalidInput(
            f"expected the columns {', '.join(NEEDED)}, found no {', '.join(missing)} among "
            f"{', '.join(columns) or 'none'}; rename the columns"
        )
    taken = [name for name in columns if name.lower() in ADDED]
    if taken:
        raise InvalidInput(f"expected no column of a name that the output adds, found {', '.join(taken)}; rename it")
    # An `Exclude` that nobody reads would let through what must not pass, and so would a second `exclude`, which
    # the engine renames.
    unread = [name for name in columns if name not in READ and _NUMBERED.sub("", name.lower()) in READ]
    if unread:
        raise InvalidInput(
            f"expected each of the columns {', '.join(READ)} at most once and in lower case, found "
            f"{', '.join(unread)} among {', '.join(columns)}; rename it"
        )


def kept(name: str, kind: str) -> str:
    """A column of the input for the output, from `own`.

    Of texts and integers mixed, which JSON may hold, the names as they were read.
    """
    column = _spelled(name)
    return f"own.{column} ->> '$' AS {column}" if kind == "JSON" and name in READ else f"own.{column}"


def _spelled(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def as_name(columns: dict[str, str], name: str) -> str:
    """A column of names: integers become decimal, and of everything else only text is one."""
    kind = columns[name]
    if kind == "JSON":
        scalar = f"json_type(\"{name}\") IN ('VARCHAR', 'BIGINT', 'UBIGINT')"
        return f'CASE WHEN {scalar} THEN "{name}" ->> \'$\' END AS "{name}"'
    if kind == "VARCHAR" or kind.startswith("ENUM") or kind.removeprefix("U") in INTEGERS:
        return f'CAST("{name}" AS VARCHAR) AS "{name}"'
    return f'CAST(NULL AS VARCHAR) AS "{name}"'


def _as_text(columns: dict[str, str], name: str) -> str:
    """An optional column, whatever it holds: an odd kind or plan is refused, and never taken for a missing one."""
    kind = columns.get(name)
    if kind is None:
        return f'CAST(NULL AS VARCHAR) AS "{name}"'
    return f'"{name}" ->> \'$\' AS "{name}"' if kind == "JSON" else f'CAST("{name}" AS VARCHAR) AS "{name}"'


def as_micros(kind: str) -> str:
    """`collected_at` in microseconds since 1970; finer times are cut down, a text without an offset is no time.

    A column of timestamps without a zone holds UTC, as Parquet writers of UTC data that drop the mark mean it.
    """
    if kind == "TIMESTAMP_NS":
        # The engine would round to the nearest: an item is not collected later than it was.
        return 'CASE WHEN isfinite("collected_at") THEN epoch_ns("collected_at") // 1000 END'
    if kind.startswith("TIMESTAMP"):
        return 'CASE WHEN isfinite("collected_at") THEN epoch_us("collected_at") END'
    if kind not in ("VARCHAR", "JSON"):
        return "CAST(NULL AS BIGINT)"
    text = '"collected_at"' if kind == "VARCHAR" else "(\"collected_at\" ->> '$')"
    cut = f"regexp_replace({text}, '^{_TIME}$', '\\1T\\2\\3\\4')"
    return f"CASE WHEN regexp_full_match({text}, '{_TIME}') THEN epoch_us(TRY_CAST(upper({cut}) AS TIMESTAMPTZ)) END"


def _as_exclusion(columns: dict[str, str]) -> str:
    """Why an item must not be used; what is neither text nor false excludes: nobody said that it does not."""
    kind = columns.get("exclude")
    if kind == "BOOLEAN":
        return "CASE WHEN \"exclude\" THEN 'excluded' END AS exclude"
    if kind == "JSON":
        is_false = "json_type(\"exclude\") = 'BOOLEAN' AND \"exclude\" ->> '$' = 'false'"
        return f"CASE WHEN NOT ({is_false}) THEN \"exclude\" ->> '$' END AS exclude"
    return _as_text(columns, "exclude")
