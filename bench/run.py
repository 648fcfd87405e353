"""`make bench`: installs what is compared, measures every section in turn, and writes the report and its picture.

Usage: python -m bench.run [--size full|small] [--only SECTION…] [--out FOLDER] [--install-nothing]
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import machine, report
from bench.figures import Findings
from bench.peers import installing
from bench.sizes import SIZES, Sizes

#: Each a module with `measure(sizes, peers)`, run in a process of its own: what one holds in memory is not the next's.
SECTIONS = ("appends", "bulk", "gating", "auditing", "checkpointing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="the folder for report.md and report.svg")
    parser.add_argument("--install-nothing", action="store_true", help="leave out what must be installed first")
    parser.add_argument("--section-into", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sizes = SIZES[asked.size]
    if asked.section_into is not None:
        asked.section_into.write_bytes(msgspec.json.encode(section(asked.only[0], sizes, asked.install_nothing)))
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    begun, load = datetime.now(UTC), machine.load()
    if not asked.install_nothing:
        print("== what is compared", flush=True)
        for name, reason in installing.install().absent.items():
            print(f"{name} is left out: {reason}", flush=True)
    described = machine.describe()
    found: dict[str, Findings] = {}
    for name in asked.only:
        found[name] = in_its_own_process(name, asked.size, asked.install_nothing)
        # After each: whoever stops it has a report of what was measured until then.
        about = report.About(asked.size, sizes, described, (load, machine.load()), begun, datetime.now(UTC))
        written = report.write(asked.out, about, found)
    print(f"== written: {', '.join(str(path) for path in written)}")


def section(name: str, sizes: Sizes, install_nothing: bool) -> Findings:
    peers = installing.nothing() if install_nothing else installing.install()
    found: Findings = importlib.import_module(f"bench.{name}").measure(sizes, peers)
    return found


def in_its_own_process(name: str, size: str, install_nothing: bool) -> Findings:
    """A section that fails is named in the report; the others are measured nonetheless."""
    print(f"== {name}", flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "findings.json"
        command = [sys.executable, "-m", "bench.run", "--size", size, "--only", name, "--section-into", str(answer)]
        done = subprocess.run([*command, "--install-nothing"] if install_nothing else command)
        print(f"   {time.monotonic() - begun:.0f} s", flush=True)
        if done.returncode != 0:
            return Findings(absent={f"section {name}": f"it failed, with exit status {done.returncode}"})
        return msgspec.json.decode(answer.read_bytes(), type=Findings)


if __name__ == "__main__":
    main()
