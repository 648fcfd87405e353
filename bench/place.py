"""A ledger of the bench's own: an embedded server in a folder that is thrown away, and what runs beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ledger.application import open_ledger
from ledger.domain.terms import Terms, parse_terms
from ledger.settings import Place
from ledger.store import embedded
from ledger.store.location import create_ledger

TERMS = Path("examples/terms/2025-09-28.toml")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, and the folder of its bench."""

    folder: Path
    embedded: embedded.EmbeddedServer

    def program(self, name: str) -> str:
        return str(self.embedded.bin_path / name)

    def admin(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def url(self, database: str) -> str:
        """The URL of one of its databases, as the command and every peer understand it."""
        parts = {name: str(value) for name, value in conninfo_to_dict(self.embedded.dsn).items() if name != "dbname"}
        return f"postgresql:///{database}?{urlencode(parts, quote_via=quote)}"

    def parts(self) -> dict[str, str]:
        return {name: str(value) for name, value in conninfo_to_dict(self.embedded.dsn).items()}

    def new_ledger(self, name: str) -> Place:
        """An empty ledger in a database of its own, with the terms published."""
        self.admin(f"CREATE DATABASE {name}")
        place = Place(self.url(name), None, self.folder / f"state-{name}")
        create_ledger(place, None)
        with open_ledger(place) as ledger:
            ledger.publish(terms())
        return place

    def drop(self, name: str) -> None:
        self.admin(f"DROP DATABASE {name} WITH (FORCE)")
        # What the last side left to be written is not the next one's to wait for.
        self.admin("CHECKPOINT")


def terms() -> Terms:
    return parse_terms(TERMS.read_text(encoding="utf-8"))


@contextmanager
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="consent-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the embedded server's own user must get through
        home = folder / "server"
        home.mkdir(mode=0o755)
        with embedded.start(home) as started:
            yield Server(folder, started)


#: Starts a command and tells the most memory it held, in KiB, and its seconds of processor time. Asked by the bench
#: itself, the system would answer with no less than the bench holds: the peak of the process that forks counts for what
#: it becomes.
LAUNCHER = """
import os, sys
told = int(sys.argv[1])
os.set_inheritable(told, False)
_, status, used = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
os.write(told, f"{used.ru_maxrss} {used.ru_utime + used.ru_stime}".encode())
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended: seconds, of processor time too, the most memory it held, in MiB, and what it said."""

    seconds: float
    processor: float
    peak: float
    said: str


def run(command: Sequence[str], place: Place | None = None) -> Done:
    """Runs a command to its end; `place` is the ledger that `consent` finds."""
    environment = dict(os.environ)
    if place is not None:
        environment |= {"CONSENT_LEDGER": place.url or str(place.directory), "CONSENT_STATE": str(place.state)}
    reading, told = os.pipe()
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(told)]
    with open(reading, "rb") as used, tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        done = subprocess.run(
            [*launcher, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=[told],
            check=False,
        )
        seconds = time.perf_counter() - begun
        os.close(told)
        said.seek(0)
        text = said.read().decode(errors="replace")
        if done.returncode != 0:
            raise RuntimeError(f"expected `{' '.join(command[-3:])}` to succeed, found: {text[-300:]}")
        peak, processor = used.read().split()
        return Done(seconds, float(processor), int(peak) / 1024, text)


def consent(*arguments: str, place: Place) -> Done:
    """Runs the command line, from its start to its end."""
    return run([sys.executable, "-m", "cli.main", *arguments], place)
