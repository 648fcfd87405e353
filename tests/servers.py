"""The PostgreSQL server of the system, run for the tests as a private cluster: Debian's is of version 15."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

SYSTEM = Path("/usr/lib/postgresql")
#: The account of the package; PostgreSQL refuses to run as root.
ACCOUNT = "postgres"
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "fsync": "off",  # nothing here outlives the machine
    "log_min_messages": "fatal",
}


def system_programs() -> Path | None:
    """The folder of the programs of the system's oldest server, of those that the ledger runs on."""
    found = [path.parent for path in SYSTEM.glob("*/bin/initdb") if int(path.parts[-3]) >= 15]
    return min(found, key=lambda path: int(path.parts[-2]), default=None)


def start_system(programs: Path, home: Path) -> str:
    """Starts the server in `home`, or joins it where another worker was faster; its URL."""
    home.mkdir(mode=0o711, exist_ok=True)
    with open(home / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = home / "data"
        if not data.exists():
            data.mkdir(mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(data, ACCOUNT)
                shutil.chown(home, ACCOUNT)
            access = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
            _run([str(programs / "initdb"), "--no-sync", *access, "-D", str(data)])
        if not (data / "postmaster.pid").exists():
            settings = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
            options = f"-k {home} {settings}"
            _run([str(programs / "pg_ctl"), "start", "-w", "-D", str(data), "-l", str(data / "log"), "-o", options])
    return url_of(f"host={home} user=postgres dbname=postgres")


def stop_system(home: Path) -> None:
    """Stops the server in `home`, if one runs there."""
    programs = system_programs()
    if programs is not None and (home / "data" / "postmaster.pid").exists():
        _run([str(programs / "pg_ctl"), "stop", "-m", "immediate", "-D", str(home / "data")])


def _run(command: list[str]) -> None:
    account = pwd.getpwnam(ACCOUNT).pw_uid if os.geteuid() == 0 else None
    subprocess.run(command, check=True, user=account, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def url_of(dsn: str) -> str:
    """The URL that says the same as a DSN of a server on a socket."""
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    database = quote(parts.pop("dbname"), safe="")
    return f"postgresql:///{database}?{urlencode(parts, quote_via=quote)}"


def with_database(url: str, name: str) -> str:
    """The same server's other database."""
    server, _, rest = url.removeprefix("postgresql:///").partition("?")
    assert server, "expected a URL made by url_of"
    return f"postgresql:///{name}?{rest}"
