"""What it was measured on."""

from __future__ import annotations

import os
import platform
import re
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

#: Writes that are waited for, to see what one costs here.
SYNCS = 50


def describe() -> list[str]:
    """In a few lines: processor, memory, disk, system and the versions of what was measured."""
    processor = _first("/proc/cpuinfo", r"model name\s*: (.*)")
    packages = ", ".join(f"{name} {version(name)}" for name in ("psycopg", "eventsourcing", "duckdb", "msgspec"))
    return [
        f"{os.cpu_count()} cores ({processor}), {_gibibytes()} GiB of memory, Linux {platform.release()}",
        f"a write of 8 KiB that is waited for (fdatasync) takes {_sync():.2f} ms at the median",
        f"Python {platform.python_version()}, {packages}",
    ]


def load() -> str:
    """What the machine does beside: the load averages of the last minute and quarter of an hour."""
    one, _, fifteen = os.getloadavg()
    return f"{one:.1f} and {fifteen:.1f}"


def _first(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text(encoding="utf-8", errors="replace"))
    return found[1].strip() if found else "unknown"


def _gibibytes() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3)


def _sync() -> float:
    with tempfile.NamedTemporaryFile() as file:
        took = []
        for _ in range(SYNCS):
            file.write(bytes(8_192))
            file.flush()
            before = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - before)
    return sorted(took)[SYNCS // 2] * 1_000
