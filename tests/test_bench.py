"""The bench works at its smallest size, without what must be installed for it; what it finds there says nothing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import httpx
import msgspec
import pytest

from bench import calling, picture, place, report, run
from bench.figures import Comparison, Findings, Latency, Limits, Peak, Room, in_turn
from bench.peers import installing
from bench.running_service import LEDGER, started
from bench.sizes import SIZES
from ledger.settings import Place

ROOT = Path(__file__).parents[1]
#: Until a section is given up: none needs a tenth of that.
SECONDS = 300


def comparison(ours: list[float], theirs: list[float], goal: float | None = None) -> Comparison:
    return Comparison(
        work="w",
        against="a",
        size="s",
        unit="u",
        ours=ours,
        theirs=theirs,
        goal=goal,
        limits=Limits(bound="b", tried="t", limit="l"),
    )


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    row = comparison([10.0, 30.0, 20.0], [10.0, 10.0, 40.0], goal=1.0)
    assert row.ratios == [1.0, 3.0, 0.5]
    assert (row.ratio, row.verdict) == (1.0, "met")
    assert comparison([9.0], [10.0], goal=1.0).verdict == "not met"
    assert comparison([9.0], [10.0]).verdict == "reported"


def test_sides_are_measured_in_turn() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    assert in_turn(2, [lambda: side("a"), lambda: side("b")]) == [[1.0, 4.0], [2.0, 3.0]]
    assert order == ["a", "b", "b", "a"]


def test_the_report_says_what_was_missed_and_what_is_absent(tmp_path: Path) -> None:
    found = Findings(
        comparisons=[comparison([1.0], [2.0], goal=3.0), comparison([5.0], [2.0], goal=2.0), comparison([1.0], [1.0])],
        latencies=[Latency(who="callers", rate=10.0, median=1.5, p99=None)],
        peaks=[Peak(work="import", size="s", mebibytes=12.0)],
        rooms=[Room(what="table t: rows", entries=10, people=5, bytes=1_000)],
        absent={"Peer": "no registry"},
        notes=["a note"],
    )
    about = report.About("full", SIZES["full"], ["a machine"], ("1", "2"), datetime.now(UTC), datetime.now(UTC))
    markdown, image, data = report.write(tmp_path, about, {"appends": found})
    text = markdown.read_text(encoding="utf-8")
    for said in (
        "1 of 2 goals are met",
        "**0.50 ×** (0.50 to 0.50) | ≥ 3 × | not met",
        "≥ 2 × | met",
        "- **w**, against a: 0.50 × of 3 ×. What bounds it: b. Tried: t. At most: l.",
        "| table t: rows | 100 | 200 |",
        "no registry",
    ):
        assert said in text
    assert "say nothing" not in text
    assert msgspec.json.decode(data.read_bytes(), type=dict[str, Findings]) == {"appends": found}
    assert ElementTree.parse(image).getroot().tag.endswith("svg")  # noqa: S314 - written just now
    little = replace(about, size="small", sizes=SIZES["small"])
    assert "say nothing" in "\n".join(report.lines(little, {}))


def test_a_picture_of_nothing() -> None:
    assert ElementTree.fromstring(picture.svg([])).tag.endswith("svg")  # noqa: S314 - our own


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_callers_count_what_was_acknowledged(kind: str) -> None:
    called = []

    async def call_async() -> None:
        called.append(1)

    if kind == "threads":
        calls = calling.by_threads(lambda: called.append(1), 3, 0.05)
    else:
        calls = calling.by_tasks(call_async, 3, 0.05)
    assert calls.appends == len(called) > 0
    assert calls.rate == pytest.approx(calls.appends / calls.seconds)


def test_callers_that_fail_are_heard() -> None:
    with pytest.raises(RuntimeError, match="expected to fail"):
        calling.called([[sys.executable, "-c", "raise SystemExit('expected to fail')"]])


def test_callers_that_hang_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "PATIENCE_SECONDS", 1)
    never_ready = "import time; time.sleep(600)"
    full_of_complaints = "import sys; sys.stderr.write('x' * 1_000_000)"
    never_done = "import time; print('ready', flush=True); time.sleep(600)"
    for program in (never_ready, full_of_complaints, never_done):
        with pytest.raises(RuntimeError, match="did not answer within 1 s"):
            calling.called([[sys.executable, "-c", program]])


def test_a_command_answers_for_its_own_memory(tmp_path: Path) -> None:
    held = bytearray(b"x") * (200 << 20)
    small = place.run([sys.executable, "-c", "print('small')"])
    large = place.run([sys.executable, "-c", "len(bytearray(b'x') * (100 << 20))"])
    assert small.said == "small\n"
    assert small.peak < 50 < 100 < large.peak < len(held) >> 20
    with pytest.raises(RuntimeError, match=r"expected .* to succeed, found: why"):
        place.run([sys.executable, "-c", "raise SystemExit('why')"])


def test_a_service_is_watched_while_it_runs_and_then_ended(ledger_place: Place) -> None:
    with started(LEDGER, ledger_place) as service, httpx.Client() as client:
        before = service.processor_seconds()
        for _ in range(200):
            assert client.get(f"http://{service.host}:{service.port}/healthz").status_code == 200
        assert service.processor_seconds() > before > 0
        assert 10 < service.resident() <= service.peak() < 1_000
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{service.url}/healthz")
    nowhere = Place("postgresql://127.0.0.1:1/x", None, ledger_place.state)
    with pytest.raises(RuntimeError, match=r"expected cli\.main to say where it listens"), started(LEDGER, nowhere):
        pass


def test_what_cannot_be_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[str]] = []

    def refuse(command: list[str]) -> None:
        tried.append(command)
        raise RuntimeError("no registry")

    monkeypatch.setattr(installing, "_run", refuse)
    monkeypatch.setattr("shutil.which", lambda name: name)
    peers = installing.install(tmp_path)
    assert peers == installing.Peers(absent=dict.fromkeys(("UmaDB", "Emmett", "message-db"), "no registry"))
    monkeypatch.setattr(installing, "_run", tried.append)
    assert installing.install(tmp_path).absent == {}
    assert len(tried) == 5, "two that failed, then venv, pip and npm"
    tried.clear()
    assert installing.install(tmp_path).absent == {}
    assert not tried, "what is there needs no registry"


def test_a_section_that_fails_takes_nobody_along(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run.in_its_own_process("none_such", SIZES["small"], installing.nothing())
    assert found.absent == {"section none_such": "it failed: No module named 'bench.none_such'"}


@pytest.mark.slow
@pytest.mark.parametrize("section", run.SECTIONS)
def test_every_section_runs(section: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.run", "--size", "small", "--install-nothing", "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--only", section], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    found = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=dict[str, Findings])
    assert list(found) == [section]
    assert set(found[section].absent) == ({"UmaDB", "Emmett", "message-db"} if section == "appends" else set()), text
    assert found[section].rooms if section == "room" else found[section].comparisons
    assert all(row.ratio > 0 for row in found[section].comparisons)
    if section == "bulk":
        works = {"consent import", "consent audit", "consent projections rebuild"}
        assert {peak.work for peak in found[section].peaks} >= works
    for name in found[section].absent:
        assert f"- {name}: " in text
