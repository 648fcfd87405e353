"""`make bench`: installs what is compared, measures every section in turn, and writes the report and its picture.

Usage: python -m bench.run [--size full|small] [--only SECTION…] [--out FOLDER] [--install-nothing]
"""

from __future__ import annotations

import argparse
import importlib
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from bench import machine, report
from bench.figures import Findings
from bench.peers import installing
from bench.peers.installing import Peers
from bench.sizes import SIZES, Sizes

#: Each a module with `measure(sizes, peers)`, run in a process of its own: what one holds in memory is not the next's.
SECTIONS = ("appends", "bulk", "gating", "auditing", "checkpointing", "lookups", "serving", "room")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="the folder for report.md and report.svg")
    parser.add_argument("--install-nothing", action="store_true", help="leave out what must be installed first")
    asked = parser.parse_args()
    sizes = SIZES[asked.size]
    asked.out.mkdir(parents=True, exist_ok=True)
    begun, load = datetime.now(UTC), machine.load()
    print("== what is compared", flush=True)
    peers = installing.nothing() if asked.install_nothing else installing.install()
    for name, reason in peers.absent.items():
        print(f"{name} is left out: {reason}", flush=True)
    described = machine.describe()
    found: dict[str, Findings] = {}
    for name in asked.only:
        found[name] = in_its_own_process(name, sizes, peers)
        # After each: whoever stops it has a report of what was measured until then.
        about = report.About(asked.size, sizes, described, (load, machine.load()), begun, datetime.now(UTC))
        written = report.write(asked.out, about, found)
    print(f"== written: {', '.join(str(path) for path in written)}")


def in_its_own_process(name: str, sizes: Sizes, peers: Peers) -> Findings:
    """A section that fails is named in the report; the others are measured nonetheless."""
    print(f"== {name}", flush=True)
    begun = time.monotonic()
    with ProcessPoolExecutor(1, get_context("spawn")) as own:
        try:
            return own.submit(section, name, sizes, peers).result()
        except Exception as error:
            traceback.print_exception(error)
            return Findings(absent={f"section {name}": f"it failed: {error}"})
        finally:
            print(f"   {time.monotonic() - begun:.0f} s", flush=True)


def section(name: str, sizes: Sizes, peers: Peers) -> Findings:
    found: Findings = importlib.import_module(f"bench.{name}").measure(sizes, peers)
    return found


if __name__ == "__main__":
    main()
