"""The item files: which they are, what they hash to, and how each format's columns become the ones the gate reads."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ledger.domain.events import InputFile
from ledger.errors import InvalidInput, Unavailable

#: By the end of the name, a compressed one's without `.gz`.
FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
NEEDED = ("subject", "item", "collected_at")
OPTIONAL = ("kind", "plan", "exclude")
#: What the outputs add; an input with such a column of its own would be ambiguous.
ADDED = ("row", "stream", "use", "basis", "quality", "terms", "keep_until", "reason", "detail")
_CHUNK = 1 << 20
#: RFC 3339 with an offset; a text without one names no moment.
_TIME = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
    r"(?:(\.[0-9]{1,6})[0-9]*)?([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


@dataclass(frozen=True, slots=True)
class Items:
    """The files of one data set, all of one format, in the order they are read."""

    files: tuple[Path, ...]
    format: str

    def fingerprints(self, advance: Callable[[int], None] = lambda _: None) -> list[InputFile]:
        """Size and SHA-256 of each file, in the order of the digests; `advance` hears of each chunk's bytes."""
        return sorted((_fingerprint(path, advance) for path in self.files), key=lambda file: (file.sha256, file.bytes))

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)


def find_items(named: tuple[str, ...]) -> Items:
    """The files that these paths, folders and patterns name."""
    files = [path for name in named for path in _files_of(name)]
    if len(set(files)) != len(files):
        raise InvalidInput("expected each item file once, found one named twice; name it once")
    formats = {_format_of(path) for path in files}
    if len(formats) != 1:
        raise InvalidInput(f"expected item files of one format, found {', '.join(sorted(formats))}; filter them apart")
    return Items(tuple(files), formats.pop())


def _files_of(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        found = sorted(inner for inner in path.iterdir() if _suffix(inner) in FORMATS)
    elif path.exists():
        found = [path]
    else:
        found = sorted(Path(match) for match in glob.glob(name))
    if not found:
        raise Unavailable(f"expected items in {name}, found no file of {', '.join(FORMATS)}; check the path")
    return found


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _format_of(path: Path) -> str:
    if _suffix(path) not in FORMATS:
        raise InvalidInput(f"expected items in a file of {', '.join(FORMATS)}, found {path.name}; convert it")
    return FORMATS[_suffix(path)]


def _fingerprint(path: Path, advance: Callable[[int], None]) -> InputFile:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                advance(len(chunk))
    except OSError as error:
        raise Unavailable(f"expected to read {path}, found: {error.strerror}") from None
    return InputFile(bytes=size, sha256=digest.hexdigest())


def load(engine: duckdb.DuckDBPyConnection, items: Items) -> None:
    """Makes `source`, all columns with their row number from 1 in input order, and `given`, what the gate reads."""
    try:
        reader, columns = _reader(engine, items)
        _check_columns(columns)
        engine.execute(f'CREATE TABLE source AS SELECT row_number() OVER () AS "row", * FROM {reader}')  # noqa: S608
    except duckdb.Error as error:
        raise Unavailable(
            f"expected to read the items as {items.format}, found: {str(error).splitlines()[0]}; put the file right"
        ) from None
    picked = [
        _as_text(columns, "subject"),
        _as_text(columns, "item"),
        f"{_as_micros(columns['collected_at'])} AS collected",
        _as_text(columns, "kind"),
        _as_text(columns, "plan"),
        _as_exclusion(columns),
    ]
    engine.execute(f'CREATE VIEW given AS SELECT "row", {", ".join(picked)} FROM source')  # noqa: S608


def _reader(engine: duckdb.DuckDBPyConnection, items: Items) -> tuple[str, dict[str, str]]:
    """The table function that reads the files, and the types of the columns it gives."""
    files = f"[{', '.join(_quoted(str(path)) for path in items.files)}]"
    match items.format:
        case "parquet":
            reader = f"read_parquet({files}, union_by_name = true)"
        case "csv":
            # As text: a type guessed from some rows must not make another row unreadable, or a time lose its offset.
            reader = f"read_csv({files}, header = true, all_varchar = true, union_by_name = true)"
        case _:
            # Every line is looked at for its columns. Texts stay texts, whatever they look like.
            guess = f"read_json({files}, format = 'newline_delimited', sample_size = -1, union_by_name = true)"
            types = _types(engine, guess)
            spelled = ", ".join(f"{_quoted(name)}: {_quoted(_json_type(kind))}" for name, kind in types.items())
            reader = f"read_json({files}, format = 'newline_delimited', columns = {{{spelled}}})"
    return reader, _types(engine, reader)


def _types(engine: duckdb.DuckDBPyConnection, reader: str) -> dict[str, str]:
    rows = engine.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()  # noqa: S608 - our own text and quoted paths
    return {str(row[0]): str(row[1]) for row in rows}


def _json_type(guessed: str) -> str:
    return "VARCHAR" if guessed.startswith(("TIMESTAMP", "DATE", "TIME", "UUID")) else guessed


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


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


def _as_text(columns: dict[str, str], name: str) -> str:
    """A column as text; integers become decimal, and of everything else only text is one."""
    kind = columns.get(name)
    if kind == "VARCHAR":
        return f'"{name}"'
    if kind is not None and kind.lstrip("U") in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"):
        return f'CAST("{name}" AS VARCHAR) AS "{name}"'
    if kind is not None and kind.startswith("ENUM"):
        return f'CAST("{name}" AS VARCHAR) AS "{name}"'
    if kind == "JSON":
        scalar = f"json_type(\"{name}\") IN ('VARCHAR', 'BIGINT', 'UBIGINT')"
        return f'CASE WHEN {scalar} THEN "{name}" ->> \'$\' END AS "{name}"'
    return f'CAST(NULL AS VARCHAR) AS "{name}"'


def _as_micros(kind: str) -> str:
    """`collected_at` in microseconds since 1970; finer times are cut down, a text without an offset is no time.

    A column of timestamps without a zone holds UTC, as Parquet writers of UTC data that drop the mark mean it.
    """
    if kind.startswith("TIMESTAMP"):
        return 'CASE WHEN isfinite("collected_at") THEN epoch_us("collected_at") END'
    if kind not in ("VARCHAR", "JSON"):
        return "CAST(NULL AS BIGINT)"
    text = '"collected_at"' if kind == "VARCHAR" else "(\"collected_at\" ->> '$')"
    cut = f"regexp_replace({text}, '^{_TIME}$', '\\1T\\2\\3\\4')"
    return f"CASE WHEN regexp_full_match({text}, '{_TIME}') THEN epoch_us(TRY_CAST(upper({cut}) AS TIMESTAMPTZ)) END"


def _as_exclusion(columns: dict[str, str]) -> str:
    """Why an item must not be used; what is neither text nor `false` excludes: nobody said that it does not."""
    kind = columns.get("exclude")
    if kind is None:
        return "CAST(NULL AS VARCHAR) AS exclude"
    if kind == "BOOLEAN":
        return "CASE WHEN \"exclude\" THEN 'excluded' END AS exclude"
    if kind == "JSON":
        return "CASE WHEN \"exclude\" ->> '$' NOT IN ('', 'false') THEN \"exclude\" ->> '$' END AS exclude"
    return 'CAST("exclude" AS VARCHAR) AS exclude'
