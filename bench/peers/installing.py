"""What is compared and is no package of ours: installed into a folder of the bench's own, by pip and npm.

Each package is pinned by its hash, in the files beside this one. A peer that cannot be installed is named in the report
with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE / "installed"
PYTHON_PINS = HERE / "requirements.txt"
NODE_PACKAGES, NODE_PINS = HERE / "package.json", HERE / "package-lock.json"
#: A registry that does not answer until then is given up.
PATIENCE_SECONDS = 300


@dataclass(slots=True)
class Peers:
    """Where the peers are; one that is absent is None, with its reason in `absent`."""

    umadb: Path | None = None
    emmett: Path | None = None
    message_db: Path | None = None
    absent: dict[str, str] = field(default_factory=dict)


def install(folder: Path = FOLDER) -> Peers:
    """Installs what is missing; what is there as it is pinned stays, so a second run needs no registry."""
    peers = Peers()
    try:
        python = _once(folder / "python", PYTHON_PINS, _python_packages)
        peers.umadb = python / "bin"
    except RuntimeError as error:
        peers.absent["UmaDB"] = str(error)
    try:
        node = _once(folder / "node", NODE_PINS, _node_packages)
        peers.emmett = node
        peers.message_db = node / "node_modules" / "@eventide" / "message-db" / "database"
    except RuntimeError as error:
        peers.absent |= dict.fromkeys(("Emmett", "message-db"), str(error))
    return peers


def nothing() -> Peers:
    """For a run that is to need no registry."""
    reason = "this run was told to install nothing"
    return Peers(absent={"UmaDB": reason, "Emmett": reason, "message-db": reason})


def _once(folder: Path, pins: Path, install_into: Callable[[Path], None]) -> Path:
    """The folder with what is pinned in it; the copy of the pins says that it is whole."""
    done = folder / "installed-from"
    if not (done.exists() and done.read_bytes() == pins.read_bytes()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install_into(folder)
        shutil.copyfile(pins, done)
    return folder


def _python_packages(folder: Path) -> None:
    """An environment of its own: it must not meet the versions that are pinned for us."""
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    _run([*pip, "--only-binary", ":all:", "--require-hashes", "-r", str(PYTHON_PINS)])


def _node_packages(folder: Path) -> None:
    if shutil.which("npm") is None:
        _install_npm()
    for pinned in (NODE_PACKAGES, NODE_PINS):
        shutil.copy(pinned, folder)
    _run(["npm", "ci", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", "-s"])


def _install_npm() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError("npm is not installed (Debian and Ubuntu: apt-get install npm)")
    _run(["apt-get", "-q", "update"])
    _run(["apt-get", "-y", "-q", "install", "--no-install-recommends", "nodejs", "npm"])


def _run(command: list[str]) -> None:
    name = " ".join([Path(command[0]).name, *command[1:2]])
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"`{name} …` did not end within {PATIENCE_SECONDS} s") from None
    except OSError as error:
        raise RuntimeError(f"`{name} …` could not be run: {error.strerror}") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(f"`{name} …` failed: {lines[-1] if lines else 'no reason'}")
