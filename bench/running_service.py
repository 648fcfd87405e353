"""A service in a process of its own: started, watched while it is asked, and ended.

On its first line it says where it listens: `consent --json serve` in an object, the bare endpoint plainly.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench import calling
from ledger.settings import Place

#: The ledger's own, on a port that is free, with everything that runs beside it.
LEDGER = ("cli.main", "--json", "serve", "--port", "0")


@dataclass(frozen=True, slots=True)
class RunningService:
    """Where it listens, and what its process takes (proc(5))."""

    url: str
    process: int

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """The memory that it holds now, in MiB."""
        return self._mebibytes("VmRSS")

    def peak(self) -> float:
        """The most memory that it has held, in MiB."""
        return self._mebibytes("VmHWM")

    def _mebibytes(self, of: str) -> float:
        status = Path(f"/proc/{self.process}/status").read_text(encoding="ascii")
        return int(status.partition(f"{of}:")[2].split()[0]) / 1024


@contextmanager
def started(module: Sequence[str], at: Place) -> Iterator[RunningService]:
    """A module and its arguments, on this ledger; it ends with the block."""
    environment = {**os.environ, "CONSENT_LEDGER": at.url or "", "CONSENT_STATE": str(at.state)}
    running = subprocess.Popen(
        [sys.executable, "-m", *module],
        env=environment,
        stdout=subprocess.PIPE,
        # Its log: nobody reads it here, and a pipe would be full some time.
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        said = calling.pipe(running.stdout).readline().strip()
        if not said:
            raise RuntimeError(f"expected {module[0]} to say where it listens, found that it ended; start it by hand")
        yield RunningService(json.loads(said)["url"] if said.startswith("{") else said, running.pid)
    finally:
        running.terminate()
        running.communicate()
