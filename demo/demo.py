"""The story of one change of terms, on an embedded ledger: `make demo`, or `make demo ITEMS=path` for real items.

Terms are published; people see the pop-up, accept, touch the toggle or do not, and some turn it off later; a training
run goes through the gate; there are withdrawals; a second run goes through; then the log is asked what happened.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb

from demo.population import write_items

ROOT = Path(__file__).parents[1]
TERMS = "examples/terms/2025-09-28.toml"
OTHER_TERMS = "examples/terms/2025-09-28-future-runs.toml"
#: When each run starts: between them lie months in which people change their minds.
FIRST_RUN, SECOND_RUN = "2025-12-01T00:00:00Z", "2026-06-01T00:00:00Z"
SEED = 1


class Story:
    """Tells what it does, and runs `consent` as anybody would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "ledger"
        self._chapter = 0

    def chapter(self, title: str) -> None:
        self._chapter += 1
        print(f"\n{self._chapter}. {title}", flush=True)

    def consent(self, *arguments: str | Path, last_lines: int | None = None) -> None:
        """One command on the demo's ledger, shown and run; of a long answer the last lines."""
        print(f"\n   $ consent {' '.join(_short(argument) for argument in arguments)}", flush=True)
        done = subprocess.run(
            self._command(arguments), check=False, text=True, stdout=subprocess.PIPE if last_lines else None
        )
        if last_lines:
            lines = done.stdout.splitlines()
            skipped = len(lines) - last_lines
            print("\n".join([*([f"… {skipped} more lines"] if skipped > 0 else []), *lines[-last_lines:]]))
        if done.returncode != 0:
            raise SystemExit(f"the demo stopped: exit status {done.returncode}")

    def ask(self, *arguments: str) -> str:
        """What a command says, for another to be told."""
        return subprocess.run(self._command(arguments), check=True, text=True, stdout=subprocess.PIPE).stdout.strip()

    def _command(self, arguments: Sequence[str | Path]) -> list[str]:
        return [sys.executable, "-m", "cli.main", "--ledger", str(self.ledger), *map(str, arguments)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=Path, help="real items: Parquet, CSV or JSON Lines")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo" / "out")
    asked = parser.parse_args()
    shutil.rmtree(asked.folder, ignore_errors=True)
    asked.folder.mkdir(parents=True)
    story = Story(asked.folder)
    items = asked.items or asked.folder / "items.jsonl"
    if asked.items is None:
        count = write_items(items, SEED)
        print(f"No ITEMS given: {count:,} items of made-up people in {_short(items)}.")
    print("Whoever the items are of, every decision below is SIMULATED: nobody consented to anything here.")
    tell(story, items)


def tell(story: Story, items: Path) -> None:
    first_items, second_items = split_items(items, story.folder)
    story.chapter("A ledger is made, and the provider publishes its terms.")
    story.consent("init")
    story.consent("terms", "publish", TERMS)

    story.chapter("People see the pop-up; they accept, touch the toggle or do not, and some turn it off later.")
    decisions = story.folder / "decisions.jsonl"
    story.consent("simulate", "--items", items, "--seed", str(SEED), "-o", decisions)
    before, after = split_decisions(decisions, story.folder)
    story.consent("import", before)

    story.chapter("A first training run goes through the gate.")
    story.consent(
        "filter",
        first_items,
        *_kind(items),
        "--run",
        "winter",
        "--started-at",
        FIRST_RUN,
        "--out",
        story.folder / "winter",
    )

    story.chapter("Months pass. Some withdraw, some come back.")
    story.consent("import", after)

    story.chapter("A second run: what was collected while a toggle was off stays out.")
    story.consent(
        "filter",
        second_items,
        *_kind(items),
        "--run",
        "summer",
        "--started-at",
        SECOND_RUN,
        "--out",
        story.folder / "summer",
    )

    story.chapter("Verdicts by reason, both runs.")
    show_reasons(story.folder)

    person = somebody_interesting(story)
    story.chapter("One person's history, replayed from the log.")
    story.consent("replay", person)

    story.chapter("What if a withdrawal kept stored data out of runs that start later?")
    story.consent("replay", "--terms", OTHER_TERMS, last_lines=9)

    story.chapter("That person's complete history as one file, and its verification, which needs no ledger.")
    bundle = story.folder / "bundle.json"
    story.consent("checkpoint")
    story.consent("prove", person, "-o", bundle)
    story.consent("verify", bundle, "--key", story.ask("keys", "show"))
    print(f"\nThe same in a browser: verifier/verifier.html, with {_short(bundle)} and that key.")
    print(f"\nThe files of both runs are in {_short(story.folder)}; the ledger is {_short(story.ledger)}. Try:")
    print(f"   .venv/bin/consent --ledger {_short(story.ledger)} doctor")


def split_items(items: Path, folder: Path) -> tuple[Path, Path]:
    """What there was to train on at each run: a data set never holds what is not yet collected."""
    parts = (folder / "items-winter.parquet", folder / "items-summer.parquet")
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for part, until in zip(parts, (FIRST_RUN, SECOND_RUN), strict=True):
            engine.execute(
                f"COPY (SELECT * REPLACE (CAST(collected_at AS TIMESTAMPTZ) AS collected_at) FROM '{items}' "
                f"WHERE CAST(collected_at AS TIMESTAMPTZ) < TIMESTAMPTZ '{until}') TO '{part}' (FORMAT parquet)"
            )
    return parts


def split_decisions(decisions: Path, folder: Path) -> tuple[Path, Path]:
    """The decisions recorded before the first run, and those after it."""
    parts = (folder / "decisions-until-winter.jsonl", folder / "decisions-since-winter.jsonl")
    with decisions.open(encoding="utf-8") as lines, parts[0].open("w") as before, parts[1].open("w") as after:
        for line in lines:
            event = json.loads(line)
            recorded = event.get("recorded_at", event["occurred_at"])
            (before if recorded < FIRST_RUN else after).write(line)
    return parts


def show_reasons(folder: Path) -> None:
    runs = [json.loads((folder / run / "run.json").read_text(encoding="utf-8")) for run in ("winter", "summer")]
    reasons = sorted(
        {reason for run in runs for reason in run["by_reason"]}, key=lambda r: -runs[1]["by_reason"].get(r, 0)
    )
    print(f"\n   {'reason':26}{'winter':>10}{'summer':>10}")
    for reason in reasons:
        print(f"   {reason:26}" + "".join(f"{run['by_reason'].get(reason, 0):>10,}" for run in runs))
    print(f"   {'all items':26}" + "".join(f"{run['items']:>10,}" for run in runs))


def somebody_interesting(story: Story) -> str:
    """Whoever was used in both runs and changed their mind in between, as far as there is somebody."""
    with duckdb.connect() as engine:
        rows = engine.execute(
            f"SELECT subject FROM '{story.folder}/winter/permitted.parquet' "
            f"JOIN (SELECT DISTINCT subject FROM '{story.folder}/summer/refused.parquet' "
            "WHERE reason = 'collected-while-off') USING (subject) GROUP BY subject ORDER BY count(*), subject LIMIT 1"
        ).fetchall()
        rows = rows or engine.execute(f"SELECT min(subject) FROM '{story.folder}/summer/refused.parquet'").fetchall()
    return str(rows[0][0])


def _kind(items: Path) -> list[str]:
    """Real items without a column `kind` are coding sessions, as those of the shared data are."""
    with duckdb.connect() as engine:
        columns = [row[0] for row in engine.execute(f"DESCRIBE SELECT * FROM '{items}'").fetchall()]
    return [] if "kind" in columns else ["--kind", "coding-session"]


def _short(argument: str | Path) -> str:
    text = str(argument)
    return text.removeprefix(f"{ROOT}/")


if __name__ == "__main__":
    main()
