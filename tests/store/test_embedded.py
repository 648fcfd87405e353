"""The embedded server: real servers, real processes, real kills."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from ledger.errors import Unavailable
from ledger.store import embedded

ROOT = Path(__file__).parents[2]
SECONDS = 60  # until a test gives up; none needs a tenth of it

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server under another account")

# Uses the server until its input ends; its connection must live as long.
USER = """
import sys
from pathlib import Path
import psycopg
from ledger.store import embedded
with embedded.start(Path(sys.argv[1])) as server, psycopg.connect(server.dsn, autocommit=True) as db:
    print(db.execute("SELECT extract(epoch FROM pg_postmaster_start_time())").fetchone()[0], flush=True)
    sys.stdin.read()
    db.execute("SELECT 1")
"""

# Comes and goes; prints which server it found each time.
VISITOR = """
import random, sys, time
from pathlib import Path
import psycopg
from ledger.store import embedded
for _ in range(int(sys.argv[2])):
    with embedded.start(Path(sys.argv[1])) as server, psycopg.connect(server.dsn, autocommit=True) as db:
        print(db.execute("SELECT extract(epoch FROM pg_postmaster_start_time())").fetchone()[0], flush=True)
    time.sleep(random.random() / 5)
"""


@contextlib.contextmanager
def new_directory() -> Iterator[Path]:
    """Not below tmp_path: pytest closes that to others, so the account that root runs the server as could not pass."""
    above = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    above.chmod(0o711)
    directory = above / "ledger"
    directory.mkdir(mode=0o711)
    try:
        yield directory
    finally:
        end(directory)
        shutil.rmtree(above)


def end(directory: Path) -> None:
    """After a test that failed: the next one finds no server."""
    pid = postmaster(directory)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: postmaster(directory) is None)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A ledger directory without a server's data."""
    with new_directory() as directory:
        yield directory


@pytest.fixture(scope="module")
def created() -> Iterator[Path]:
    with new_directory() as directory:
        embedded.start(directory).close()
        yield directory


@pytest.fixture
def ledger(created: Path) -> Iterator[Path]:
    """A ledger directory that has its data already, which saves most of a second; no server runs."""
    yield created
    end(created)


def postmaster(directory: Path) -> int | None:
    """The process id of the directory's server, if it runs."""
    with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
        pid = int((directory / "postgres" / "postmaster.pid").read_text().split("\n")[0])
        if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            return pid
    return None


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.01)


def run(script: str, directory: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(directory), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ready(user: subprocess.Popen[str]) -> str:
    """Wait until it uses the server; returns which one (its time of start)."""
    assert user.stdout is not None
    line = user.stdout.readline()
    assert line, user.communicate()[1]
    return line


def leave(user: subprocess.Popen[str]) -> str:
    """End its input; it must end well and without a word of errors. Returns the rest of what it printed."""
    output, errors = user.communicate(timeout=SECONDS)
    assert (user.returncode, errors) == (0, "")
    return output


def kill(user: subprocess.Popen[str], with_signal: signal.Signals = signal.SIGKILL) -> None:
    user.send_signal(with_signal)
    user.communicate(timeout=SECONDS)
    assert user.returncode == -with_signal


def answer(dsn: str, question: str) -> object:
    with psycopg.connect(dsn) as db:
        row = db.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


# --- one process ------------------------------------------------------------------------------------------------------


def test_the_first_start_creates_the_data_and_the_last_close_stops_the_server(directory: Path) -> None:
    assert not embedded.is_initialised(directory)
    with embedded.start(directory) as server:
        assert embedded.is_initialised(directory)
        with psycopg.connect(server.dsn) as db:
            db.execute("CREATE TABLE kept AS SELECT 7 AS n")
        assert stat.S_IMODE((directory / "postgres").stat().st_mode) == 0o700
        assert postmaster(directory)
    assert postmaster(directory) is None
    server.close()
    with embedded.start(directory) as server:
        assert answer(server.dsn, "SELECT n FROM kept") == 7


def test_settings_do_not_depend_on_the_environment(directory: Path) -> None:
    odd = {"LANG": "xx_YY", "LC_ALL": "tr_TR.ISO-8859-9", "TZ": "Asia/Tokyo", "PGPORT": "9", "PGOPTIONS": ""}
    user = run(USER, directory, **odd, PGHOSTADDR="192.0.2.1", PGCHANNELBINDING="require", PGGSSENCMODE="require")
    ready(user)
    with embedded.start(directory) as server:
        shown = {
            name: answer(server.dsn, f"SHOW {name}")
            for name in ("fsync", "shared_buffers", "log_timezone", "timezone", "listen_addresses", "server_encoding")
        }
        locale = answer(
            server.dsn, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'postgres'"
        )
        connections = answer(server.dsn, "SHOW max_connections")
    leave(user)
    assert shown == {
        "fsync": "on",
        "shared_buffers": "128MB",
        "log_timezone": "UTC",
        "timezone": "UTC",
        "listen_addresses": "",
        "server_encoding": "UTF8",
    }
    assert locale == "bC.UTF-8"
    assert int(str(connections)) >= 300


def test_the_programs_reach_the_server_by_the_dsn(ledger: Path) -> None:
    with embedded.start(ledger) as server:
        for program in (["psql", "-Atc", "SELECT 1", "-d"], ["pg_dump", "-d"], ["pgbench", "-iq", "-I", "dt"]):
            subprocess.run([server.bin_path / program[0], *program[1:], server.dsn], check=True, capture_output=True)


def test_a_process_may_start_the_server_more_than_once(ledger: Path) -> None:
    first, second = embedded.start(ledger), embedded.start(ledger / ".." / "ledger")
    first.close()
    first.close()
    assert answer(second.dsn, "SELECT 1") == 1
    second.close()
    assert postmaster(ledger) is None


def test_threads_may_start_and_close_at_once(ledger: Path) -> None:
    barrier = threading.Barrier(8)

    def use(_: int) -> object:
        barrier.wait()
        with embedded.start(ledger) as server:
            return answer(server.dsn, "SELECT 1")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(8))) == [1] * 8
    assert postmaster(ledger) is None


def test_a_forked_child_stops_nothing_and_may_use_the_server_itself(ledger: Path) -> None:
    script = """
import os, sys
from pathlib import Path
import psycopg
from ledger.store import embedded
server = embedded.start(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    server.close()
    with embedded.start(Path(sys.argv[1])) as own, psycopg.connect(own.dsn) as db:
        db.execute("SELECT 1")
    sys.exit(5)  # by way of atexit
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
with psycopg.connect(server.dsn) as db:
    db.execute("SELECT 1")
if os.fork() == 0:
    os.close(1), os.close(2)
    sys.stdin.read()  # outlives its parent, and must not keep the server
    os._exit(0)
"""
    user = run(script, ledger)
    user.wait(SECONDS)  # closed by atexit alone
    assert user.returncode == 0
    assert postmaster(ledger) is None
    leave(user)


# --- many processes ---------------------------------------------------------------------------------------------------


def test_processes_that_create_one_ledger_at_once_share_a_server(directory: Path, tmp_path: Path) -> None:
    # Each has its own folders for temporary and runtime files: a lock that lay there would not be one lock.
    for n in range(4):
        (tmp_path / str(n)).mkdir()
    folders = [str(tmp_path / str(n)) for n in range(4)]
    users = [run(USER, directory, TMPDIR=folder, XDG_RUNTIME_DIR=folder) for folder in folders]
    assert len({ready(user) for user in users}) == 1
    for user in users:
        assert postmaster(directory)
        leave(user)
    assert postmaster(directory) is None


def test_short_processes_do_not_disturb_a_long_one(ledger: Path) -> None:
    long = run(USER, ledger)
    first = ready(long)
    visitors = [run(VISITOR, ledger, "6") for _ in range(3)]
    assert {line for visitor in visitors for line in leave(visitor).splitlines(keepends=True)} == {first}
    leave(long)
    assert postmaster(ledger) is None


def test_who_comes_while_the_last_one_leaves_gets_a_server(ledger: Path) -> None:
    visitors = [run(VISITOR, ledger, "8") for _ in range(3)]
    found = [leave(visitor).splitlines() for visitor in visitors]
    assert [len(lines) for lines in found] == [8, 8, 8]
    assert len({server for lines in found for server in lines}) > 3  # else nobody ever was the last one
    assert postmaster(ledger) is None


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_owner_leaves_the_server_to_the_next_one_who_stops_it(
    ledger: Path, with_signal: signal.Signals
) -> None:
    owner = run(USER, ledger)
    first = ready(owner)
    kill(owner, with_signal)
    assert postmaster(ledger)
    user = run(USER, ledger)
    assert ready(user) == first
    leave(user)
    assert postmaster(ledger) is None


def test_a_killed_process_is_nobody_to_wait_for(ledger: Path) -> None:
    killed, last = run(USER, ledger), run(USER, ledger)
    ready(killed)
    ready(last)
    kill(killed)
    leave(last)
    assert postmaster(ledger) is None


def test_an_interrupt_from_the_terminal_does_not_reach_the_server(ledger: Path) -> None:
    script = "import signal; signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))" + USER
    user = run(script, ledger)
    ready(user)
    os.killpg(user.pid, signal.SIGINT)
    assert user.stdout is not None
    assert user.stdout.readline() == "interrupted\n"
    time.sleep(0.2)
    leave(user)  # its connection still answered


def test_a_killed_creation_leaves_nothing_that_looks_complete(directory: Path) -> None:
    for delay in (0.0, 0.1, 0.3):
        user = run(USER, directory)
        wait_until((directory / "postgres.new").exists)
        time.sleep(delay)
        kill(user)
        assert not embedded.is_initialised(directory)
    with embedded.start(directory) as server:
        assert answer(server.dsn, "SELECT 1") == 1
    assert not (directory / "postgres.new").exists()


def test_nobody_creates_the_data_beside_the_initdb_of_a_killed_process(directory: Path) -> None:
    user = run(USER, directory)
    wait_until(lambda: bool(psutil.Process(user.pid).children()))
    initdb = psutil.Process(user.pid).children()[0]
    initdb.suspend()
    kill(user)
    with (directory / "postgres.lock").open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        initdb.resume()
    with embedded.start(directory) as server:
        assert answer(server.dsn, "SELECT 1") == 1


def crash(directory: Path) -> int:
    """Kill the server; returns the process id it had."""
    pid = postmaster(directory)
    assert pid is not None
    children = psutil.Process(pid).children()
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(children, timeout=SECONDS)
    wait_until(lambda: postmaster(directory) is None)
    return pid


def test_a_crashed_server_is_started_again_for_all(ledger: Path) -> None:
    with embedded.start(ledger) as before:
        with psycopg.connect(before.dsn) as db:
            db.execute("CREATE TABLE kept AS SELECT 7 AS n")
        crash(ledger)
        with embedded.start(ledger):
            assert answer(before.dsn, "SELECT n FROM kept") == 7
    assert postmaster(ledger) is None


def test_a_process_id_that_is_somebody_elses_by_now_does_not_stop_the_start(ledger: Path) -> None:
    user = run(USER, ledger)
    ready(user)
    account = (ledger / "postgres").stat()
    dead = crash(ledger)
    kill(user)
    who = {"user": account.st_uid, "group": account.st_gid} if os.geteuid() == 0 else {}
    other = subprocess.Popen(["sleep", "100"], **who)  # type: ignore[call-overload]
    try:
        for file in (ledger / "postgres" / "postmaster.pid", ledger / "postgres" / ".s.PGSQL.5432.lock"):
            file.write_text(file.read_text().replace(str(dead), str(other.pid), 1))
        with embedded.start(ledger) as server:
            assert answer(server.dsn, "SELECT 1") == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_lost_socket_is_an_error_at_once_and_mended_when_all_have_left(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.store.postmaster.SILENCE_SECONDS", 0.3)
    user = run(USER, ledger)
    ready(user)
    (ledger / "postgres" / ".s.PGSQL.5432").unlink()
    with pytest.raises(Unavailable, match=r"should answer on its socket"):
        embedded.start(ledger)
    leave(user)  # its connection still answered
    with embedded.start(ledger) as server:
        assert answer(server.dsn, "SELECT 1") == 1


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a" * 120, 'é 同, "q" \'$(touch x)'])
def test_any_printable_path_works(directory: Path, name: str) -> None:
    place = directory / name
    place.mkdir(mode=0o711)
    user = run(USER, place)
    ready(user)
    with embedded.start(place) as server:
        sockets = Path(str(psycopg.conninfo.conninfo_to_dict(server.dsn)["host"]))
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        crash(place)
        with embedded.start(place) as again:
            assert again.dsn == server.dsn  # who has it already can go on
            assert answer(server.dsn, "SELECT 1") == 1
    kill(user)
    with embedded.start(place):
        pass
    assert postmaster(place) is None
    assert not sockets.exists()


@pytest.mark.parametrize("name", ["line\nbreak", "not-utf-8-\udcff"])
def test_an_unprintable_path_is_refused(directory: Path, name: str) -> None:
    (directory / name).mkdir(mode=0o711)
    with pytest.raises(Unavailable, match=r"should be printable UTF-8"):
        embedded.start(directory / name)


# --- what cannot be ---------------------------------------------------------------------------------------------------


def test_the_directory_must_exist(directory: Path) -> None:
    with pytest.raises(Unavailable, match=r"should exist"):
        embedded.start(directory / "none")
    (directory / "file").touch()
    with pytest.raises(Unavailable, match=r"should exist"):
        embedded.start(directory / "file")
    assert not embedded.is_initialised(directory / "file")


def test_data_of_another_version_is_refused(directory: Path) -> None:
    with embedded.start(directory):
        pass
    (directory / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(Unavailable, match=r"data of PostgreSQL 18, but is data of version '16'"):
        embedded.start(directory)


def test_a_folder_of_something_else_is_not_touched(directory: Path) -> None:
    (directory / "postgres").mkdir()
    os.chown(directory / "postgres", 65534 if os.geteuid() == 0 else -1, -1)
    (directory / "postgres" / "diary").touch()
    with pytest.raises(Unavailable, match=r"has no PG_VERSION"):
        embedded.start(directory)
    assert [path.name for path in (directory / "postgres").iterdir()] == ["diary"]


def test_a_server_that_does_not_start_says_why(directory: Path) -> None:
    with embedded.start(directory):
        pass
    with (directory / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("shared_buffers = 'plenty'\n")
    with pytest.raises(Unavailable, match=r"should start, but did not \(.*postgresql.conf.*contains errors\)"):
        embedded.start(directory)
    with (directory / "postgres.users").open() as users:  # and this process no longer counts as a user
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_the_extra_the_error_names_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match=r"install the extra `embedded`"):
        embedded.start(directory)
    assert list(directory.iterdir()) == []


def test_every_error_is_ours(directory: Path) -> None:
    (directory / "postgres.lock").symlink_to("/nowhere")
    with pytest.raises(Unavailable, match=r"postgres\.lock"):
        embedded.start(directory)


# --- as root ----------------------------------------------------------------------------------------------------------


def modes(path: Path) -> list[tuple[Path, int]]:
    return [(folder, folder.stat().st_mode) for folder in (path, *path.parents)]


@root_only
def test_root_widens_no_folder_and_lends_the_server_nothing(directory: Path) -> None:
    before = modes(directory)
    user = run("import os; os.setgroups([0, 4])" + USER, directory)
    ready(user)
    assert modes(directory) == before
    assert (directory / "postgres").owner() == "pgserver"
    status = Path(f"/proc/{postmaster(directory)}/status").read_text()
    assert "\nGroups:\t \n" in status
    leave(user)


@root_only
@pytest.mark.parametrize("closed", ["ledger", "above"])
def test_root_is_refused_where_a_folder_would_have_to_be_widened(directory: Path, closed: str) -> None:
    folder = directory if closed == "ledger" else directory.parent
    folder.chmod(0o700)
    before = modes(directory)
    with pytest.raises(Unavailable, match=rf"o\+x\), but {folder} has mode 0700: choose another directory"):
        embedded.start(directory)
    assert modes(directory) == before
    assert list(directory.iterdir()) == []


@root_only
def test_root_is_refused_where_the_programs_lie_in_a_closed_folder(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = directory.parent / "venv" / "pginstall18" / "bin"
    programs.mkdir(parents=True)
    (programs / "postgres").touch(mode=0o755)
    (directory.parent / "venv").chmod(0o700)
    found = SimpleNamespace(submodule_search_locations=[str(directory.parent / "venv")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
    with pytest.raises(Unavailable, match=rf"but {directory.parent / 'venv'} has mode 0700"):
        embedded.start(directory)
    assert list(directory.iterdir()) == []


def as_nobody(action: Callable[[], object]) -> None:
    """Do it in a child that is no longer root; it must succeed."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
            os._exit(0)
        except BaseException as error:  # the child has no other way to say it
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@root_only
@pytest.mark.parametrize("name", ["ledger", "with blanks"])
def test_other_users_cannot_connect(directory: Path, name: str) -> None:
    place = directory / name
    place.mkdir(mode=0o711)

    def connect(dsn: str) -> None:
        with pytest.raises(psycopg.OperationalError, match=r"Permission denied"):
            psycopg.connect(dsn)

    with embedded.start(place) as server:
        as_nobody(lambda: connect(server.dsn))


@root_only
def test_a_normal_user_and_root_can_use_the_users_ledger(directory: Path) -> None:
    os.chown(directory, 65534, 65534)
    directory.chmod(0o700)

    def use() -> None:
        with embedded.start(directory) as server:
            assert answer(server.dsn, "SELECT 1") == 1

    as_nobody(use)
    use()
    as_nobody(use)
    assert {path.stat().st_uid for path in directory.rglob("*")} == {65534}


@root_only
def test_a_normal_user_is_refused_at_anothers_ledger(ledger: Path) -> None:
    with embedded.start(ledger):
        pass

    def refused() -> None:
        with pytest.raises(Unavailable, match=r"Permission denied"):
            embedded.start(ledger)
        with pytest.raises(Unavailable, match=r"Permission denied"):
            embedded.is_initialised(ledger)

    as_nobody(refused)
