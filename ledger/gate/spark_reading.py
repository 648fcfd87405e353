"""How the columns of Parquet become the ones that the gate reads, in Spark's SQL: reading.py says what they mean.

Which types they have is read from the files' own footers by DuckDB, for both engines: so both take and refuse the same.
"""

from __future__ import annotations

from ledger.errors import InvalidInput
from ledger.gate.inputs import Items
from ledger.gate.reading import INTEGERS, READ

#: RFC 3339 as reading.py has it; the parts are date, time, fraction and offset.
_TIME = (
    r"\A([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
    r"(?:([.][0-9]{1,6})[0-9]*)?([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])\z"
)
#: What stands in Parquet for the two infinities.
_INFINITE = 9_223_372_036_854_775_807


def check_readable(items: Items) -> None:
    """Refuses what this engine does not read."""
    if items.format != "parquet":
        raise InvalidInput(
            f"expected Parquet for --engine spark, found {items.format}; convert it, or leave out --engine"
        )


def check_columns(columns: dict[str, str]) -> None:
    """Refuses what this engine cannot read as the other does."""
    if odd := [name for name, kind in columns.items() if kind == "JSON" and name in READ]:
        raise InvalidInput(
            f"expected texts for --engine spark, found JSON in {', '.join(odd)}; write texts, or leave out --engine"
        )


def spelled(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def kept(name: str, kind: str) -> str:
    """A column for the output; nanoseconds, which Spark has as integers, are cut to microseconds."""
    if kind == "TIMESTAMP_NS":
        return f"CAST(timestamp_micros(own.{spelled(name)} div 1000) AS TIMESTAMP_NTZ) AS {spelled(name)}"
    return f"own.{spelled(name)}"


def given(columns: dict[str, str]) -> str:
    """What the gate reads, picked from the input's columns."""
    texts = [f"{_text(columns, name)} AS {name}" for name in ("kind", "plan")]
    names = [f"{_name(columns, name)} AS {name}" for name in ("subject", "item")]
    micros, exclude = _micros(columns["collected_at"]), _exclusion(columns)
    return ", ".join([*names, f"{micros} AS collected", *texts, f"{exclude} AS exclude"])


def _name(columns: dict[str, str], name: str) -> str:
    kind = columns[name]
    is_name = kind == "VARCHAR" or kind.startswith("ENUM") or kind.removeprefix("U") in INTEGERS
    return f"CAST({spelled(name) if is_name else 'NULL'} AS STRING)"


def _text(columns: dict[str, str], name: str) -> str:
    return f"CAST({spelled(name) if name in columns else 'NULL'} AS STRING)"


def _exclusion(columns: dict[str, str]) -> str:
    return "CASE WHEN exclude THEN 'excluded' END" if columns.get("exclude") == "BOOLEAN" else _text(columns, "exclude")


def _micros(kind: str) -> str:
    if kind == "TIMESTAMP_NS":
        return f"CASE WHEN abs(collected_at) < {_INFINITE} THEN collected_at div 1000 END"
    if kind.startswith("TIMESTAMP"):
        micros = "unix_micros(CAST(collected_at AS TIMESTAMP))"
        return f"CASE WHEN {micros} > -{_INFINITE} AND {micros} < {_INFINITE} THEN {micros} END"
    if kind != "VARCHAR":
        return "CAST(NULL AS BIGINT)"
    local = f"regexp_replace(collected_at, '{_TIME}', '$1T$2$3Z')"
    offset = "regexp_replace(upper(right(collected_at, 6)), '\\A.*Z\\z', '+00:00')"
    hours, minutes = f"try_cast(substr({offset}, 2, 2) AS BIGINT)", f"try_cast(substr({offset}, 5, 2) AS BIGINT)"
    ahead = f"(CASE left({offset}, 1) WHEN '-' THEN -1 ELSE 1 END) * ({hours} * 60 + {minutes}) * 60000000"
    return (
        f"CASE WHEN regexp_like(collected_at, '{_TIME}') THEN unix_micros(try_cast({local} AS TIMESTAMP)) - {ahead} END"
    )
