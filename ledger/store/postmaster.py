"""One embedded server: its data made, itself started, found and stopped, also after a crash."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from ledger.errors import Unavailable
from ledger.files import sync
from ledger.store.server_home import ELSEWHERE, VERSION, Home, first_closed, unusable

# initdb writes these into postgresql.conf, where an operator looks for them and may change them.
SETTINGS = {
    "listen_addresses": "",  # no network, only the socket
    "max_connections": "300",  # a few processes with 64 threads each
    "shared_buffers": "128MB",
    "fsync": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",  # else each command would add lines to a log that nobody rotates
    "cluster_name": "consent-ledger",  # what `ps` shows
}

PATIENCE_SECONDS = 300  # for recovery after a crash, and for a process that waits for it; never reached otherwise
SILENCE_SECONDS = 20  # without any answer: its socket is gone (a cleaner of temporary files), or it is stopped
LOG_BYTES = 1_000_000  # a longer log is put aside at the next start
REJECTING = 1  # pg_isready: the server lives, and takes nobody at present
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 103  # what every system takes (Linux 107, others 103)
PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/-]*")  # what needs no quoting: not in a DSN, not in pg_ctl's shell line
IMPOSSIBLE_PID = 2**31 - 1  # above every system's limit


def initialise(home: Home, lock: int) -> None:
    """Create the data beside its place and rename it, so that a killed initdb leaves nothing that looks complete."""
    if home.data.exists() and any(home.data.iterdir()):
        raise Unavailable(
            f"{home.data} should be empty or the data of a PostgreSQL server, but has no PG_VERSION: move it away, or "
            f"{ELSEWHERE}."
        )
    new = home.directory / "postgres.new"
    if new.exists():
        shutil.rmtree(new)
    new.mkdir(mode=0o700)
    home.give(new)
    # The builtin C.UTF-8 sorts and folds alike on every system and for ever, whatever LANG and libc say.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # Whoever reaches the socket is trusted: it lies in a folder of mode 0700.
    access = ["--username=postgres", "--auth-local=trust", "--auth-host=reject"]
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    # initdb keeps our lock open: should we be killed, nobody begins again before it has ended.
    done = home.run("initdb", *locale, *access, *settings, "-D", str(new), keep=(lock,))
    if done.status != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise unusable(home.directory, OSError(done.last_line))
    new.rename(home.data)
    sync(home.directory)


class _Postmaster(NamedTuple):
    pid: int
    alive: bool
    sockets: str  # the folder of its socket, as it was given; empty while it starts


def _postmaster(home: Home) -> _Postmaster | None:
    """What postmaster.pid says, and whether it is true: after a crash its process id may be another program's."""
    try:
        lines = (home.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].strip().isdecimal():
        return None
    psutil: Any = importlib.import_module("psutil")  # comes with the wheel
    pid, alive = int(lines[0]), False
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        alive = process.name() == "postgres" and os.path.samefile(process.cwd(), home.data)
    return _Postmaster(pid, alive, lines[4].strip() if len(lines) > 4 else "")


def ensure_running(home: Home) -> Path:
    """Returns the folder of the socket, once the server answers there."""
    version = (home.data / "PG_VERSION").read_text(encoding="utf-8", errors="replace").strip()
    if version != VERSION:
        raise Unavailable(
            f"{home.data} should be data of PostgreSQL {VERSION}, but is data of version {version!r}: move it over "
            f"with that version's pg_dump, or {ELSEWHERE}."
        )
    begun = heard = time.monotonic()
    while heard - begun < PATIENCE_SECONDS and time.monotonic() - heard < SILENCE_SECONDS:
        server = _postmaster(home)
        if server is None or not server.alive:
            _launch(home, server)
            heard = time.monotonic()
            continue
        status = REJECTING  # while it has no socket yet
        if server.sockets:
            sockets = home.data / server.sockets
            # With the right names, else the server would log a refusal each time.
            asked = home.run("pg_isready", "-h", str(sockets), "-p", "5432", "-U", "postgres", "-d", "postgres")
            if asked.status == 0:
                return sockets
            status = asked.status
        if status == REJECTING:  # it is starting, recovering, or being stopped by somebody who did not ask us
            heard = time.monotonic()
        time.sleep(0.02)
    raise Unavailable(
        f"The embedded server in {home.directory} should answer on its socket, but did not for "
        f"{time.monotonic() - begun:.0f} s: see {home.data / 'log'}, end what uses this ledger, and try again."
    )


def _launch(home: Home, dead: _Postmaster | None) -> None:
    """Start the server. pg_ctl gives it a session of its own, so that a Ctrl-C on the terminal does not reach it."""
    if dead is not None:
        _bury(home, dead)
    log = home.data / "log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(home.data / "log.old")
    sockets = _socket_folder(home, dead)
    # In the shell line that pg_ctl makes is no path of the person's: the data is PGDATA, the log lies where we stand.
    options = ("-w", "-t", str(PATIENCE_SECONDS), "-l", "log", "-o", f"-k {sockets}")
    done = home.run("pg_ctl", "start", *options, cwd=home.data)
    server = _postmaster(home)
    if done.status != 0 and (server is None or not server.alive):
        _remove_sockets(sockets)
        reason = _fatal_line(log) or done.last_line
        raise Unavailable(
            f"The embedded server in {home.directory} should start, but did not ({reason}): see {log} and put that "
            f"right, or {ELSEWHERE}."
        )


def _bury(home: Home, dead: _Postmaster) -> None:
    """Clear up after a killed server where PostgreSQL would not: it never starts while the old process id is
    anybody's, as often after a container's restart, or a zombie's.

    The file is not removed: by its last lines PostgreSQL refuses to start beside a backend that outlived its server.
    """
    psutil: Any = importlib.import_module("psutil")
    if not psutil.pid_exists(dead.pid):
        return
    (home.data / dead.sockets / f"{SOCKET}.lock").unlink(missing_ok=True)
    file, new = home.data / "postmaster.pid", home.data / "postmaster.pid.new"
    lines = file.read_bytes().splitlines(keepends=True)
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(b"".join((b"%d\n" % IMPOSSIBLE_PID, *lines[1:])))
    home.give(new)
    new.replace(file)


def stop(home: Home) -> None:
    server = _postmaster(home)
    if server is not None and server.alive:
        done = home.run("pg_ctl", "stop", "-w", "-t", str(PATIENCE_SECONDS), "-m", "fast", cwd=home.data)
        if done.status == 0:
            _remove_sockets(server.sockets)


def _socket_folder(home: Home, dead: _Postmaster | None) -> str:
    """The folder for the socket: the data's own, or where that is no path for a socket, one for temporary files.

    Both have mode 0700 and belong to the server's account: other users of the machine cannot come in (root can).
    """
    path = str(home.data)
    if PLAIN_PATH.fullmatch(path) and len(path) + len(f"/{SOCKET}") <= SOCKET_PATH_BYTES:
        return "."
    if dead is not None and dead.sockets.startswith("/"):  # processes that still run have it in their DSN
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(dead.sockets)
            private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
            if private and status.st_uid == home.data.stat().st_uid:
                return dead.sockets
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - a new folder of random name and mode 0700
        room = SOCKET_PATH_BYTES - len(f"/consent-12345678/{SOCKET}")
        if not PLAIN_PATH.fullmatch(parent) or len(parent) > room or not os.access(parent, os.W_OK):
            continue
        if home.account is not None and first_closed(Path(os.path.realpath(parent)), home.account) is not None:
            continue
        folder = tempfile.mkdtemp(prefix="consent-", dir=parent)
        home.give(folder)
        return folder
    raise Unavailable(
        f"The path {path} should have at most {SOCKET_PATH_BYTES - len(SOCKET) - 1} plain characters, but has not, and "
        f"no folder for temporary files could take its socket: {ELSEWHERE}, or set TMPDIR."
    )


def _remove_sockets(folder: str) -> None:
    """Remove a folder that `_socket_folder` made."""
    if Path(folder).name.startswith("consent-"):
        shutil.rmtree(folder, ignore_errors=True)


def _fatal_line(log: Path) -> str:
    """Why the server ended, in its own words."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 10_000))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.split(":  ", 1)[1] for line in reversed(lines) if "FATAL:  " in line or "PANIC:  " in line), "")
