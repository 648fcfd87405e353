"""The demo is what a stranger sees first: it runs to its end, and tells what happened."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_story_is_lived_through_to_its_end() -> None:
    # Not pytest's own folder: that is closed to the account which runs root's embedded server.
    with tempfile.TemporaryDirectory(prefix="consent-demo-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        done = subprocess.run(
            [sys.executable, "-m", "demo.demo", "--folder", folder / "out"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SIMULATED" in done.stdout
        assert "collected-while-off" in done.stdout
        assert "withdrawn-before-run" in done.stdout
        assert "bundle.json: verified" in done.stdout
        winter, summer = (
            json.loads((folder / "out" / run / "run.json").read_text(encoding="utf-8")) for run in ("winter", "summer")
        )
    for run in (winter, summer):
        assert run["permitted"] + run["refused"] == run["items"] == sum(run["by_reason"].values())
        assert run["permitted"] > 0
    assert summer["by_reason"]["collected-while-off"] > winter["by_reason"]["collected-while-off"]
