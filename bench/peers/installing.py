"""What is compared and is no package of ours: installed into a folder of the bench's own, by pip and npm, each pinned.

A peer that cannot be installed is named in the report with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path("bench/peers/installed")
UMADB = "umadb==0.7.8"
EMMETT = "@event-driven-io/emmett-postgresql@0.42.0"
MESSAGE_DB = "@eventide/message-db@1.3.1"


@dataclass(slots=True)
class Peers:
    """Where the peers are; one that is absent is None, with its reason in `absent`."""

    umadb: Path | None = None
    emmett: Path | None = None
    message_db: Path | None = None
    absent: dict[str, str] = field(default_factory=dict)


def install(folder: Path = FOLDER) -> Peers:
    """Installs what is missing; what is there already stays, so a second run needs no registry."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    peers = Peers()
    peers.umadb = _python_package(folder / "python", peers)
    modules = folder / "node_modules"
    node_packages = {"Emmett": (EMMETT, modules / "@event-driven-io" / "emmett-postgresql" / "package.json")}
    node_packages["message-db"] = (MESSAGE_DB, modules / "@eventide" / "message-db" / "package.json")
    for name, (package, there) in node_packages.items():
        if not there.exists():
            _node_package(folder, name, package, peers)
    if "Emmett" not in peers.absent:
        peers.emmett = folder
    if "message-db" not in peers.absent:
        peers.message_db = modules / "@eventide" / "message-db" / "database"
    return peers


def nothing() -> Peers:
    """For a run that is to need no registry."""
    reason = "left out: this run was told to install nothing"
    return Peers(absent={"UmaDB": reason, "Emmett": reason, "message-db": reason})


def _python_package(environment: Path, peers: Peers) -> Path | None:
    """An environment of its own: it must not meet the versions that are pinned for us."""
    if not (environment / "bin" / "umadb").exists():
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        try:
            _run([sys.executable, "-m", "venv", "--clear", str(environment)])
            _run([*pip, "--only-binary", ":all:", UMADB])
        except RuntimeError as error:
            peers.absent["UmaDB"] = str(error)
            return None
    return environment / "bin"


def _node_package(folder: Path, name: str, package: str, peers: Peers) -> None:
    try:
        if shutil.which("npm") is None:
            _install_npm()
        _run(
            ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", "-s", package],
        )
    except RuntimeError as error:
        peers.absent[name] = str(error)


def _install_npm() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError("npm is not installed (Debian and Ubuntu: apt-get install npm)")
    _run(["apt-get", "-q", "update"])
    _run(["apt-get", "-y", "-q", "install", "--no-install-recommends", "nodejs", "npm"])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{command[0]} could not be run: {error}") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(f"`{Path(command[0]).name} … {command[-1]}` failed: {lines[-1] if lines else 'no reason'}")
