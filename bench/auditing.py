"""The audit beside plain leaf hashing of the same entries, on one core, by processor time.

Usage: python -m bench.run --only auditing (bench/audit.py has the log, and a profile)
"""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path

from bench import audit
from bench.figures import Comparison, Findings, Limits, in_turn, seconds_of
from bench.peers.installing import Peers
from bench.sizes import Sizes
from ledger.proof.merkle import leaf_hash

MAP_EVERY = 10_000
#: The share of the people with a grant whose data the run uses.
USES = 0.5
LIMITS = Limits(
    bound="tree, chain and map take five more hashes an entry, and Python walks each entry, and decodes each use",
    tried="the audit in columns, and uses judged by looking, are in (decision 18); one row of the state for a stream's "
    "standing and its place in the map would save two or three of some 23 us",
    limit="some 0.05 x, for the hashes alone take more than half of what 0.1 x would allow",
)


def measure(sizes: Sizes, peers: Peers) -> Findings:  # noqa: ARG001 - nothing of this has a peer to install
    found = Findings()
    for subjects in sizes.audit_subjects:
        log = audit.population(subjects, MAP_EVERY, USES, seed=1)
        with tempfile.TemporaryDirectory(prefix="consent-bench-") as folder:
            found.comparisons.append(compare(log, Path(folder), sizes, subjects == sizes.audit_subjects[-1]))
        gc.unfreeze()
    return found


def compare(log: audit.Log, folder: Path, sizes: Sizes, is_goal: bool) -> Comparison:
    export = folder / "log.jsonl"
    export.write_bytes(b"".join(entry + b"\n" for entry in log.entries))
    gc.collect()
    gc.freeze()  # what the bench itself holds is not the audit's to look through
    count = len(log.entries)
    number = 0

    def audited() -> None:
        nonlocal number
        number += 1
        report = audit.audited(export, folder / f"state-{number}")
        if not report.is_clean and set(report.counts) - {"violation-known"}:
            raise SystemExit(f"expected an audit that finds the log right, found {report.counts}")

    def hashed() -> None:
        for entry in log.entries:
            leaf_hash(entry)

    ours, theirs = in_turn(
        sizes.rounds,
        [lambda: count / seconds_of(audited, time.process_time), lambda: count / seconds_of(hashed, time.process_time)],
    )
    return Comparison(
        work="audit: parse, re-encode, hash, chain, map, verdicts, per core",
        against="SHA-256 leaf hashing of the same entries",
        size=f"{count:,} entries",
        unit="entries",
        ours=ours,
        theirs=theirs,
        goal=0.1 if is_goal else None,
        limits=LIMITS,
    )
