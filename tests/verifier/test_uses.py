"""What a genuine bundle says of the uses in it: allowed, a violation and of which kind, or resting on somebody's word.

Every log here is asked of the command line's verifier too: the two must see the same violations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.errors import NotVerified
from ledger.proof.verifying import verify_bundle
from tests.domain import given
from tests.proof.small_log import SUBJECT, SmallLog, item, used
from tests.verifier.page import Answer, Verifier
from tests.verifier.sample import ME, trust_in

#: What is appended to a log; what it gives back is of no matter.
Build = Callable[[SmallLog], object]


def a_log(build: Build, *terms: Any) -> SmallLog:
    """Somebody who accepted at 3 what they were shown at 2, and then what `build` adds; published at 28."""
    log = SmallLog().terms(*terms)
    log.append(SUBJECT, given.shown(), "2")
    log.append(SUBJECT, given.accepted(touched=(given.TRAINING,)), "3")
    build(log)
    log.publish("28")
    return log


def uses(
    collected: str, at: str, *, until: str | None = None, basis: int | None = 2, kind: str = "chat", **more: Any
) -> Build:
    """A use of items collected then, in run r1."""

    def build(log: SmallLog) -> None:
        items = [item("one", collected, kind), item("two", until or collected, kind)]
        log.append(SUBJECT, used(items, basis=basis, **more), at)

    return build


def all_of(*builds: Build) -> Build:
    def build(log: SmallLog) -> None:
        for one in builds:
            one(log)

    return build


def run(started: str, **more: Any) -> Build:
    return lambda log: log.run(started, **more)


def toggled(to: Any, occurred: str, recorded: str | None = None) -> Build:
    return lambda log: log.append(SUBJECT, given.toggled(to), occurred, recorded)


def erased(at: str) -> Build:
    return lambda log: log.append(SUBJECT, given.ERASED, at)


FUTURE_RUNS = given.terms(withdrawal="future-runs")
SHORT = given.terms(when_on="P1D")

#: What happened, the terms, how the use stands, and a part of what the page says of it.
CASES: dict[str, tuple[Build, Any, str, str]] = {
    "allowed": (all_of(run("6"), uses("4", "6 11:00")), None, "permitted", "rests on version 2, an On that the person"),
    "collected before the grant": (
        all_of(run("6"), uses("2", "6 11:00")), None, "violation-known", "before it was first allowed",
    ),
    "collected while off": (
        all_of(toggled("off", "4"), run("6"), uses("5", "6 11:00")), None, "violation-known", "while it was off",
    ),
    "withdrawn before a run of the old data": (
        all_of(toggled("off", "5"), run("6"), uses("4", "6 11:00")), None, "permitted", "Allowed",
    ),
    "withdrawn before the run, under future-runs": (
        all_of(toggled("off", "5"), run("6"), uses("4", "6 11:00")), FUTURE_RUNS,
        "violation-known", "withdrawn before the run started",
    ),
    "a withdrawal that arrived later": (
        all_of(run("6"), uses("5", "6 11:00"), toggled("off", "4", "7")), None,
        "violation-in-hindsight", "not allowed in hindsight",
    ),
    "off in between": (
        all_of(toggled("off", "5"), toggled("on", "6"), run("9"), uses("4", "9 11:00", until="8")), None,
        "violation-known", "while it was off",
    ),
    "kept to the very last": (all_of(run("5"), uses("4", "5 11:00")), SHORT, "permitted", "Allowed"),
    "kept too long": (all_of(run("8"), uses("4", "8 11:00")), SHORT, "violation-known", "should have been gone"),
    "a kind that the terms do not cover": (
        all_of(run("6"), uses("4", "6 11:00", kind="voice")), None, "violation-known", "kind of data (voice)",
    ),
    "no run": (uses("4", "6 11:00"), None, "violation-known", "no run r1 was started before it"),
    "a run recorded after the use": (
        all_of(uses("4", "6 11:00"), run("6", recorded="6 11:00")), None, "violation-known", "no run r1",
    ),
    "a run for another purpose": (
        all_of(run("6", purpose="research"), uses("4", "6 11:00")), None, "violation-known", "started for research",
    ),
    "a basis that is no grant": (
        all_of(run("6"), uses("4", "6 11:00", basis=1)), None, "violation-known", "names version 1, which is no grant",
    ),
    "a basis that comes after the use": (
        all_of(run("6"), uses("4", "6 11:00", basis=4), toggled("on", "7")), None, "violation-known", "names version 4",
    ),
    "a basis that is the newer one's": (
        all_of(toggled("on", "4"), run("6"), uses("5", "6 11:00", basis=2)), None, "permitted", "Allowed",
    ),
    "attested, without a basis": (
        all_of(run("6"), uses("4", "6 11:00", basis=None, attested=True)), None, "permitted", "Allowed",
    ),
    "attested, off in between": (
        all_of(
            toggled("off", "5"), toggled("on", "6"), run("9"),
            uses("4", "9 11:00", until="8", basis=None, attested=True),
        ),
        None, "violation-known", "no grant covers all the time",
    ),
    "attested, by a grant that was recorded only after it": (
        all_of(
            run("6"), toggled("on", "8 10:00:00", "8 10:00:04"),
            lambda log: log.append(
                SUBJECT, used([item("one", "8 10:00:01")], basis=3, attested=True), "8 10:00:02", "9"
            ),
        ),
        None, "violation-known", "names version 3, which is no grant",
    ),
    "erased before the run": (
        all_of(erased("5"), run("6"), uses("4", "6 11:00")), None, "violation-known", "had been erased",
    ),
    "erased after the run": (all_of(run("6"), uses("4", "6 11:00"), erased("7")), None, "permitted", "Allowed"),
    "a backdated run": (
        all_of(run("6", recorded="7"), uses("4", "7 11:00")), None, "unproven", "later than the start it gives",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_use_stands_as_its_history_says(verifier: Verifier, name: str) -> None:
    build, terms, standing, said = CASES[name]
    log = a_log(build, *([terms] if terms else []))
    answer = verifier.verify(log.bundle_file(), trust_in(log), ME)
    (use,) = answer.uses
    assert use["standing"] == standing, use
    assert said in " ".join(use["said"]), use
    assert answer.overall == _overall(standing), answer
    assert [use["violations"]] == _violations_of_python(log)


def _overall(standing: str) -> str:
    if standing.startswith("violation"):
        return "violation"
    return "reservations" if standing == "unproven" else "holds"


def _violations_of_python(log: SmallLog) -> list[list[str]]:
    statement = verify_bundle(log.bundle_file(), log.policy, ME)
    return [[one["kind"] for one in use["violations"]] for use in statement.fields["uses"]]


def test_a_violation_is_shown_as_one_and_everything_else_as_genuine(verifier: Verifier) -> None:
    log = a_log(all_of(run("6"), uses("4", "6 11:00"), uses("2", "6 12:00")))
    answer = verifier.verify(log.bundle_file(), trust_in(log), ME)
    assert (answer.overall, answer.failed) == ("violation", "uses")
    assert answer.sentences["uses"] == "1 of 2 recorded uses was not allowed: version 4 of the history."
    others = {name: state for name, state in answer.states.items() if name != "uses"}
    assert set(others.values()) <= {"holds", "not-asked"}
    assert answer.sentences["uses"] in answer.summary
    assert "should be believed" not in " ".join(answer.summary)


def test_a_use_that_rests_on_an_import_is_never_called_proven(verifier: Verifier) -> None:
    log = SmallLog().terms()
    log.append(SUBJECT, given.shown(), "2", imported=given.IMPORTED)
    log.append(SUBJECT, given.accepted(touched=(given.TRAINING,)), "3", imported=given.IMPORTED)
    all_of(run("22"), uses("4", "22 11:00"))(log)
    log.publish("28")
    answer = verifier.verify(log.bundle_file(), trust_in(log), ME)
    assert (answer.overall, answer.states["uses"]) == ("reservations", "reservation")
    (use,) = answer.uses
    assert use["standing"] == "unproven"
    assert "It rests on an import of 20 Sep 2025, 10:00:00 UTC from old system" in " ".join(use["said"])


def test_terms_that_were_published_after_they_were_shown_are_refused(verifier: Verifier) -> None:
    log = SmallLog()
    log.append(SUBJECT, given.shown(), "2")
    log.terms()
    log.publish("8")
    answer = verifier.verify(log.bundle_file(), trust_in(log), ME)
    assert answer.failed == "terms"
    with pytest.raises(NotVerified):
        verify_bundle(log.bundle_file(), log.policy, ME)


def test_terms_that_were_published_twice_are_refused(verifier: Verifier) -> None:
    log = SmallLog().terms(given.SHIPPED, given.terms(when_on="P9Y"))
    log.append(SUBJECT, given.shown(), "2")
    log.publish("8")
    answer = verifier.verify(log.bundle_file(), trust_in(log), ME)
    assert answer.failed == "terms"
    assert "published once" in answer.sentences["terms"]
    with pytest.raises(NotVerified):
        verify_bundle(log.bundle_file(), log.policy, ME)


def test_two_runs_stand_in_the_order_of_their_names(verifier: Verifier) -> None:
    log = a_log(
        all_of(
            run("6", run="r2"),
            run("6", run="r10"),
            uses("4", "6 11:00", run="r2"),
            uses("4", "6 12:00", run="r10"),
        )
    )
    answer: Answer = verifier.verify(log.bundle_file(), trust_in(log), ME)
    assert (answer.overall, len(answer.uses)) == ("holds", 2)
    assert answer.sentences["runs"] == "All entries of r10, r2."
