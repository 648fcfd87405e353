"""Entries a second that an audit takes on one core, beside plain SHA-256 leaf hashing of the same entries, in one run.

Usage: python bench/audit.py [--subjects 50000] [--map-every 10000] [--uses 0.5] [--rounds 3] [--profile]

The log is a population that was shown the terms and answered, of whom some changed the toggle; a run then used data of
a part of them. It is written as a `jsonl` export with its checkpoint, and audited from that with a state file.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger.audit.audit import Report, audit
from ledger.audit.export_source import ExportSource
from ledger.audit.state import open_state
from ledger.domain.entry import encode_entry, make_entry
from ledger.domain.events import (
    Accepted,
    DataUsedForTraining,
    Event,
    RunStarted,
    SubjectMapPublished,
    TermsShown,
    ToggleChanged,
)
from ledger.domain.names import LOG_STREAM, TERMS_STREAM, run_stream, stream_key, subject_stream
from ledger.domain.terms import Terms, parse_terms
from ledger.domain.times import format_time
from ledger.proof.chain import chain_next, chain_start, stream_value
from ledger.proof.kept_map import MemoryMap, area_of, refold
from ledger.proof.merkle import leaf_hash

PURPOSE = "model-training"
#: Between two entries: as many a second as a busy product has.
STEP = timedelta(milliseconds=2)
#: Subjects whose stories are told side by side.
AT_ONCE = 2_000


class Nobody:
    """Watches nothing."""

    def now(self, what: str, total: int | None = None) -> None: ...

    def advance(self, by: int = 1) -> None: ...


class Log:
    """Entries in the order of their positions, and the map over them."""

    def __init__(self, map_every: int) -> None:
        self.entries: list[bytes] = []
        self.moment = datetime(2025, 9, 1, tzinfo=UTC)
        self._map_every = map_every
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._map = MemoryMap()
        self._moved: set[str] = set()

    def append(self, stream: str, event: Event) -> int:
        """The version of one more entry, and a map after it where one is due."""
        self.moment += STEP
        key = stream_key(stream)
        length, head = self._heads.get(stream, (0, chain_start(key)))
        at = format_time(self.moment)
        stored = encode_entry(
            make_entry(
                event,
                stream=stream,
                version=length + 1,
                occurred_at=at,
                recorded_at=at,
                nonce=random.randbytes(16).hex(),  # noqa: S311 - it only has to look like one
            )
        )
        self.entries.append(stored)
        self._heads[stream] = length + 1, chain_next(head, length + 1, leaf_hash(stored))
        self._moved.add(stream)
        if stream != LOG_STREAM and len(self.entries) % self._map_every == 0:
            self.publish()
        return length + 1

    def publish(self) -> None:
        """The map over all entries so far."""
        for stream in self._moved:
            self._map.set(stream_key(stream), stream_value(*self._heads[stream]))
        root = refold(self._map, {area_of(stream_key(stream)) for stream in self._moved})
        self._moved = set()
        event = SubjectMapPublished(covers=len(self.entries), root=root.hex(), streams=len(self._heads))
        self.append(LOG_STREAM, event)


def population(subjects: int, map_every: int, uses: float, seed: int) -> Log:
    """The log of so many subjects, a share of whom a run uses."""
    random.seed(seed)
    terms = parse_terms(Path("examples/terms/2025-09-28.toml").read_text(encoding="utf-8"))
    log = Log(map_every)
    log.append(TERMS_STREAM, terms)
    granted: list[tuple[str, int, str]] = []
    for first in range(0, subjects, AT_ONCE):
        stories = {subject_stream(number.to_bytes(16, "big")): story(terms) for number in range(first, first + AT_ONCE)}
        while stories:
            for stream in list(stories):
                event = next(stories[stream], None)
                if event is None:
                    del stories[stream]
                    continue
                version = log.append(stream, event)
                if isinstance(event, Accepted) and event.toggles[PURPOSE] == "on":
                    granted.append((stream, version, format_time(log.moment)))
    started = RunStarted(purpose=PURPOSE, kind="chat", started_at=format_time(log.moment), cutoff=1, input=[])
    log.append(run_stream("r1"), started)
    for stream, basis, collected in granted:
        if random.random() < uses:  # noqa: S311 - no secret
            log.append(
                stream,
                DataUsedForTraining(
                    run="r1",
                    purpose=PURPOSE,
                    basis=basis,
                    items={"chat": random.randint(1, 40)},  # noqa: S311
                    collected_from=collected,
                    collected_until=collected,
                    manifest=random.randbytes(32).hex(),  # noqa: S311
                    attested=False,
                ),
            )
    log.publish()
    return log


def story(terms: Terms) -> Iterator[Event]:
    """What one person sees and does."""
    choose = random.choice
    plan, surface = choose(terms.plans), choose(("web", "ios", "android"))
    yield TermsShown(
        terms=terms.version,
        notice=terms.notice_hash(),
        toggles={PURPOSE: "on"},
        plan=plan,
        surface=surface,
        locale=choose(("en", "de", "fr", "ja")),
    )
    answer = random.random()  # noqa: S311
    if answer < 0.1:
        return
    off = answer < 0.3
    yield Accepted(
        terms=terms.version,
        toggles={PURPOSE: "off" if off else "on"},
        touched=[PURPOSE] if off else [],
        plan=plan,
        surface=surface,
    )
    while random.random() < 0.25:  # noqa: S311
        yield ToggleChanged(purpose=PURPOSE, to=choose(("on", "off")), surface="settings", cause="person")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=50_000)
    parser.add_argument("--map-every", type=int, default=10_000)
    parser.add_argument("--uses", type=float, default=0.5, help="share of the subjects with a grant that the run uses")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    log = population(asked.subjects, asked.map_every, asked.uses, seed=1)
    with tempfile.TemporaryDirectory(prefix="consent-bench-") as folder:
        export = Path(folder) / "log.jsonl"
        export.write_bytes(b"".join(entry + b"\n" for entry in log.entries))
        gc.freeze()
        if asked.profile:
            profile = cProfile.Profile()
            profile.runcall(audited, export, Path(folder) / "state")
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)
            return
        gc.collect()
        gc.freeze()  # what the bench itself holds is not the audit's to look through
        hashing, auditing = [], []
        for number in range(asked.rounds):
            begun = time.process_time()
            for entry in log.entries:
                leaf_hash(entry)
            hashing.append(len(log.entries) / (time.process_time() - begun))
            begun = time.process_time()
            report = audited(export, Path(folder) / f"state-{number}")
            auditing.append(len(log.entries) / (time.process_time() - begun))
        state = (Path(folder) / "state-0").stat().st_size
    if not report.is_clean and set(report.counts) - {"violation-known"}:
        raise SystemExit(f"expected an audit that finds the log right, found {report.counts}")
    ratios = [one / other for one, other in zip(auditing, hashing, strict=True)]
    size = sum(map(len, log.entries)) / len(log.entries)
    print(
        f"{len(log.entries):,} entries of {size:.0f} bytes, {report.streams:,} streams, {report.maps} maps, "
        f"{report.uses:,} uses\n"
        f"leaf hashing {statistics.median(hashing):10,.0f}/s ({min(hashing):,.0f} to {max(hashing):,.0f})\n"
        f"audit        {statistics.median(auditing):10,.0f}/s ({min(auditing):,.0f} to {max(auditing):,.0f}), "
        f"{statistics.median(ratios):.3f} x leaf hashing ({min(ratios):.3f} to {max(ratios):.3f}), by processor time\n"
        f"state {state / len(log.entries):.0f} bytes an entry, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB of memory with the log itself in it"
    )


def audited(export: Path, state: Path) -> Report:
    with open_state(state) as opened:
        return audit(ExportSource(export), opened, None, Nobody())


if __name__ == "__main__":
    main()
